"""A run from its config to its last checkpoint: everything around the loop.

The texts are read before a folder is made, so that a misspelt path leaves nothing behind. Then the folder is locked,
the tokenizer trained or found, the state made or restored; the loop runs; and however it ends, by the last step, by a
signal or by an error, status.json says how, and what could be saved is saved.

Read next: `curve.py`, which draws what happened.
"""

from __future__ import annotations

import dataclasses
import math
import os
import platform
import shlex
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from .. import __version__, files
from ..errors import (
    REQUEST_WRONG,
    ConfigError,
    DataError,
    GroundupError,
    Interrupted,
    is_out_of_memory,
    out_of_memory,
    quoted,
)
from ..model.transformer import Transformer
from ..report import SILENT, Report, Sentence
from ..text.batches import Windows
from ..text.loader import Loader
from ..text.tokenizer import Tokenizer
from ..weights.checkpoint import clean_leftovers, has_checkpoints, newest_checkpoint
from .config import TrainConfig
from .curve import curve_svg
from .data import RunIds, Shards, Texts, read_data, require_enough
from .loop import Loop, note_short_run
from .memory import require_memory
from .metrics import read_metrics
from .parts import Parts, fault_of_own_parts
from .run_directory import RunDirectory, next_free
from .signals import StopFlag
from .state import new_state, restore


@dataclass(frozen=True)
class TrainResult:
    """How a run ended."""

    run_dir: Path
    step: int
    loss: float
    val_bits_per_byte: float
    seconds: float  # of training alone
    model: Transformer
    tokenizer: Tokenizer


def train(
    config: TrainConfig | None = None,
    run_dir: str | Path | None = None,
    *,
    resume: bool = False,
    accept_new_data: bool = False,
    parts: Parts | None = None,
    report: Report = SILENT,
    name: str = "run",
) -> TrainResult:
    """Train a model as the config says, in a run directory; with resume, go on where the last checkpoint stands.

    Without run_dir the run goes to runs/NAME-001, -002 and so on. Raises errors of the groundup family; whatever ends
    the run early also stands in its status.json.
    """
    config, parts = config or TrainConfig(), parts or Parts()
    parts.check(config)
    # NumPy computes on the CPU alone: there, "auto" has nothing to choose from.
    device = choose_device("cpu" if config.training.parts == "numpy" else config.training.device)
    if device.type == "cpu":
        require_memory(config)
    path = Path(run_dir) if run_dir is not None else next_free(Path("runs"), name)
    files.require_writable(path)  # before the texts are read, which may take long
    report.phase("data")
    data = read_data(config.data)
    with RunDirectory(path, report) as run:
        if run.exists and not resume:
            raise ConfigError(
                "a run is already here", where=str(path), fix="add --resume, or name another folder", code="RUN_EXISTS"
            )
        if resume and not run.exists:
            report.note(Sentence("there is no run in {path} yet: a new one begins", path=path))
        loop: Loop | None = None
        with StopFlag(lambda: _give_up(run, loop)) as stop, configured_torch(config):
            try:
                loop = _prepare(run, config, parts, data, device, report, stop, accept_new_data=accept_new_data)
                loop.run()
                return _finish(loop)
            except Interrupted:
                raise _interrupted(run, loop) from None
            except BaseException as error:  # it goes on its way, but does not leave "running" behind
                known = _known(error, loop, parts)
                if loop is not None and known.code == "WORKER_LOST":  # the step had not begun: the state is whole
                    loop.save()
                if loop is None and run.is_new and (known.status == REQUEST_WRONG or isinstance(known, DataError)):
                    run.discard()  # nothing was begun: nothing stays
                elif loop is not None or not run.was_there:  # a request that was refused changes nothing about the run
                    run.write_status("failed", _step_of(loop), known, saved_step=loop.saved_step if loop else None)
                if known.code == "MEM":
                    raise known from error
                raise
            finally:
                if loop is not None:
                    loop.metrics.close()
                    loop.data.close()


# --- before the first step --------------------------------------------------------------------------------------------


def _prepare(
    run: RunDirectory,
    config: TrainConfig,
    parts: Parts,
    data: Texts | Shards,
    device: torch.device,
    report: Report,
    stop: StopFlag,
    *,
    accept_new_data: bool,
) -> Loop:
    """All that the loop needs; the run's folder begun, or found to be the one wanted."""
    begun = run.exists
    if begun:
        run.require_config(config)
    else:
        run.write_status("running", 0)
    report.phase("tokenizer")
    tokenizer = _tokenizer(run, config, data)
    _check_vocabulary(tokenizer, config, report)
    stop.check()
    report.phase("ids")
    ids = data.ids(tokenizer, stop.check)
    for what, n_tokens in (("training", len(ids.train)), ("held-out", len(ids.val))):
        require_enough(n_tokens, config.model.context_length, data.name, what)
    if ids.damage is not None and not begun:  # of a run that was begun, it is another text now
        raise ids.damage
    stop.check()
    report.phase("model")
    state = new_state(config, parts, device)
    state.document_end = _document_end(tokenizer, config)
    loop = Loop(state, _batches(config, ids, report), ids.val, tokenizer, run=run, report=report, stop=stop)
    facts = _facts(config, parts, ids, tokenizer)
    if begun:
        for difference in run.go_on(facts, accept_new_data=accept_new_data):
            report.warn(difference)
        _go_on(loop)
    else:
        tokenizer.save(run.path / "tokenizer")
        run.begin(config, facts)  # writes run.json, which says that a run is here: last, so that all of it is
    run.write_status("running", state.step)
    _announce(loop, parts, len(ids.train))
    return loop


