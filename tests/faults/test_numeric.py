"""N1 to N4: a number that goes bad is named, and never reaches a checkpoint (P6: 0 saved of 60 injections and more)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from faults.harness import Heard, Parts, Tiny, checkpoint, saved_steps, status

from groundup.errors import DivergedError
from groundup.training import loop as loop_module
from groundup.training import step as step_module
from groundup.training.metrics import read_metrics
from groundup.weights import checkpoint as checkpoint_module
from groundup.weights.checkpoint import load_checkpoint

BAD = [math.nan, math.inf]
WEIGHTS = ["wte", "wpe", "h.0.ln1.weight", "h.0.attn.w_q", "h.0.attn.b_v", "h.0.mlp.w_up", "h.1.attn.w_o",
           "h.1.mlp.w_down", "ln_f.weight", "ln_f.bias"]  # fmt: skip
LAYERS = ["h.0.ln1", "h.0.attn", "h.0.ln2", "h.0.mlp", "h.0", "h.1.attn", "h.1.mlp", "h.1", "ln_f"]
AT = 3  # steps done when the fault comes

Inject = Callable[[Any], None]


@pytest.fixture
def inject(monkeypatch: pytest.MonkeyPatch) -> Callable[[Inject], None]:
    """Do something to the state before the step after AT, once."""

    def inject(fault: Inject) -> None:
        take_step, done = step_module.take_step, []

        def struck(state: Any, *arguments: Any) -> Any:
            if state.step == AT and not done:
                done.append(fault(state))
            return take_step(state, *arguments)

        monkeypatch.setattr(loop_module, "take_step", struck)

    return inject


def diverges(tiny: Tiny, path: Path, *settings: str, **arguments: Any) -> DivergedError:
    """Train until it stops; nothing bad may have been saved, and the newest good checkpoint is there."""
    with pytest.raises(DivergedError) as caught:
        tiny.run(path, *settings, steps=8, **arguments)
    assert saved_steps(path) == [AT - 1, AT]  # two are kept
    for step in saved_steps(path):
        saved = load_checkpoint(checkpoint(path, step))
        assert all(tensor.isfinite().all() for tensor in [*saved.model.values(), *saved.optimizer.values()])
    assert (status(path)["state"], status(path)["exit_status"]) == ("failed", 3)
    assert status(path)["error"]["code"] == caught.value.code
    return caught.value


def report_of(path: Path) -> dict[str, Any]:
    """The file that was left for whoever looks for the cause."""
    (file,) = (path / "debug").glob("nonfinite-*.json")
    assert file.name == f"nonfinite-{AT + 1:012d}.json"
    return json.loads(file.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", WEIGHTS)
def test_n1_a_bad_weight_is_named(
    tiny: Tiny, tmp_path: Path, inject: Callable[[Inject], None], name: str, bad: float
) -> None:
    def strike(state: Any) -> None:
        state.params[name].data.view(-1)[:2] = bad

    inject(strike)
    error = diverges(tiny, tmp_path / "run")
    assert error.code in ("NUM_LOSS", "NUM_GRAD")
    n = report_of(tmp_path / "run")["first"]["n"]
    assert error.what.endswith(f"weight {name} is the first that is not finite (2 of {n:,} numbers)")
    assert error.where.startswith(f"step {AT + 1}, sequences 12 to 15 of the data's order, ids ")


@pytest.mark.parametrize(("parts", "bad"), [*(("fast", bad) for bad in BAD), ("plain", BAD[0])])
@pytest.mark.parametrize("name", LAYERS)
def test_n1_the_first_bad_layer_is_named(
    tiny: Tiny, tmp_path: Path, inject: Callable[[Inject], None], name: str, bad: float, parts: str
) -> None:
    def strike(state: Any) -> None:
        def spoil(_layer: Any, _inputs: Any, output: Any) -> Any:
            *others, last = output if isinstance(output, tuple) else (output,)
            last = last.clone()
            last.view(-1)[5] = bad
            return (*others, last) if others else last

        state.model.get_submodule(name).register_forward_hook(spoil)

    inject(strike)
    error = diverges(tiny, tmp_path / "run", f"training.parts={parts}")
    first = report_of(tmp_path / "run")["first"]
    assert (first["kind"], first["name"], first["n_bad"]) == ("activation", name, 1)
    assert f": {name} is the first that is not finite (1 of " in error.what


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", WEIGHTS)
def test_n2_a_bad_gradient_is_named_though_the_loss_is_fine(
    tiny: Tiny, tmp_path: Path, inject: Callable[[Inject], None], name: str, bad: float
) -> None:
    inject(lambda state: state.params[name].register_hook(lambda grad: grad * bad))
    error = diverges(tiny, tmp_path / "run")
    assert error.code == "NUM_GRAD"
    assert f"the gradient of {name} is the first that is not finite" in error.what
    assert report_of(tmp_path / "run")["tensors"][-1]["kind"] == "gradient"


@pytest.mark.parametrize("bad", BAD)
def test_n1_a_bad_loss_by_itself_is_named(
    tiny: Tiny, tmp_path: Path, inject: Callable[[Inject], None], bad: float
) -> None:
    struck: list[bool] = []

    def head_loss(hidden: Any, weight: Any, targets: Any, cap: Any = None) -> Any:
        loss = torch.nn.functional.cross_entropy((hidden @ weight.T).flatten(0, 1), targets.flatten())
        return loss * bad if struck else loss

    inject(lambda state: struck.append(True))
    error = diverges(tiny, tmp_path / "run", parts=Parts(head_loss=head_loss))
    assert error.code == "NUM_LOSS"
    assert "the loss is the first that is not finite" in error.what


def test_n1_a_fault_that_does_not_come_again_is_said_to_lie_outside(
    tiny: Tiny, tmp_path: Path, inject: Callable[[Inject], None]
) -> None:
    def strike(state: Any) -> None:
        handle = state.params["wte"].register_hook(lambda grad: (handle.remove(), grad * math.nan)[1])

    inject(strike)
    error = diverges(tiny, tmp_path / "run")
    assert "run again, the step comes out finite" in error.what
    assert report_of(tmp_path / "run")["first"] is None


@pytest.mark.parametrize("settings", [(), ("training.micro_batch_size=2",), ("training.precision=bfloat16",)])
def test_n1_a_hostile_learning_rate_is_stopped_and_explained(
    tiny: Tiny, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    with pytest.raises(DivergedError) as caught:
        tiny.run(tmp_path / "run", "training.max_lr=1e30", "training.min_lr=0", *settings, steps=30)
    assert caught.value.code in ("NUM_LOSS", "NUM_GRAD", "NUM_STATE")
    for path in (tmp_path / "run" / "checkpoints").glob("step-*"):
        assert all(tensor.isfinite().all() for tensor in load_checkpoint(path).model.values())


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("what", ["weight", "moment", "number"])
def test_n3_a_bad_number_in_the_state_is_not_saved(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, bad: float
) -> None:
    snapshot = loop_module.snapshot

    def spoilt(state: Any) -> Any:
        if state.step > AT:
            if what == "number":
                state.best = {"step": 1, "val_bits_per_byte": bad}
            tensor = state.params["h.1.mlp.w_up"] if what == "weight" else state.optimizer.m["h.0.attn.w_k"]
            tensor.data.view(-1)[0] = bad if what != "number" else 0.0
        return snapshot(state)

    monkeypatch.setattr(loop_module, "snapshot", spoilt)
    error = diverges(tiny, tmp_path / "run")
    assert error.code == "NUM_STATE"
    expected = {"weight": "h.1.mlp.w_up in model", "moment": "m.h.0.attn.w_k in optimizer", "number": "a number"}
    assert error.what.startswith(expected[what])


def test_n2_a_skipped_step_changes_no_weight_and_no_moment_by_one_bit(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_step, states, heard = step_module.take_step, [], Heard()

    def struck(state: Any, *arguments: Any) -> Any:
        if state.step in (AT, AT + 1):
            tensors = {**state.params, **state.optimizer.tensors()}
            states.append({name: tensor.detach().clone() for name, tensor in tensors.items()})
        if state.step == AT:
            handle = state.params["wte"].register_hook(lambda grad: (handle.remove(), grad * math.nan)[1])
        return take_step(state, *arguments)

    monkeypatch.setattr(loop_module, "take_step", struck)
    tiny.run(tmp_path / "run", "training.skip_nonfinite=1", steps=6, report=heard)
    before, after = states
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert heard.warnings == [f"step {AT + 1} left out: the gradient norm is nan"]
    assert [row["step"] for row in read_metrics(tmp_path / "run" / "metrics.jsonl")] == [1, 2, 3, 5, 6]
    assert saved_steps(tmp_path / "run")[-1] == 6


def test_n4_a_loss_scale_that_collapses_stops_the_run_with_a_way_out(
    tiny: Tiny, tmp_path: Path, inject: Callable[[Inject], None]
) -> None:
    inject(lambda state: state.params["h.0.mlp.w_up"].register_hook(lambda grad: grad * math.inf))
    with pytest.raises(DivergedError) as caught:
        tiny.run(tmp_path / "run", "training.precision=float16", steps=60)
    assert (caught.value.code, caught.value.status) == ("NUM_SCALE", 3)
    assert "bfloat16 or float32" in caught.value.fix
    assert "the gradient of h.0.mlp.w_up" in caught.value.what
    assert status(tmp_path / "run")["step"] == AT + 19  # the twentieth halving in a row


def test_n_teeth_without_either_guard_bad_numbers_are_saved(
    tiny: Tiny, tmp_path: Path, inject: Callable[[Inject], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def strike(state: Any) -> None:
        state.params["wte"].register_hook(lambda grad: grad * math.nan)

    inject(strike)
    monkeypatch.setattr(step_module, "require_finite", lambda *_: None)
    with pytest.raises(DivergedError) as caught:  # the second guard holds
        tiny.run(tmp_path / "one", "evaluation.samples_every=1000", steps=6)
    assert caught.value.code == "NUM_STATE"
    inject(strike)
    monkeypatch.setattr(checkpoint_module, "_refuse_nonfinite", lambda *_: None)
    with pytest.raises(DivergedError):
        tiny.run(tmp_path / "two", steps=6)
    newest = load_checkpoint(checkpoint(tmp_path / "two", saved_steps(tmp_path / "two")[-1]))
    assert not newest.model["wte"].isfinite().all()


@pytest.mark.parametrize("name", ["h.0.mlp", "ln_f"])
def test_n1_with_micro_batches_and_dropout_the_layer_is_still_found(
    tiny: Tiny, tmp_path: Path, inject: Callable[[Inject], None], name: str
) -> None:
    """Only the second micro-batch is bad."""
    calls: list[int] = []

    def spoil(_layer: Any, _inputs: Any, output: Any) -> Any:
        calls.append(1)
        if len(calls) % 2:
            return output
        return (output[0], output[1] * math.nan) if isinstance(output, tuple) else output * math.nan

    inject(lambda state: state.model.get_submodule(name).register_forward_hook(spoil))
    error = diverges(tiny, tmp_path / "run", "training.micro_batch_size=2", "model.dropout=0.1")
    assert f": {name} is the first that is not finite" in error.what
