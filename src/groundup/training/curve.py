"""The curve of a run: how the loss fell, as a picture in the run directory and as a small one in the terminal.

One number a step says little, since every batch is easier or harder than the last one: what counts is the line behind
the noise. So the losses are drawn faintly as they were, and over them their mean over the steps nearby. Below stands
the measure that counts in the end, on text that the model has not read.

The picture is plain SVG, written by hand: it needs no library to make and no program but a browser to look at, and it
turns dark where the reader's screen is dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

from ..errors import quoted
from ..report import duration

Row = dict[str, float]
Point = tuple[float, float]

WIDTH, HEIGHT = 760, 500
LEFT, RIGHT = 64, 736  # of both panels
LOSS_TOP, LOSS_BOTTOM = 96, 296
VAL_TOP, VAL_BOTTOM = 344, 450
MOST_POINTS = 700  # more would only make the file large: there are not that many pixels

# The bits of a braille character, by column and row of its dots.
EMPTY = chr(0x2800)
DOT_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))

STYLE = """
svg { --page: #ffffff; --ink: #24292f; --quiet: #6a737d; --grid: #e4e7eb; --loss: #2f6fb4; --held-out: #c2571a;
      background: var(--page); font-family: system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif }
@media (prefers-color-scheme: dark) {
  svg { --page: #14171c; --ink: #e6e8eb; --quiet: #98a1ac; --grid: #2a3038; --loss: #79b0ee; --held-out: #f0a06b }
}
text { fill: var(--quiet); font-size: 12px }
.title { fill: var(--ink); font-size: 17px; font-weight: 600 }
.name { fill: var(--ink); font-size: 13px; font-weight: 600 }
.grid { stroke: var(--grid) }
.raw, .line, .held-out { fill: none; stroke-linejoin: round; stroke-linecap: round }
.raw { stroke: var(--loss); opacity: 0.25 }
.line { stroke: var(--loss); stroke-width: 2 }
.beside-it { fill: none; stroke: var(--quiet); stroke-width: 5; opacity: 0.45 }
.held-out { stroke: var(--held-out); stroke-width: 2 }
.dot { fill: var(--held-out); stroke: var(--page); stroke-width: 1.5 }
.value { fill: var(--held-out); text-anchor: middle }
.below { text-anchor: middle }
.beside { text-anchor: end }
""".strip()


def curve_svg(rows: Sequence[Row], title: str, beside: Sequence[Row] = ()) -> str:
    """A run's curve as an SVG picture. rows: the lines of metrics.jsonl. title: any text, also a strange file name.

    beside: another run, whose smoothed loss is drawn broad and grey under the first.
    """
    title = quoted(title)
    losses, values = points(rows, "loss"), points(rows, "val_bits_per_byte")
    others = points(beside, "loss")
    last_step = max((step for step, _ in [*losses, *others]), default=1)
    steps = (0.0, max(last_step, 1.0))
    loss_panel = Panel(steps, span([y for _, y in [*losses, *others]]), LOSS_TOP, LOSS_BOTTOM)
    val_panel = Panel(steps, span([y for _, y in values]), VAL_TOP, VAL_BOTTOM)
    body = [
        f'<text class="title" x="{LEFT - 40}" y="30">{escape(title)}</text>',
        f'<text x="{LEFT - 40}" y="50">{escape(summary(rows))}</text>',
        *loss_panel.frame("training loss (nats per token)"),
        polyline("beside-it", [loss_panel.place(point) for point in thinned(smoothed(others))]),
        polyline("raw", [loss_panel.place(point) for point in thinned(losses)]),
        polyline("line", [loss_panel.place(point) for point in thinned(smoothed(losses))]),
        *val_panel.frame("held-out text (bits per byte)"),
        polyline("held-out", [val_panel.place(point) for point in values]),
        *marks([val_panel.place(point) for point in values], [y for _, y in values]),
        *val_panel.steps(),
    ]
    lines = "\n".join(line for line in body if line)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img">\n<title>{escape(title)}</title>\n<style>\n{STYLE}\n</style>\n{lines}\n</svg>\n'
    )


def curve_text(rows: Sequence[Row], width: int = 60, height: int = 8, beside: Sequence[Row] = ()) -> str:
    """The smoothed loss as `height` lines of at most `width` characters, drawn in braille dots (2 x 4 a character).

    rows: the lines of metrics.jsonl. beside: those of another run, whose line is made of `·` where it is elsewhere.
    Empty where there are not two losses to draw a line between.
    """
    losses, others = smoothed(points(rows, "loss")), smoothed(points(beside, "loss"))
    if len(losses) < 2:
        return ""
    low, high = span([y for _, y in [*losses, *others]])
    labels = [f"{high:.2f}", *[""] * (height - 3), f"{low:.2f}"]
    margin = max(len(label) for label in labels)
    columns = width - margin - 2
    last_step = max(x for x, _ in [*losses, *others])
    box = ((losses[0][0], last_step), (low, high))
    lines = braille(losses, columns, height - 1, box)
    if len(others) > 1:
        under = braille(others, columns, height - 1, box)
        lines = ["".join(map(over, *pair)) for pair in zip(lines, under, strict=True)]
    frame = [f"{label:>{margin}} │{line}" for label, line in zip(labels, lines, strict=True)]
    last = f"{last_step:,.0f}"
    return "\n".join([*frame, f"{'':>{margin}} └{'step'.ljust(columns - len(last), '─')}{last}"])


# --- what is drawn ------------------------------------------------------------------------------------------------


def points(rows: Sequence[Row], key: str) -> list[Point]:
    """(step, value) of each row that has a finite one."""
    return [(row["step"], row[key]) for row in rows if key in row and math.isfinite(row[key])]


def smoothed(line: Sequence[Point]) -> list[Point]:
    """Each value becomes the mean of those around it, as many after as before: so the line does not lag behind."""
    sums = [0.0]
    for _, y in line:
        sums.append(sums[-1] + y)
    widest = len(line) // 40
    means: list[Point] = []
    for i, (x, _) in enumerate(line):
        reach = min(widest, i // 10)  # few at the beginning, where the fall is steep
        first, end = i - reach, min(i + reach + 1, len(line))
        means.append((x, (sums[end] - sums[first]) / (end - first)))
    return means


def thinned(line: Sequence[Point]) -> list[Point]:
    """At most MOST_POINTS of the points, evenly, the last one always."""
    stride = -(-len(line) // MOST_POINTS)
    return [*line[:: max(stride, 1)], *line[-1:]]


def summary(rows: Sequence[Row]) -> str:
    """The run in one line: how far, how long, how good."""
    if not rows:
        return "no steps yet"
    values = points(rows, "val_bits_per_byte")
    facts = [f"{rows[-1]['step']:,.0f} steps", f"{duration(rows[-1].get('seconds', 0.0))} of training"]
    if values:
        step, best = min(values, key=lambda point: point[1])
        facts.append(f"best {best:.3f} bits per byte at step {step:,.0f}")
    return " · ".join(facts)


# --- scales -------------------------------------------------------------------------------------------------------


def span(values: Sequence[float]) -> tuple[float, float]:
    """The lowest and the highest value, a little apart where they are one."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers that cover low to high: 1, 2, 2.5 or 5 times a power of ten apart."""
    wanted = (high - low) / count
    power = 10.0 ** math.floor(math.log10(wanted))
    apart = min((factor * power for factor in (1, 2, 2.5, 5, 10)), key=lambda step: abs(math.log(step / wanted)))
    first, last = math.floor(low / apart + 1e-9), math.ceil(high / apart - 1e-9)
    return [number * apart for number in range(first, last + 1)]


@dataclass(frozen=True)
class Panel:
    """One of the two diagrams: which numbers it shows, and where on the page."""

    x_span: tuple[float, float]
    y_span: tuple[float, float]
    top: float
    bottom: float

    @property
    def y_ticks(self) -> list[float]:
        """Round numbers from below the lowest value to above the highest."""
        return ticks(*self.y_span, count=max(2, round((self.bottom - self.top) / 45)))

    def place(self, point: Point) -> Point:
        """Where a point of the run lies on the page."""
        x, y = point
        low, high = self.y_ticks[0], self.y_ticks[-1]
        across = (x - self.x_span[0]) / (self.x_span[1] - self.x_span[0])
        return LEFT + across * (RIGHT - LEFT), self.bottom - (y - low) / (high - low) * (self.bottom - self.top)

    def frame(self, name: str) -> list[str]:
        """The panel's name and its horizontal lines, each with its number."""
        lines = [f'<text class="name" x="{LEFT}" y="{self.top - 12}">{escape(name)}</text>']
        for tick in self.y_ticks:
            _, y = self.place((self.x_span[0], tick))
            lines.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            lines.append(f'<text class="beside" x="{LEFT - 8}" y="{y + 4:.1f}">{tick:,.6g}</text>')
        return lines

    def steps(self) -> list[str]:
        """The numbers below: steps."""
        inside = [tick for tick in ticks(*self.x_span, count=6) if tick <= self.x_span[1] and tick.is_integer()]
        lines = [
            f'<text class="below" x="{self.place((tick, 0))[0]:.1f}" y="{self.bottom + 20}">{tick:,.0f}</text>'
            for tick in inside
        ]
        return [*lines, f'<text class="below" x="{(LEFT + RIGHT) / 2}" y="{self.bottom + 40}">step</text>']


# --- shapes -------------------------------------------------------------------------------------------------------


def polyline(kind: str, places: Sequence[Point]) -> str:
    """A line through places on the page."""
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline class="{kind}" points="{joined}"/>' if len(places) > 1 else ""


def marks(places: Sequence[Point], values: Sequence[float]) -> list[str]:
    """A dot for each measurement, and its value where there is room; the last one always gets its value."""
    lines: list[str] = []
    next_label = math.inf
    for (x, y), value in reversed([*zip(places, values, strict=True)]):
        lines.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
        if x < next_label:
            # The line comes from the upper left, so there is room above and a little to the right; not at the edge.
            lines.append(f'<text class="value" x="{min(x + 6, RIGHT - 14):.1f}" y="{y - 9:.1f}">{value:.3f}</text>')
            next_label = x - 50
    return lines


def braille(
    line: Sequence[Point], columns: int, rows: int, box: tuple[tuple[float, float], tuple[float, float]]
) -> list[str]:
    """The line as `rows` lines of `columns` braille characters. box: (first, last) step and (lowest, highest) value."""
    (first, last), (low, high) = box
    across, down = columns * 2 - 1, rows * 4 - 1
    dots = [((x - first) / (last - first) * across, (high - y) / (high - low) * down) for x, y in line]
    cells = [[ord(EMPTY)] * columns for _ in range(rows)]
    for x, y in between(dots):
        cells[y // 4][x // 2] |= DOT_BITS[x % 2][y % 4]
    return ["".join(map(chr, row)) for row in cells]


def over(upper: str, lower: str) -> str:
    """One character of two lines that lie over each other."""
    return upper if upper != EMPTY else "·" if lower != EMPTY else EMPTY


def between(dots: Sequence[Point]) -> Iterator[tuple[int, int]]:
    """Every dot on the straight lines from one point to the next."""
    for (x0, y0), (x1, y1) in pairwise(dots):
        n = max(1, math.ceil(max(abs(x1 - x0), abs(y1 - y0))))
        for i in range(n + 1):
            yield round(x0 + (x1 - x0) * i / n), round(y0 + (y1 - y0) * i / n)
