"""The training loop: take a step, and now and then measure, write a sample, save.

It can be stopped at any moment and goes on exactly: whatever a step needs besides the state follows from its number.

Read next: `run.py`, which prepares a run, starts the loop and ends it well.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from .. import __version__
from ..errors import DivergedError, GroundupError
from ..evaluation import bits_per_byte
from ..generation import Sample, stream_text
from ..report import Report, Sentence
from ..text.batches import Batch, TokenIds, Windows
from ..text.loader import Loader
from ..text.shards import token_lengths
from ..text.tokenizer import Tokenizer
from ..weights.checkpoint import prune, save_checkpoint
from .clipping import global_norm
from .config import CALIBRATION_STEPS
from .diagnose import diagnose
from .metrics import MetricsLog
from .run_directory import RunDirectory
from .schedule import constant_learning_rate, linear_learning_rate
from .signals import StopFlag
from .state import TrainState, snapshot
from .step import StepReport, take_step

RATIO_EVERY = 10  # steps between two measurements of how far a step moved the weights
MEASUREMENTS = 10  # of the held-out text in a run, where that is not much beside the training
FAR = 10**9  # stands for a number of steps that is not known yet


class Loop:
    """A state on its way through the data, with all that is told and kept on the way."""

    def __init__(
        self,
        state: TrainState,
        data: Windows | Loader,
        held_out: TokenIds,
        tokenizer: Tokenizer,
        *,
        run: RunDirectory,
        report: Report,
        stop: StopFlag,
    ) -> None:
        self.state, self.data, self.held_out, self.tokenizer = state, data, held_out, tokenizer
        self.run_directory, self.report, self.stop = run, report, stop
        self.metrics = MetricsLog(run.path / "metrics.jsonl", report)
        self.seconds = 0.0  # of training alone, added up over all parts of the run
        self.saved_step = -1
        self.doing = "preparing to train"  # for whoever has to say what could not be done
        self.latest: dict[str, float] = {}  # the newest value of everything that was logged
        self._failed_saves = 0
        self._durations: list[float] = []  # of the first steps, from which a time budget is planned

    def run(self) -> None:
        """Train until the last step, going on from wherever the state stands."""
        state, config = self.state, self.state.config
        self.report.phase("training")
        if state.step:
            self.catch_up()
        while state.total_steps is None or state.step < state.total_steps:
            self.learn()
            if state.total_steps is None and state.step >= CALIBRATION_STEPS:
                self.plan()
            if due(state, config.evaluation.every, times=measurements(state, len(self.held_out))):
                self.evaluate()
            if due(state, config.evaluation.samples_every, times=5):
                self.write_sample()
            if due(state, config.checkpoint.every, times=5) or self.stop.save_asked:
                self.stop.save_asked = False
                self.save()
            self.stop.check()

    def catch_up(self) -> None:
        """After a resume: what a stop kept from being done after the last step."""
        state, evaluation = self.state, self.state.config.evaluation
        times = measurements(state, len(self.held_out))
        if due(state, evaluation.every, times) and state.measured < state.step:
            self.metrics.take_back(state.step)
            self.evaluate()
            if state.step == state.total_steps:
                self.saved_step = -1  # the last checkpoint knows the last measurement
        if due(state, evaluation.samples_every, times=5) and not self.sample_path.exists():
            self.write_sample()

    def learn(self) -> None:
        """One step, and its line in metrics.jsonl."""
        state, start = self.state, time.perf_counter()
        self.doing = f"step {state.step + 1}"
        batch = self.data.batch(state.step, state.config.training.batch_size, state.parts.next_token_windows)
        lr = rate_at(state)
        measured = state.step % RATIO_EVERY == 0
        before = [parameter.detach().clone() for parameter in state.model.parameters()] if measured else []
        result = self._step_or_skip(*batch, lr)
        duration = time.perf_counter() - start
        state.step += 1
        self.seconds += duration
        self._durations = [*self._durations, duration][-CALIBRATION_STEPS:]
        if result is None:
            return
        state.tokens += result.n_tokens
        row = {
            "step": state.step,
            "tokens": state.tokens,
            "loss": result.loss,
            "lr": lr,
            "grad_norm": result.grad_norm,
            "tokens_per_s": result.n_tokens / duration,
            "seconds": self.seconds,
        }
        if measured:
            row["update_ratio"] = update_ratio(before, list(state.model.parameters()))
        if state.config.training.precision == "float16":
            row["loss_scale"] = state.loss_scale.scale
        self.latest |= row
        self.metrics.add(row)
        self.report.step(row | {"steps": state.total_steps or 0})

    def _step_or_skip(self, inputs: Tensor, targets: Tensor, lr: float) -> StepReport | None:
        """One step; None where its numbers went bad and the config allows leaving it out."""
        state = self.state
        try:
            return take_step(state, inputs, targets, lr, self.stop.check)
        except DivergedError as error:
            if error.code == "NUM_SCALE" or not may_skip(state):
                raise self.explained(error, inputs, targets) from error
            state.skipped = [step for step in state.skipped if step > state.step - 1000] + [state.step]
            self.report.warn(Sentence("step {step} left out: {why}", step=state.step + 1, why=error.what))
            for parameter in state.model.parameters():
                parameter.grad = None
            return None

    def explained(self, error: DivergedError, inputs: Tensor, targets: Tensor) -> DivergedError:
        """The error with what went bad first; everything that was seen goes into the run's debug folder."""
        self.doing = f"looking for what went wrong in step {self.state.step + 1}"
        try:
            found = diagnose(self.state, inputs, targets)
        except (RuntimeError, MemoryError, GroundupError) as failure:  # the finding is a help: the error is the news
            self.report.warn(Sentence("what went wrong first could not be found: {why}", why=failure))
            return error
        name = f"debug/nonfinite-{self.state.step + 1:012d}.json"
        facts = {"step": self.state.step + 1, "error": error.as_json(), **dataclasses.asdict(found)}
        self.run_directory.keep(name, json.dumps(facts, indent=1) + "\n")
        own = ", ".join(sorted(self.state.parts.own))
        return DivergedError(
            f"{error.what}: {found.sentence()}",
            where=f"{error.where}, {found.where()}; see {self.run_directory.path / name}",
            fix=f"look at your own parts first ({own}): leave them out one by one; or {error.fix}"
            if own
            else error.fix,
            code=error.code,
        )

    def plan(self) -> None:
        """Turn the time budget into a number of steps, once and for all, and write it into the run's config."""
        state, budget = self.state, self.state.config.training.seconds
        assert budget is not None
        # The first ones set memory up and are slow; a run that was resumed just before has only a few.
        a_step = median(self._durations[min(CALIBRATION_STEPS // 4, len(self._durations) - 1) :])
        state.total_steps = max(state.step, state.step + round((budget - self.seconds) / a_step))
        training = dataclasses.replace(state.config.training, steps=state.total_steps)
        state.config = dataclasses.replace(state.config, training=training)
        self.run_directory.keep_config(state.config)
        planned = Sentence(
            "{budget:g} seconds are {steps:,} steps on this machine", budget=budget, steps=state.total_steps
        )
        self.report.note(planned)
        note_short_run(state, self.report)

    def evaluate(self) -> None:
        """Measure the held-out text, and remember whether this was the best so far."""
        state = self.state
        self.report.phase("evaluation")
        self.doing = f"measuring the held-out text after step {state.step}"
        value = held_out_bits(state, self.held_out, self.tokenizer, self.stop.check)
        if not math.isfinite(value):
            bad = Sentence("the loss on the held-out text is {value} after step {step}", value=value, step=state.step)
            self.report.warn(bad)
        state.measured = state.step
        self.metrics.complete(val_bits_per_byte=value)
        self.latest["val_bits_per_byte"] = value
        if value < state.best.get("val_bits_per_byte", math.inf):
            state.best = {"step": state.step, "val_bits_per_byte": value}
        self.metrics.flush()
        self.report.validation(state.step, value)
        self.report.phase("training")

    @property
    def sample_path(self) -> Path:
        """Where a sample of the present state is kept."""
        return self.run_directory.path / "samples" / f"step-{self.state.step:012d}.txt"

    def write_sample(self) -> None:
        """Let the model write, so that people see it learn to."""
        state, evaluation = self.state, self.state.config.evaluation
        self.doing = f"writing a sample after step {state.step}"
        strategy = Sample(temperature=0.8, top_k=50, seed=state.config.training.seed)
        pieces = [evaluation.prompt]
        for piece in stream_text(
            state.model,
            self.tokenizer,
            evaluation.prompt,
            strategy,
            max_tokens=evaluation.sample_tokens,
            truncate_left=True,
            parts=state.parts,
        ):
            self.stop.check()
            pieces.append(piece)
        text = "".join(pieces)
        self.run_directory.keep(f"samples/{self.sample_path.name}", text)
        self.report.sample(state.step, text)

    def save(self, last: bool = False) -> None:
        """Save a checkpoint. A full disk is a warning, until the third time in a row or the last save of all."""
        state = self.state
        self.metrics.flush()
        if self.saved_step == state.step:
            return
        self.doing = f"saving after step {state.step}"
        now, checkpoints = snapshot(state), self.run_directory.checkpoints
        writer = {"groundup": __version__, "torch": torch.__version__, "threads": torch.get_num_threads()}
        try:
            path = save_checkpoint(
                checkpoints, state.step, now.model, now.optimizer, now.numbers, self.run_directory.run_id, writer
            )
            self.saved_step = state.step
            best = {int(state.best["step"])} if state.best else set[int]()
            prune(checkpoints, state.config.checkpoint.keep, best)
        except GroundupError as error:
            self._failed_saves += 1
            is_saved = self.saved_step == state.step
            hopeless = error.code not in ("DISK_FULL", "READ_ONLY", "DISK_FAILED") or self._failed_saves >= 3
            if hopeless or (last and not is_saved):
                raise
            values = {"step": state.step, "why": error.what, "code": error.code}
            self.report.warn(
                Sentence(
                    "the state after step {step} was saved, but older ones were not removed: {why} [{code}]", **values
                )
                if is_saved
                else Sentence("the state after step {step} was not saved: {why} [{code}]", **values)
            )
            return
        self._failed_saves = 0
        self.run_directory.write_status("running", state.step, saved_step=state.step)
        self.report.saved(state.step, path)


def due(state: TrainState, every: int | None, times: int) -> bool:
    """Whether something that happens every so many steps happens now; the last step is always one of them.

    every = None means so many times in the whole run, at even distances.
    """
    if state.total_steps is None:
        return every is not None and state.step % every == 0
    every = every or math.ceil(state.total_steps / times)
    return state.step % every == 0 or state.step == state.total_steps


def measurements(state: TrainState, n_held_out: int) -> int:
    """How often to measure where the config does not say: ten times, or less where that took over a fifth of the run.

    n_held_out: tokens. To learn from a token costs about four times what measuring it does: its way forward, twice that
    back, and the step. Whoever sets evaluation.batches has said already what a measurement may cost.
    """
    config = state.config
    if config.evaluation.batches is not None or state.total_steps is None:
        return MEASUREMENTS
    n_learnt = state.total_steps * config.training.batch_size * config.model.context_length
    return max(1, min(MEASUREMENTS, 4 * n_learnt // (5 * n_held_out)))


def note_short_run(state: TrainState, report: Report) -> None:
    """Say it where a run is over before its warm-up is."""
    warmup_steps = state.config.training.warmup_steps
    if state.total_steps is not None and state.total_steps <= warmup_steps:
        report.note(
            Sentence(
                "{steps} steps are no more than {warmup} of warm-up: the rate only rises",
                steps=state.total_steps,
                warmup=warmup_steps,
            )
        )


def may_skip(state: TrainState) -> bool:
    """Whether one more step may be left out: at most skip_nonfinite in a row, and ten in a thousand."""
    allowed = state.config.training.skip_nonfinite
    recent = {step for step in state.skipped if step > state.step - 1000}
    in_a_row = set(range(state.step - allowed, state.step)) if allowed else set[int]()
    return allowed > 0 and not in_a_row <= recent and len(recent) < 10


def rate_at(state: TrainState) -> float:
    """The learning rate of the step to come. A budget that is not yet a number of steps is taken as far away."""
    training, parts, total = state.config.training, state.parts, state.total_steps or FAR
    lowest = training.max_lr / 10 if training.min_lr is None else training.min_lr
    numbers: Mapping[str, float] = {"max_lr": training.max_lr, "min_lr": lowest}
    steps: Mapping[str, int] = {"warmup_steps": training.warmup_steps, "total_steps": total}
    if training.schedule == "wsd":
        decay_steps = training.decay_steps or max(1, total // 3)
        return parts.wsd_learning_rate(state.step, **numbers, **steps, decay_steps=decay_steps)
    schedules = {"cosine": parts.learning_rate, "linear": linear_learning_rate, "constant": constant_learning_rate}
    return schedules[training.schedule](state.step, **numbers, **steps)


def update_ratio(before: list[Tensor], after: list[Tensor]) -> float:
    """How far the step moved the weights, as a part of their size: near 1e-3 is the usual advice."""
    moved = global_norm([new.detach() - old for new, old in zip(after, before, strict=True)])
    return moved / max(global_norm(before), 1e-12)


def held_out_bits(
    state: TrainState, ids: TokenIds, tokenizer: Tokenizer, check: Callable[[], None] = lambda: None
) -> float:
    """Bits per byte of the held-out text: windows of context_length, each token but the very first predicted once."""
    config, model = state.config, state.model
    lengths = torch.from_numpy(token_lengths(tokenizer))  # (V,)
    n_tokens = n_bytes = 0

    def measured() -> Iterator[Batch]:
        nonlocal n_tokens, n_bytes
        windows = Windows(ids, config.model.context_length, shuffle=False, where="the held-out text")
        for number, (inputs, targets) in enumerate(windows.all(config.training.batch_size)):
            if config.evaluation.batches is not None and number >= config.evaluation.batches:
                return
            check()
            n_tokens, n_bytes = n_tokens + targets.numel(), n_bytes + int(lengths[targets].sum())
            yield inputs.to(state.device), targets.to(state.device)

    def forward(inputs: Tensor, params: Mapping[str, Tensor]) -> Tensor:
        del params  # the model holds them itself
        return model(inputs, documents=state.documents(inputs))

    model.eval()
    mean = state.parts.evaluate_loss(forward, state.params, measured())
    model.train()
    return bits_per_byte(mean * n_tokens, n_bytes)