def _batches(config: TrainConfig, ids: RunIds, report: Report) -> Windows | Loader:
    """The windows of the training text; those of shards are read by data.workers processes."""
    windows = Windows(ids.train, config.model.context_length, config.training.seed, config.data.shuffle)
    if config.data.workers and not ids.folders:
        report.note(Sentence("data.workers is for shards (groundup prepare): this text is in memory"))
    if config.data.workers and ids.folders:
        return Loader(windows, ids.wanted(config), config.data.workers, report.warn)
    return windows


def _tokenizer(run: RunDirectory, config: TrainConfig, data: Texts | Shards) -> Tokenizer:
    """The run's own tokenizer on resume, the one that the config names, the shards', or a new one."""
    if run.exists and (run.path / "tokenizer").exists():
        return Tokenizer.load(run.path / "tokenizer")
    if config.data.tokenizer is not None:
        return Tokenizer.load(config.data.tokenizer)
    return data.new_tokenizer(config.model.vocab_size, config.data.pattern)


def _check_vocabulary(tokenizer: Tokenizer, config: TrainConfig, report: Report) -> None:
    n_ids, n_rows = tokenizer.vocab_size, config.model.vocab_size
    if n_ids > n_rows:
        raise ConfigError(
            f"the tokenizer has {n_ids:,} ids and the model {n_rows:,} rows for them",
            where="model.vocab_size",
            fix=f"set model.vocab_size={n_ids} or more",
            code="TOK_MATCH",
        )
    if n_ids < n_rows:
        report.note(
            Sentence(
                "the model has {rows:,} rows and the tokenizer {ids:,} ids: the rest stay unused",
                rows=n_rows,
                ids=n_ids,
            )
        )


def _document_end(tokenizer: Tokenizer, config: TrainConfig) -> int | None:
    """The token at which attention stops; None where it goes on. Raises ConfigError where there is no such token."""
    if config.data.documents == "cross":
        return None
    if tokenizer.end_of_text is None:
        raise ConfigError(
            "data.documents is mask, and the tokenizer has no token for the end of a text",
            where="data.documents",
            fix="use cross, or a tokenizer with <|endoftext|>",
        )
    return tokenizer.end_of_text


def _facts(config: TrainConfig, parts: Parts, ids: RunIds, tokenizer: Tokenizer) -> dict[str, object]:
    """What run.json says of a run besides its name: what decides the result, and what may change its last bits."""
    return {
        "seed": config.training.seed,
        "threads": torch.get_num_threads(),
        "groundup": __version__,
        "torch": torch.__version__,
        "machine": platform.machine(),
        "own_parts": parts.source_sha256,
        "tokenizer_sha256": tokenizer.sha256,
        "data_sha256": ids.sha256,
    }


def _go_on(loop: Loop) -> None:
    """Restore the newest whole checkpoint; a run that never saved one begins again at step 0."""
    checkpoints = loop.run_directory.checkpoints
    clean_leftovers(checkpoints)
    if has_checkpoints(checkpoints):
        restore(loop.state, newest_checkpoint(checkpoints, loop.report, run_id=loop.run_directory.run_id))
        loop.saved_step = loop.state.step
    loop.seconds = loop.metrics.cut(loop.state.step)
    state, training = loop.state, loop.state.config.training
    if training.steps is None and state.total_steps is not None:  # a budget that the run has turned into steps since
        state.config = dataclasses.replace(
            state.config, training=dataclasses.replace(training, steps=state.total_steps)
        )
    loop.run_directory.keep_config(state.config)
    if state.total_steps is not None and state.step >= state.total_steps:
        loop.report.note(
            Sentence(
                "the run was done already, after step {step}: to go on, add --set training.steps={more}",
                step=state.step,
                more=2 * state.step,
            )
        )


def _announce(loop: Loop, parts: Parts, n_train_tokens: int) -> None:
    """Say what is about to be trained, and with whose parts."""
    state, config, report = loop.state, loop.state.config, loop.report
    note_short_run(state, report)
    for sentence in parts.news(config):
        report.note(sentence)
    report.started(
        {
            "run_dir": str(loop.run_directory.path),
            "step": state.step,
            "steps": state.total_steps,
            "seconds": config.training.seconds,
            "parameters": sum(parameter.numel() for parameter in state.model.parameters()),
            "train_tokens": n_train_tokens,
            "val_tokens": len(loop.held_out),
            "device": str(state.device),
            "threads": torch.get_num_threads(),
        }
    )


