"""How long a learner waits for the checker: cold, after a save, and for a whole workspace.

    python benchmarks/checker_speed.py

The workspace holds the library's own text of every part. Limits: 4 s for a cold check, 1 s for one of a part without
tensors, 1 s from a save to the verdict, 60 core-seconds for the whole workspace. Other work on the machine counts.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from groundup.path.catalog import catalog, path_order
from groundup.path.lending import library_stage
from groundup.path.session import Session
from groundup.path.texts import units
from groundup.path.workspace import Workspace, make_workspace

ROUNDS = 5
COLD, COLD_PLAIN, AFTER_SAVE, WHOLE = 4.0, 1.0, 1.0, 60.0


def main() -> None:
    """Measure, and print each figure beside its limit."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "my_llm"
        make_workspace(folder)
        for stage in path_order():
            (folder / stage["file"]).write_text(library_stage(stage["number"]), encoding="utf-8")
        plain = next(name for name, part in catalog().items() if not part.uses_torch and part.stage == 1)
        report("cold check of softmax", cold(folder, "softmax"), COLD)
        report("cold check of gpt_forward", cold(folder, "gpt_forward"), COLD)
        report(f"cold check of {plain}, without torch", cold(folder, plain), COLD_PLAIN)
        for name in ("softmax", "multi_head_attention", "gpt_forward", "train_step"):
            report(f"save to verdict, {name}", after_save(folder, name), AFTER_SAVE)
        report("the whole workspace, core-seconds", [whole(folder)], WHOLE)


def report(what: str, seconds: list[float], limit: float) -> None:
    """One line: the median, the worst, the limit."""
    print(f"{what:42} {statistics.median(seconds):6.2f} s  worst {max(seconds):6.2f} s  limit {limit:.0f} s")


def command(folder: Path, *words: str) -> None:
    """Run groundup in the workspace. Raises CalledProcessError when it does not say yes."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-m", "groundup", *words], cwd=folder, env=environment, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip


def cold(folder: Path, part: str) -> list[float]:
    """Seconds of whole commands."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        command(folder, "check", part)
        seconds.append(time.perf_counter() - began)
    return seconds


def after_save(folder: Path, part: str) -> list[float]:
    """Seconds of a verdict in a sitting, where the server is warm."""
    seconds = []
    with Session(Workspace(folder), "en") as session:
        session.unit = units()[catalog()[part].unit]
        for round_ in range(ROUNDS + 1):
            began = time.perf_counter()
            (answer,) = session.check_part(part)
            assert answer.passed, answer
            if round_:  # the first one waits for the server
                seconds.append(time.perf_counter() - began)
    return seconds


def whole(folder: Path) -> float:
    """Core-seconds of `groundup check` and of all that it starts."""
    before = os.times()
    command(folder, "check")
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


if __name__ == "__main__":
    main()
