"""The training loop, and everything around it: a run from its config to its last checkpoint.

The loop itself is short: take a step, and now and then measure, write a sample, save. What surrounds it makes the loop
safe to stop at any moment and exact to resume: the data's order, dropout and the schedule follow from the step number
alone, so that a state on disk is a model, an optimizer's memory and a few numbers.

Read next: `curve.py`, which draws what happened.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .. import __version__, files
from ..config import build, read_toml
from ..errors import ConfigError, DivergedError, GroundupError, Interrupted
from ..evaluation import bits_per_byte
from ..generation import Sample, stream_text
from ..model.transformer import Transformer
from ..randomness import derived_generator
from ..report import SILENT, Report
from ..text.batches import Batch, Windows
from ..text.tokenizer import Tokenizer
from ..weights.checkpoint import Checkpoint, clean_leftovers, has_checkpoints, newest_checkpoint, prune, save_checkpoint
from .clipping import global_norm
from .config import TrainConfig
from .curve import curve_svg
from .data import Texts, count_bytes, encode_documents, read_texts, require_enough
from .flat_optimizer import FlatOptimizer, fused_optimizer_step
from .optimizers import make_optimizer
from .parts import Parts
from .precision import LossScale
from .run_directory import RunDirectory, next_free
from .schedule import constant_learning_rate, linear_learning_rate
from .signals import StopFlag
from .step import StepReport, TrainState, take_step

CALIBRATION_STEPS = 20  # after so many steps a time budget becomes a number of steps
RATIO_EVERY = 10  # steps between two measurements of how far a step moved the weights


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
    parts: Parts | None = None,
    report: Report = SILENT,
    name: str = "run",
) -> TrainResult:
    """Train a model as the config says, in a run directory; with resume, go on where the last checkpoint stands.

    Without run_dir the run goes to runs/NAME-001, -002 and so on. Raises errors of the groundup family only; whatever
    ends the run early also stands in its status.json.
    """
    config = config or TrainConfig()
    parts = parts or Parts()
    parts.check(config)
    report.phase("data")
    texts = read_texts(config.data)  # before a folder is made: a missing file leaves nothing behind
    path = Path(run_dir) if run_dir is not None else next_free(Path("runs"), name)
    with RunDirectory(path) as run:
        if run.exists and not resume:
            raise ConfigError(
                "a run is already here", where=str(path), fix="add --resume, or name another folder", code="RUN_EXISTS"
            )
        return _Run(run, config, parts, report, texts).execute()


class _Run:
    """One run in progress: what the loop needs besides the state."""

    def __init__(self, run: RunDirectory, config: TrainConfig, parts: Parts, report: Report, texts: Texts) -> None:
        self.run, self.config, self.parts, self.report, self.texts = run, config, parts, report, texts
        self.device = choose_device(config.training.device)
        self.state: TrainState | None = None
        self.saved_step = -1
        self.failed_saves = 0
        self.seconds = 0.0
        self.pending: list[dict[str, float]] = []  # rows of metrics.jsonl that are not yet written
        self.flushed = 0.0

    @property
    def _step(self) -> int:
        return 0 if self.state is None else self.state.step

    def execute(self) -> TrainResult:
        """Run to the end; however it ends, status.json says so."""
        self.run.write_status("running", self._step)
        with StopFlag(
            lambda: self.run.write_status("interrupted", self._step, Interrupted("out of time"), saved=False)
        ) as stop:
            try:
                with configured_torch(self.config):
                    self._prepare(stop)
                    self._loop(stop)
                    return self._finish()
            except Interrupted as error:
                raise self._interrupted(error) from None
            except BaseException as error:  # whatever it is, it goes on its way; but it does not leave "running" behind
                known = error if isinstance(error, GroundupError) else GroundupError(f"{error!r}", code="BUG")
                self.run.write_status("failed", self._step, known, saved_step=self.saved_step)
                raise
            finally:
                self._flush_metrics()

    # --- before the first step ------------------------------------------------------------------------------------

    def _prepare(self, stop: StopFlag) -> None:
        config, run, report = self.config, self.run, self.report
        begun = run.exists
        report.phase("tokenizer")
        tokenizer = self._tokenizer(begun)
        stop.check()
        train_ids, val_ids = (encode_documents(tokenizer, texts) for texts in (self.texts.train, self.texts.val))
        for what, ids in (("training", train_ids), ("held-out", val_ids)):
            require_enough(len(ids), config.model.context_length, self.texts, what)
        stop.check()
        facts = {
            "seed": config.training.seed,
            "threads": torch.get_num_threads(),
            "groundup": __version__,
            "torch": torch.__version__,
            "machine": platform.machine(),
            "own_parts": self.parts.source_sha256,
            "tokenizer_sha256": tokenizer.sha256,
            "data_sha256": self.texts.sha256,
        }
        before = build(TrainConfig, read_toml(run.path / "config.toml"), str(run.path)) if begun else None
        length, seed = config.model.context_length, config.training.seed
        self.data = Windows(torch.tensor(train_ids), length, seed, config.data.shuffle, where=self.texts.name)
        self.val_ids, self.tokenizer = torch.tensor(val_ids), tokenizer
        self._check_vocabulary()
        report.phase("model")
        self.state = self._new_state()
        if before is not None:
            for difference in run.go_on(config, before, facts):
                report.warn(difference)
            self._resume()
        else:
            run.begin(config, facts)
            tokenizer.save(run.path / "tokenizer")
        self._announce(len(train_ids))

    def _tokenizer(self, begun: bool) -> Tokenizer:
        """The run's own tokenizer on resume, the one that the config names, or a new one from the training text."""
        if begun and (self.run.path / "tokenizer").exists():
            return Tokenizer.load(self.run.path / "tokenizer")
        if self.config.data.tokenizer is not None:
            return Tokenizer.load(self.config.data.tokenizer)
        return Tokenizer.train(self.texts.train, self.config.model.vocab_size, pattern=self.config.data.pattern)

    def _check_vocabulary(self) -> None:
        n_ids, n_rows = self.tokenizer.vocab_size, self.config.model.vocab_size
        if n_ids > n_rows:
            raise ConfigError(
                f"the tokenizer has {n_ids:,} ids and the model {n_rows:,} rows for them",
                where="model.vocab_size",
                fix=f"set model.vocab_size={n_ids} or more",
                code="TOK_MATCH",
            )
        if n_ids < n_rows:
            self.report.note(f"the model has {n_rows:,} rows and the tokenizer {n_ids:,} ids: the rest stay unused")

    def _new_state(self) -> TrainState:
        config, training = self.config, self.config.training
        parts = self.parts.fused() if training.parts == "fast" else self.parts
        model = Transformer(config.model, parts)
        model.init_weights(derived_generator("init", training.seed))
        model.to(self.device)
        if training.compile:
            model.hidden = torch.compile(model.hidden)
        optimizer = make_optimizer(
            model.named_parameters(),
            training.optimizer,
            weight_decay=training.weight_decay,
            betas=(training.beta1, training.beta2),
            muon_lr_scale=training.muon_lr / training.max_lr,
            decay_groups=parts.decay_groups,
        )
        if training.parts == "fast" and parts.chosen["optimizer_step"] is fused_optimizer_step:
            optimizer = FlatOptimizer(optimizer)
        scale = LossScale() if training.precision == "float16" else LossScale(scale=1.0)
        return TrainState(config, parts, model, optimizer, scale, total_steps=training.steps)

    def _resume(self) -> None:
        """Go on from the newest whole checkpoint; a run that never saved one begins again at step 0."""
        clean_leftovers(self.run.checkpoints)
        if not has_checkpoints(self.run.checkpoints):
            self.run.cut_metrics(0)
            return
        checkpoint = newest_checkpoint(self.run.checkpoints, self.report, run_id=self.run.run_id)
        assert self.state is not None
        restore(self.state, checkpoint)
        self.saved_step = self.state.step
        self.seconds = self.run.cut_metrics(self.state.step)

    def _announce(self, n_train_tokens: int) -> None:
        assert self.state is not None
        training, parts = self.config.training, self.parts
        steps = self.state.total_steps
        if steps is not None and steps <= training.warmup_steps:
            self.report.note(f"{steps} steps are no more than {training.warmup_steps} of warm-up: the rate only rises")
        if parts.own:
            self.report.note(f"own parts: {', '.join(sorted(parts.own - parts.not_used(self.config))) or 'none'}")
        if parts.lent:
            self.report.note(f"lent parts: {', '.join(sorted(parts.lent))}")
        if unused := parts.not_used(self.config):
            self.report.note(f"not used with this config: {', '.join(sorted(unused))}")
        self.report.started(
            {
                "run_dir": str(self.run.path),
                "step": self.state.step,
                "steps": steps,
                "seconds": training.seconds,
                "parameters": sum(parameter.numel() for parameter in self.state.model.parameters()),
                "train_tokens": n_train_tokens,
                "val_tokens": len(self.val_ids),
                "device": str(self.device),
                "threads": torch.get_num_threads(),
            }
        )

    # --- the loop -------------------------------------------------------------------------------------------------

    def _loop(self, stop: StopFlag) -> None:
        """Train until the last step, going on from wherever the state stands."""
        state, config = self.state, self.config
        assert state is not None
        self.report.phase("training")
        while state.total_steps is None or state.step < state.total_steps:
            self._learn(state, stop)
            if state.total_steps is None and state.step == CALIBRATION_STEPS:
                self._plan(state)
            if due(state, config.evaluation.every, times=10):
                self._evaluate(state, stop)
            if due(state, config.evaluation.samples_every, times=5):
                self._write_sample(state, stop)
            if due(state, config.checkpoint.every, times=5) or stop.save_asked:
                stop.save_asked = False
                self._save(state)
            stop.check()

    def _learn(self, state: TrainState, stop: StopFlag) -> None:
        """One step, and its line in metrics.jsonl."""
        start = time.perf_counter()
        inputs, targets = self.data.batch(
            state.step, self.config.training.batch_size, state.parts.next_token_windows
        )  # (B, T)
        lr = rate_at(state)
        measured = state.step % RATIO_EVERY == 0
        before = [parameter.detach().clone() for parameter in state.model.parameters()] if measured else []
        result = self._step_or_skip(state, inputs, targets, lr, stop)
        state.step += 1
        self.seconds += time.perf_counter() - start
        if result is None:
            return
        state.tokens += result.n_tokens
        row = {
            "step": state.step,
            "tokens": state.tokens,
            "loss": result.loss,
            "lr": lr,
            "grad_norm": result.grad_norm,
            "tokens_per_s": result.n_tokens / (time.perf_counter() - start),
            "seconds": self.seconds,
        }
        if measured:
            row["update_ratio"] = update_ratio(before, list(state.model.parameters()))
        if self.config.training.precision == "float16":
            row["loss_scale"] = state.loss_scale.scale
        if self.seconds - self.flushed >= 1:  # so that whoever watches the file sees the run move
            self._flush_metrics()
        self.pending.append(row)  # waits for the validation that may follow
        self.report.step(row | {"steps": state.total_steps or 0})

    def _step_or_skip(
        self, state: TrainState, inputs: Tensor, targets: Tensor, lr: float, stop: StopFlag
    ) -> StepReport | None:
        try:
            return take_step(state, inputs, targets, lr, stop.check)
        except DivergedError as error:
            if error.code == "NUM_SCALE" or not self._may_skip(state):
                raise
            state.skipped = [step for step in state.skipped if step > state.step - 1000] + [state.step]
            self.report.warn(f"step {state.step + 1} left out: {error.what}")
            for parameter in state.model.parameters():
                parameter.grad = None
            return None

    def _may_skip(self, state: TrainState) -> bool:
        """At most skip_nonfinite steps in a row, and ten in a thousand."""
        allowed = self.config.training.skip_nonfinite
        in_a_row = set(range(state.step - allowed, state.step))
        recent = [step for step in state.skipped if step > state.step - 1000]
        return allowed > 0 and not in_a_row <= set(recent) and len(recent) < 10

    def _plan(self, state: TrainState) -> None:
        """Turn the time budget into a number of steps, once and for all."""
        budget = self.config.training.seconds
        assert budget is not None
        # The first steps set memory up and are slow: count the later ones.
        rows = self.pending[CALIBRATION_STEPS // 4 :]
        typical = sorted(row["seconds"] - before["seconds"] for before, row in zip(rows, rows[1:], strict=False))
        a_step = typical[len(typical) // 2] if typical else self.seconds / state.step
        state.total_steps = max(state.step, state.step + round((budget - self.seconds) / a_step))
        self.report.note(f"{budget:g} seconds are {state.total_steps:,} steps on this machine")

    def _evaluate(self, state: TrainState, stop: StopFlag) -> None:
        """Measure the held-out text, and remember whether this was the best so far."""
        self.report.phase("evaluation")
        value = held_out_bits(state, self.val_ids, self.tokenizer, stop.check)
        self.pending[-1]["val_bits_per_byte"] = value
        if value < state.best.get("val_bits_per_byte", math.inf):
            state.best = {"step": state.step, "val_bits_per_byte": value}
        self._flush_metrics()
        self.report.validation(state.step, value)
        self.report.phase("training")

    def _write_sample(self, state: TrainState, stop: StopFlag) -> None:
        """Let the model write, so that people see it learn to."""
        strategy = Sample(temperature=0.8, top_k=50, seed=self.config.training.seed)
        evaluation = self.config.evaluation
        pieces = [evaluation.prompt]
        state.model.eval()
        n = min(evaluation.sample_tokens, 4 * self.config.model.context_length)
        for piece in stream_text(
            state.model, self.tokenizer, evaluation.prompt, strategy, max_tokens=n, parts=state.parts
        ):
            stop.check()
            pieces.append(piece)
        state.model.train()
        text = "".join(pieces)
        files.write_text(self.run.path / "samples" / f"step-{state.step:012d}.txt", text)
        self.report.sample(state.step, text)

    # --- saving and ending ----------------------------------------------------------------------------------------

    def _save(self, state: TrainState) -> None:
        """Save a checkpoint. A disk that is full is a warning, until the third time in a row."""
        self._flush_metrics()
        if self.saved_step == state.step:
            return
        try:
            path = save_checkpoint(
                self.run.checkpoints,
                state.step,
                {name: parameter.detach() for name, parameter in state.model.named_parameters()},
                optimizer_tensors(state),
                saved_numbers(state),
                self.run.run_id,
                {"groundup": __version__, "torch": torch.__version__, "threads": torch.get_num_threads()},
            )
            self.saved_step = state.step
            best = {int(state.best["step"])} if state.best else set[int]()
            prune(self.run.checkpoints, self.config.checkpoint.keep, best)
        except GroundupError as error:
            self.failed_saves += 1
            if error.code not in ("DISK_FULL", "READ_ONLY", "DISK_FAILED") or self.failed_saves >= 3:
                raise
            saved = "saved, but older ones were not removed" if self.saved_step == state.step else "not saved"
            self.report.warn(f"the state after step {state.step} was {saved}: {error.what}")
            return
        self.failed_saves = 0
        self.run.write_status("running", state.step, saved_step=state.step)
        self.report.saved(state.step, path)

    def _interrupted(self, error: Interrupted) -> Interrupted:
        """Save the state after the last whole step, and say how to go on."""
        if self.state is None or self.state.step == 0:
            answer = Interrupted("stopped before the first step: nothing to save yet", where=str(self.run.path))
            self.run.write_status("interrupted", 0, answer, saved=False)
            return answer
        try:
            self._save(self.state)
        except GroundupError as failure:
            self.run.write_status("interrupted", self.state.step, failure, saved=False)
            return Interrupted(f"stopped, and not saved: {failure.what}", where=failure.where)
        saved = self.saved_step == self.state.step
        answer = Interrupted(
            f"stopped after step {self.state.step}; the state is {'saved' if saved else 'not saved'}",
            where=str(self.run.path),
            fix=f"go on with: groundup train {self.run.path / 'config.toml'} --run-dir {self.run.path} --resume",
        )
        self.run.write_status("interrupted", self.state.step, answer, saved=saved)
        return answer

    def _finish(self) -> TrainResult:
        """Measure, save and draw what came out."""
        state = self.state
        assert state is not None
        self._flush_metrics()
        self._save(state)
        rows = self.run.read_metrics()
        values = [row["val_bits_per_byte"] for row in rows if "val_bits_per_byte" in row]
        files.write_text(self.run.path / "loss.svg", curve_svg(rows, title=self.run.path.name))
        self.run.write_status("done", state.step, saved_step=state.step, seconds=self.seconds)
        self.report.phase("done")
        state.model.eval()
        return TrainResult(
            self.run.path,
            state.step,
            rows[-1]["loss"] if rows else math.nan,
            values[-1] if values else math.nan,
            self.seconds,
            state.model,
            self.tokenizer,
        )

    def _flush_metrics(self) -> None:
        """Append the waiting rows to metrics.jsonl. Logging never ends a run: rows that do not fit are counted."""
        if not self.pending:
            return
        try:
            with self.run.metrics_path.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(row) + "\n" for row in self.pending))
        except OSError as error:
            self.report.warn(f"{len(self.pending)} lines of metrics.jsonl are lost: {error.strerror}")
        self.pending, self.flushed = [], self.seconds