# --- after the last step ----------------------------------------------------------------------------------------------


def _finish(loop: Loop) -> TrainResult:
    """Save and draw what came out."""
    run, state = loop.run_directory, loop.state
    loop.save(last=True)
    loop.doing = "drawing the curve"
    rows = read_metrics(loop.metrics.path)
    run.keep("loss.svg", curve_svg(rows, title=run.path.name))
    lost = loop.metrics.n_lost
    run.write_status("done", state.step, saved_step=state.step, seconds=loop.seconds, lost_log_lines=lost)
    loop.report.phase("done")
    # What this process has seen counts more than the file, which may lack lines; a run that was done has only the file.
    latest = {key: value for row in rows for key, value in row.items()} | loop.latest
    loss, value = latest.get("loss", math.nan), latest.get("val_bits_per_byte", math.nan)
    return TrainResult(run.path, state.step, loss, value, loop.seconds, state.model.eval(), loop.tokenizer)


def _interrupted(run: RunDirectory, loop: Loop | None) -> Interrupted:
    """Save the state after the last whole step, and say how to go on."""
    where = str(run.path)
    if loop is None and run.was_there:
        return Interrupted("stopped before it went on: nothing has changed", where=where)
    if loop is None or loop.state.step == 0:
        answer = Interrupted("stopped before the first step: nothing to save yet", where=where)
        run.write_status("interrupted", 0, answer, saved=False)
        return answer
    step = loop.state.step
    try:
        loop.save()
    except GroundupError as failure:
        answer = Interrupted(f"stopped after step {step}, and not saved: {failure.what}", where=where, fix=failure.fix)
        run.write_status("interrupted", step, answer, saved=False)
        return answer
    saved = loop.saved_step == step
    parts = f" --parts {shlex.quote(loop.state.parts.folder)}" if loop.state.parts.folder else ""
    answer = Interrupted(
        f"stopped after step {step}; the state is {'saved' if saved else 'not saved'}",
        where=where,
        fix=f"go on with: groundup train --run-dir {shlex.quote(where)} --resume{parts}",
    )
    run.write_status("interrupted", step, answer, saved=saved)
    return answer


def _give_up(run: RunDirectory, loop: Loop | None) -> None:
    """Time is up, or the user insists: say how it stands. Called at any moment, even in the middle of a write."""
    saved_step, step = (loop.saved_step if loop is not None else None), _step_of(loop)
    saved = step > 0 and saved_step == step
    what = f"stopped after step {step}; the state is saved" if saved else "stopped before the state could be saved"
    answer = Interrupted(what, where=str(run.path))
    report, run.report = run.report, SILENT  # whatever it shows may be half shown: it gets the one call that is meant
    if loop is not None or not run.was_there:
        run.write_status("interrupted", step, answer, saved=saved, saved_step=saved_step)
    report.cut_short(answer)


def _known(error: BaseException, loop: Loop | None, parts: Parts) -> GroundupError:
    """The error as status.json gives it."""
    if isinstance(error, GroundupError):
        return error
    if is_out_of_memory(error):
        return out_of_memory(
            error, loop.doing if loop is not None else "preparing the text, the tokenizer and the model"
        )
    if loop is not None and parts.own and isinstance(error, Exception):
        return fault_of_own_parts(error, parts.own)
    return GroundupError(repr(error), code="BUG")


def _step_of(loop: Loop | None) -> int:
    return 0 if loop is None else loop.state.step


# --- the machine ------------------------------------------------------------------------------------------------------


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" is CUDA or MPS where there is one. Raises ConfigError DEVICE otherwise."""
    present = ["cpu"]
    present += ["cuda"] if torch.cuda.is_available() else []
    present += ["mps"] if torch.backends.mps.is_available() else []
    if name == "auto":
        return torch.device(present[-1])
    kind, _, number = name.partition(":")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if kind not in present or (":" in name and not (number.isdecimal() and int(number) < count)):
        raise ConfigError(
            f"there is no device {quoted(name)} here",
            where="training.device",
            fix=f"use one of auto, {', '.join(present)}",
            code="DEVICE",
            status=3,
        )
    return torch.device(name)


@contextmanager
def configured_torch(config: TrainConfig) -> Generator[None]:
    """Threads and determinism as the config asks, and as before afterwards."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    if config.training.threads is not None:
        torch.set_num_threads(config.training.threads)
    if config.training.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it to be the same twice
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if config.training.deterministic:  # the call loads the compiler, which takes two seconds: only where needed
            torch.use_deterministic_algorithms(deterministic)
