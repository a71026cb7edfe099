"""After stage 4: `first-gpt` trains with the learner's parts, and then with the library's: two curves to compare.

Both runs see the same batches in the same order, from the same first weights. If the parts do the same arithmetic the
two curves are one; where a part is right but adds up in another order, they part company in the last digits only.

Read next: `talk.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ... import files
from ...report import SILENT, Report
from ...training import Parts, load_config, train
from ...training.curve import Row, curve_svg, points
from ...training.metrics import read_metrics

STEPS = 300
NAMES = {"yours": "payoff-yours", "library": "payoff-library"}
PICTURE = "yours-and-library.svg"


@dataclass(frozen=True)
class Race:
    """Both runs. apart: the largest difference of their losses, in nats."""

    yours: list[Row]
    library: list[Row]
    apart: float
    same_weights: bool  # to the last bit, after the last step
    speed: float  # of the learner's parts, as a share of the library's plain ones
    run_dir: Path
    picture: Path


def race(folder: Path, parts: Parts, *, steps: int = STEPS, report: Report = SILENT) -> Race:
    """Train twice, into runs/ of the workspace."""
    config = load_config("first-gpt", [f"training.steps={steps}", "training.parts=plain"])
    results = {
        who: train(config, next_run(folder / "runs", NAMES[who]), parts=chosen, report=report)
        for who, chosen in (("yours", parts), ("library", Parts()))
    }
    rows = {who: read_metrics(result.run_dir / "metrics.jsonl") for who, result in results.items()}
    losses = {who: dict(points(of, "loss")) for who, of in rows.items()}
    yours, library = (results[who].model.state_dict() for who in ("yours", "library"))
    picture = results["yours"].run_dir / PICTURE
    files.write_text(picture, curve_svg(rows["yours"], "first-gpt with your own parts", beside=rows["library"]))
    return Race(
        yours=rows["yours"],
        library=rows["library"],
        apart=max(abs(loss - losses["library"][step]) for step, loss in losses["yours"].items()),
        same_weights=all(tensor.equal(library[name]) for name, tensor in yours.items()),
        speed=results["library"].seconds / results["yours"].seconds,
        run_dir=results["yours"].run_dir,
        picture=picture,
    )


def next_run(folder: Path, name: str) -> Path:
    """A run directory that is not there yet."""
    return next(path for i in range(1, 10_000) if not (path := folder / f"{name}-{i:03d}").exists())
