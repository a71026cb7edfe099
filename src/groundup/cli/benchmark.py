"""A benchmark as a record: what was measured, with what, on which machine, how often, and how far the runs differ.

A speed means something only beside another one from the same machine and the same hour, so what counts are the ratios.
The record is one TOML file, `benchmarks/<what>_<machine>_<date>.toml`; tables in the documentation are made from these.
"""

from __future__ import annotations

import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from gettext import gettext as _
from importlib import metadata
from pathlib import Path

from .. import __version__, files
from ..config import to_toml
from .models import Notes
from .terminal import say, say_json, table

FEWEST_RUNS = 3
PACKAGES = ("torch", "numpy", "tokenizers", "tiktoken")


@dataclass(frozen=True)
class Benchmark:
    """One measurement: the runs of each way of doing a thing, and the ratios that they make."""

    about: dict[str, object]
    versions: dict[str, str]
    machine: dict[str, object]
    runs: dict[str, list[float]]
    median: dict[str, float]
    spread: dict[str, float]  # from the slowest run to the fastest, as a part of the median
    ratios: dict[str, float]


def measure(ways: Mapping[str, Callable[[], float]], n_runs: int) -> dict[str, list[float]]:
    """Run every way n_runs times, in turns, so that a slow minute of the machine is nobody's fault alone."""
    runs: dict[str, list[float]] = {name: [] for name in ways}
    turns = [name for _number in range(n_runs) for name in ways]
    progress = Notes().progress
    for done, name in enumerate(turns):
        progress(name, done, len(turns))
        runs[name].append(ways[name]())
    progress("", len(turns), len(turns))
    return runs


def benchmark(
    about: Mapping[str, object], runs: dict[str, list[float]], ratios: Mapping[str, tuple[str, str]]
) -> Benchmark:
    """The record of some runs; ratios: name -> (what is divided, by what)."""
    median = {name: statistics.median(values) for name, values in runs.items()}
    return Benchmark(
        about={"command": shlex.join(["groundup", *sys.argv[1:]]), "date": time.strftime("%Y-%m-%d"), **about},
        versions=versions(),
        machine=machine(),
        runs={name: [round(value, 1) for value in values] for name, values in runs.items()},
        median={name: round(value, 1) for name, value in median.items()},
        spread={name: round((max(values) - min(values)) / median[name], 3) for name, values in runs.items()},
        ratios={
            name: round(median[top] / median[bottom], 3)
            for name, (top, bottom) in ratios.items()
            if {top, bottom} <= median.keys()  # a peer may not be installed
        },
    )


def versions() -> dict[str, str]:
    """Of groundup, with its commit where it is a checkout, of Python, and of what is installed of PACKAGES."""
    found = {"groundup": __version__, "commit": commit(), "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The commit that the code comes from; empty for an installed package."""
    folder = Path(__file__).parent
    try:
        asked = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return asked.stdout.strip()


def machine() -> dict[str, object]:
    """What it ran on."""
    import torch

    found: dict[str, object] = {
        "system": platform.platform(terse=True),
        "processor": processor(),
        "cores": os.cpu_count() or 0,
        "threads": torch.get_num_threads(),
    }
    return found | ({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {})


def processor() -> str:
    """The processor's name, where the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def show(result: Benchmark, unit: str, as_json: bool, out: Path | None) -> int:
    """Write the record to a file, and to the screen in the form asked for."""
    if out is not None:
        files.write_text(out, to_toml(result))
    if as_json:
        say_json(asdict(result))
        return 0
    head = ["", unit, _("spread")]
    rows = [[shown(name), f"{value:,.0f}", f"{result.spread[name]:.0%}"] for name, value in result.median.items()]
    say(table([head, *rows]))
    say()
    say(table([[shown(name), f"{value:.2f} ×"] for name, value in result.ratios.items()]))
    if out is not None:
        say(f"\n{_('written to')} {out}")
    return 0


def shown(name: str) -> str:
    """A name of the record, as words."""
    return name.replace("_", " ")
