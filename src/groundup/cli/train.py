"""`groundup train`: from a preset, or a TOML file, to a trained model."""

from __future__ import annotations

import re
import shlex
import sys
import time
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError
from .main import Session
from .terminal import indented, say, say_json, styled, visible
from .view import LiveView, finite_or_none, say_curve, say_next, view_for

if TYPE_CHECKING:
    from ..training import TrainConfig, TrainResult

DEFAULT, DEFAULT_WITH_PARTS = "shakespeare", "first-gpt"
FIRST_WORDS = {"shakespeare": "ROMEO:", "the-verdict": "I had always thought", "chinese": "却说"}


@click.command()
@click.argument("preset", required=False)
@click.option(
    "--run-dir", type=Path, metavar="DIR", help="Where the run is kept; without it, runs/PRESET-001 and so on."
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting, e.g. training.steps=500."
)
@click.option("--resume", is_flag=True, help="Go on where the run in --run-dir was stopped.")
@click.option("--accept-new-data", is_flag=True, help="Go on although the data are not those of before.")
@click.option(
    "--parts", "folder", type=Path, metavar="DIR", help="Train with your own parts, from the .py files there."
)
@click.option("--json", "as_json", is_flag=True, help="Write the result as one line of JSON; progress goes to stderr.")
@click.pass_obj
def train(
    session: Session,
    *,
    preset: str | None,
    run_dir: Path | None,
    settings: tuple[str, ...],
    resume: bool,
    accept_new_data: bool,
    folder: Path | None,
    as_json: bool,
) -> int:
    """Train a model.

    PRESET is shakespeare (the default: the best that three minutes on a CPU can learn), first-gpt (what the book
    builds; the default with --parts), talk (the same for longer: the model of `learn talk`), chinese, gpt2-124m, or the
    path of a TOML file.

    Stop with Ctrl-C at any time: the state is saved, and --resume goes on from there.
    """
    from ..training import Parts, load_config
    from ..training import train as run_training

    preset = preset or chosen_preset(run_dir, resume, with_parts=folder is not None)
    config = load_config(preset, settings)
    parts = Parts.from_folder(folder) if folder is not None else None
    session.own_parts = tuple(sorted(parts.own)) if parts is not None else ()
    session.run_dir = run_dir if run_dir is not None and run_dir.is_dir() else None
    began = time.monotonic()
    with view_for(session, as_json) as view:
        result = run_training(
            config,
            run_dir,
            resume=resume,
            accept_new_data=accept_new_data,
            parts=parts,
            report=view,
            name=run_name(preset),
        )
    if as_json:
        say_json(as_json_object(result))
    else:
        say_result(result, view.sample_text if isinstance(view, LiveView) else "", in_all=time.monotonic() - began)
        say_next(next_commands(result, config, preset, folder))
    return 0


def chosen_preset(run_dir: Path | None, resume: bool, with_parts: bool) -> str:
    """What to train when no preset is named: what the run to be resumed was, or the default."""
    if resume and run_dir is None:
        raise ConfigError(
            "--resume needs to know which run",
            where="groundup train",
            fix=f"name it with --run-dir{newest_run()}",
            code="CLI_USAGE",
        )
    if resume and run_dir is not None and (run_dir / "config.toml").is_file():
        return str(run_dir / "config.toml")
    return DEFAULT_WITH_PARTS if with_parts else DEFAULT


def newest_run() -> str:
    """The last run of this folder, as an example; empty where there is none."""
    runs = sorted(path.parent for path in Path("runs").glob("*/status.json"))
    return f", for example --run-dir {shlex.quote(str(max(runs, key=lambda run: run.stat().st_mtime)))}" if runs else ""


def run_name(preset: str) -> str:
    """What the run's folder is called after: the preset, the TOML file, or the run that a config.toml came from."""
    if not preset.endswith(".toml"):
        return Path(preset).name
    path = Path(preset).absolute()
    return re.sub(r"-\d{3,}$", "", path.parent.name) or "run" if path.stem == "config" else path.stem


def as_json_object(result: TrainResult) -> dict[str, object]:
    """The result as a program reads it."""
    return {
        "run_dir": str(result.run_dir),
        "step": result.step,
        "loss": finite_or_none(result.loss),
        "val_bits_per_byte": finite_or_none(result.val_bits_per_byte),
        "seconds": result.seconds,
        "parameters": sum(parameter.numel() for parameter in result.model.parameters()),
    }


def say_result(result: TrainResult, sample: str, in_all: float) -> None:
    """What came out, and where it is. in_all: the seconds since the command began, with all that is not training."""
    from ..report import duration
    from ..training.metrics import read_metrics

    if sample:
        say(f"\n{_('what it writes now')}\n{indented(visible(sample.strip()), '  | ')}")
    say_curve(read_metrics(result.run_dir / "metrics.jsonl"))
    say()
    say(
        _(
            "{steps} steps in {time} of training, {total} with reading, measuring and samples: "
            "loss {loss}, {value} bits per byte on the held-out text"
        ).format(
            steps=f"{result.step:,}",
            time=duration(result.seconds),
            total=duration(in_all),
            loss=f"{result.loss:.3f}",
            value=styled(f"{result.val_bits_per_byte:.3f}", sys.stdout, bold=True),
        )
    )
    say(_("everything is in {folder}; the curve as a picture: {picture}").format(
        folder=result.run_dir, picture=result.run_dir / "loss.svg"
    ))  # fmt: skip


def first_words(path: str) -> str:
    """What a text may begin with that the model of this config.toml is to go on with; `./try` asks for it."""
    from ..training import load_config

    return words_for(load_config(path))


def words_for(config: TrainConfig) -> str:
    """What a text like the one that was learnt may begin with."""
    return FIRST_WORDS[config.data.corpus] if config.data.train is None else config.evaluation.prompt.strip() or "The"


def next_commands(result: TrainResult, config: TrainConfig, preset: str, folder: Path | None) -> list[tuple[str, str]]:
    """Three things to do with what was just trained: (command, what it does)."""
    words = words_for(config)
    run = shlex.quote(str(result.run_dir))
    parts = f" --parts {shlex.quote(str(folder))}" if folder is not None else ""
    generate = f"groundup generate {run} {shlex.quote(words)}{parts}"
    # The run's own config holds all that was set for it: its text, its parts, its sizes.
    resolved = shlex.quote(str(result.run_dir / "config.toml"))
    longer = f"groundup train {resolved}{parts} --set training.steps={2 * result.step}"
    is_shakespeare = config.data.train is None and config.data.corpus == "shakespeare"
    third = {
        "shakespeare": (
            "groundup train first-gpt --parts my_llm",
            _("train with your own parts, from a folder my_llm"),
        ),
        "first-gpt": ("groundup train shakespeare", _("see what a modern design makes of the same text")),
    }.get(preset if folder is None and is_shakespeare else "", (longer, _("learn for twice as long")))
    return [
        (f"{generate} --temperature 0.8", _("let it write")),
        (f"{generate} --compare", _("see how the way of choosing makes the style")),
        third,
    ]
