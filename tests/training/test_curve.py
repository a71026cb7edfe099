"""The picture of a run."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.report import duration
from groundup.training.curve import MOST_POINTS, curve_svg, curve_text, smoothed, ticks

SVG = "{http://www.w3.org/2000/svg}"


def run(n_steps: int) -> list[dict[str, float]]:
    """The metrics of a run that learns, measured ten times."""
    rows = [{"step": i, "loss": 2 + 5 * math.exp(-i / 50), "seconds": i / 10} for i in range(1, n_steps + 1)]
    for row in rows[:: max(1, n_steps // 10)]:
        row["val_bits_per_byte"] = row["loss"] / 2
    return rows


def test_the_picture_is_xml_with_two_curves_and_labelled_points() -> None:
    rows = run(300)
    root = ElementTree.fromstring(curve_svg(rows, "shakespeare-001"))
    lines = {line.get("class"): line for line in root.iter(f"{SVG}polyline")}
    assert set(lines) == {"raw", "line", "held-out"}
    assert len(list(root.iter(f"{SVG}circle"))) == 10
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "shakespeare-001" in texts
    last = [row["val_bits_per_byte"] for row in rows if "val_bits_per_byte" in row][-1]
    assert f"{last:.3f}" in texts
    assert any("300 steps · 0:30 of training" in str(text) for text in texts)


def test_every_mark_lies_on_the_page() -> None:
    for n_steps in (1, 2, 7, 1000):
        root = ElementTree.fromstring(curve_svg(run(n_steps), "x"))
        for line in root.iter(f"{SVG}polyline"):
            for place in str(line.get("points")).split():
                x, y = map(float, place.split(","))
                assert 60 <= x <= 740
                assert 90 <= y <= 455


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"step": 1, "loss": 3.0}],
        [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 3.0}],
        [{"step": 1, "loss": math.nan, "seconds": 1.0}, {"step": 2, "loss": math.inf}],
    ],
)
def test_a_run_with_little_to_show_still_has_a_picture(rows: list[dict[str, float]]) -> None:
    ElementTree.fromstring(curve_svg(rows, "x"))
    curve_text(rows, 40, 6)


def test_a_title_is_text_and_no_markup() -> None:
    root = ElementTree.fromstring(curve_svg(run(3), '<script>alert("&")</script>'))
    assert not list(root.iter(f"{SVG}script"))


def test_a_long_run_makes_no_large_file() -> None:
    assert len(curve_svg(run(100_000), "x")) < 40 * MOST_POINTS


@given(st.integers(2, 400), st.integers(20, 100), st.integers(4, 20))
def test_the_small_curve_keeps_to_its_size(n_steps: int, width: int, height: int) -> None:
    lines = curve_text(run(n_steps), width, height).splitlines()
    assert len(lines) == height
    assert max(map(len, lines)) == width


def test_the_small_curve_falls_from_the_upper_left_to_the_lower_right() -> None:
    lines = curve_text([{"step": i, "loss": 10.0 - i} for i in range(10)], 30, 6).splitlines()
    drawn = [[i for i, character in enumerate(line) if "\u2801" <= character <= "\u28ff"] for line in lines[:-1]]
    assert all(drawn)
    assert drawn[0][0] < drawn[-1][0]
    assert lines[0].startswith("10.00 │")
    assert lines[-2].startswith(" 1.0") or lines[-2].startswith(" 1.")
    assert lines[-1].endswith("9")


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 10))
def test_ticks_are_round_cover_the_span_and_are_few(low: float, size: float, count: int) -> None:
    found = ticks(low, low + size, count)
    apart = found[1] - found[0]
    assert found[0] <= low + apart * 1e-6
    assert found[-1] >= low + size - apart * 1e-6
    assert 2 <= len(found) <= 2 * count + 2


def test_smoothing_keeps_a_straight_line_in_the_middle_and_a_constant_everywhere() -> None:
    line = [(float(i), 3.0 * i) for i in range(400)]
    for (_, expected), (_, found) in list(zip(line, smoothed(line), strict=True))[:380]:
        assert found == pytest.approx(expected)
    assert {y for _, y in smoothed([(float(i), 2.0) for i in range(50)])} == {2.0}


def test_durations_read_like_a_clock() -> None:
    assert [duration(seconds) for seconds in (7.4, 180, 3723)] == ["0:07", "3:00", "1:02:03"]