# --- small pieces -------------------------------------------------------------------------------------------------


def due(state: TrainState, every: int | None, times: int) -> bool:
    """Whether something that happens every so many steps happens now; the last step is always one of them.

    every = None means so many times in the whole run, at even distances.
    """
    if state.total_steps is None:
        return every is not None and state.step % every == 0
    every = every or max(1, state.total_steps // times)
    return state.step % every == 0 or state.step == state.total_steps


def rate_at(state: TrainState) -> float:
    """The learning rate of the step to come. A budget not yet turned into steps is taken as far away."""
    training, parts = state.config.training, state.parts
    total = state.total_steps or 10**9
    numbers = {"max_lr": training.max_lr, "min_lr": training.min_lr, "warmup_steps": training.warmup_steps}
    if training.schedule == "wsd":
        decay = training.decay_steps or max(1, total // 3)
        return parts.wsd_learning_rate(state.step, **numbers, decay_steps=decay, total_steps=total)
    schedules = {
        "cosine": parts.learning_rate,
        "linear": linear_learning_rate,
        "constant": constant_learning_rate,
    }
    return schedules[training.schedule](state.step, **numbers, total_steps=total)


def update_ratio(before: list[Tensor], after: list[Tensor]) -> float:
    """How far the step moved the weights, as a part of their size: near 1e-3 is the usual advice."""
    moved = global_norm([new.detach() - old for new, old in zip(after, before, strict=True)])
    return moved / max(global_norm(before), 1e-12)


def held_out_bits(
    state: TrainState, ids: Tensor, tokenizer: Tokenizer, check: Callable[[], None] = lambda: None
) -> float:
    """Bits per byte of the held-out text: windows of context_length, each token but the very first predicted once."""
    config, model = state.config, state.model
    context_length, batches = config.model.context_length, config.evaluation.batches
    counted: list[Tensor] = []

    def measured() -> Iterator[Batch]:
        windows = Windows(ids, context_length, shuffle=False, where="the held-out text")
        for number, (inputs, targets) in enumerate(windows.all(config.training.batch_size)):
            if batches is not None and number >= batches:
                return
            check()
            counted.append(targets.flatten())
            yield inputs.to(state.device), targets.to(state.device)

    model.eval()
    mean = state.parts.evaluate_loss(lambda inputs, _: model(inputs), state.params, measured())
    model.train()
    targets = torch.cat(counted)  # (N,)
    return bits_per_byte(mean * len(targets), count_bytes(tokenizer, targets.tolist()))


def optimizer_tensors(state: TrainState) -> dict[str, Tensor]:
    """What the optimizer remembers, by name: an own train_step's tensors, or the library's."""
    if "train_step" not in state.parts.own:
        return state.optimizer.tensors()
    return {f"own.{name}": value for name, value in flattened(state.own).items() if isinstance(value, Tensor)}


def flattened(table: dict[str, object], prefix: str = "") -> dict[str, object]:
    """A nested dictionary as one level, keys joined by dots."""
    flat: dict[str, object] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        flat |= flattened(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def saved_numbers(state: TrainState) -> dict[str, object]:
    """What state.json holds: all that is no tensor."""
    return {
        "step": state.step,
        "tokens": state.tokens,
        "position": state.step * state.config.training.batch_size,
        "total_steps": state.total_steps,
        "optimizer_step": state.optimizer.step,
        "loss_scale": dataclasses.asdict(state.loss_scale),
        "best": state.best,
        "skipped": state.skipped,
    }


@torch.no_grad()
def restore(state: TrainState, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's tensors and numbers into a fresh state."""
    for name, parameter in state.model.named_parameters():
        parameter.copy_(checkpoint.model[name])
    state.optimizer.load(checkpoint.optimizer, int(checkpoint.state["optimizer_step"]))
    state.step = int(checkpoint.state["step"])
    state.tokens = int(checkpoint.state["tokens"])
    # training.steps may have been raised since, so that a finished run can go on; a budget's number of steps is kept.
    state.total_steps = state.config.training.steps or checkpoint.state["total_steps"]
    state.loss_scale = LossScale(**checkpoint.state["loss_scale"])
    state.best = dict(checkpoint.state["best"])
    state.skipped = list(checkpoint.state["skipped"])


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" is CUDA or MPS where there is one. Raises ConfigError DEVICE otherwise."""
    present = ["cpu"]
    present += ["cuda"] if torch.cuda.is_available() else []
    present += ["mps"] if torch.backends.mps.is_available() else []
    if name == "auto":
        return torch.device(present[-1])
    if name.partition(":")[0] not in present:
        raise ConfigError(
            f"there is no device {name} here",
            where="training.device",
            fix=f"use one of auto, {', '.join(present)}",
            code="DEVICE",
            status=3,
        )
    return torch.device(name)


@contextmanager
def configured_torch(config: TrainConfig) -> Iterator[None]:
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
        torch.use_deterministic_algorithms(deterministic)
