"""`training.parts = "numpy"`: the trainer with gradients by hand, and with somebody's own backward passes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from by_hand import assert_equal
from command_line import Run

from groundup.errors import ConfigError, DivergedError, ShapeError
from groundup.report import Report
from groundup.training import Parts, load_config, train
from groundup.training.metrics import read_metrics
from groundup.training.state import TrainState, new_state
from groundup.training.step import take_step
from groundup.weights import load

SMALL = [
    "data.corpus=the-verdict", "model.vocab_size=300", "model.context_length=16", "model.n_layers=2",
    "model.d_model=16", "model.n_heads=2", "training.steps=8", "training.batch_size=4", "training.warmup_steps=2",
    "training.max_lr=0.01", "evaluation.every=4", "evaluation.batches=2", "evaluation.sample_tokens=2",
]  # fmt: skip
NUMPY = "training.parts=numpy"

RIGHT = """
import numpy as np
def layer_norm_backward(dy, x, weight, eps=1e-5):
    '''Own.'''
    mean, deviation = x.mean(-1, keepdims=True), np.sqrt(x.var(-1, keepdims=True) + eps)
    normed = (x - mean) / deviation
    dnormed = dy * weight
    dx = dnormed - dnormed.mean(-1, keepdims=True) - normed * (dnormed * normed).mean(-1, keepdims=True)
    axes = tuple(range(x.ndim - 1))
    return dx / deviation, (dy * normed).sum(axes), dy.sum(axes)
"""
WRONG = RIGHT.replace("- dnormed.mean(-1, keepdims=True) ", "")


def run(folder: Path, *settings: str, parts: Parts | None = None, report: Report | None = None) -> list[float]:
    """The losses of a short run of first-gpt."""
    train(load_config("first-gpt", [*SMALL, *settings]), folder, parts=parts, report=report or Report())
    return [row["loss"] for row in read_metrics(folder / "metrics.jsonl")]


def own(folder: Path, text: str) -> Parts:
    folder.mkdir()
    (folder / "mine.py").write_text(text)
    return Parts.from_folder(folder)


class Notes(Report):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class StopAt(Report):
    """Interrupts at a step."""

    def __init__(self, step: int) -> None:
        self.at = step

    def step(self, row: Mapping[str, float]) -> None:
        if row["step"] == self.at:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def by_torch(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    return run(tmp_path_factory.mktemp("torch") / "run")


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numpy") / "run"
    run(folder, NUMPY)
    return folder


def test_a_run_by_hand_follows_torch_s_curve(by_hand: Path, by_torch: list[float]) -> None:
    losses = [row["loss"] for row in read_metrics(by_hand / "metrics.jsonl")]
    assert losses == pytest.approx(by_torch, rel=1e-5)


def test_a_run_by_hand_leaves_what_every_run_leaves(by_hand: Path) -> None:
    rows = read_metrics(by_hand / "metrics.jsonl")
    assert {"grad_norm", "update_ratio", "val_bits_per_byte"} <= set().union(*rows)
    assert (by_hand / "samples" / "step-000000000008.txt").exists()
    assert load(by_hand).config.d_model == 16


def weights_of(folder: Path) -> list[str]:
    files = sorted((folder / "checkpoints" / "step-000000000008").glob("*.safetensors"))
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]


def test_a_run_by_hand_that_was_stopped_goes_on_to_the_same_bytes(tmp_path: Path, by_hand: Path) -> None:
    config = load_config("first-gpt", [*SMALL, NUMPY, "checkpoint.every=3"])
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", report=StopAt(5))
    train(config, tmp_path / "run", resume=True)
    assert weights_of(tmp_path / "run") == weights_of(by_hand)


def gradients(*settings: str, parts: Parts | None = None) -> tuple[float, dict[str, torch.Tensor], TrainState]:
    """The loss and the gradients of the first step."""
    config = load_config("first-gpt", [*SMALL, *settings])
    state = new_state(config, parts or Parts(), torch.device("cpu"))
    ids = torch.randint(300, (4, 17), generator=torch.Generator().manual_seed(0))
    ids[0, 3] = 0
    targets = ids[:, 1:].clone()
    targets[1, :5] = -100
    report = take_step(state, ids[:, :-1], targets, 0.01)
    return report.loss, {name: param.grad.clone() for name, param in state.params.items()}, state


@pytest.mark.parametrize(
    "settings", [[], ["training.micro_batch_size=2"], ["model.tie_embeddings=false"], ["model.bias=false"]]
)
def test_gradients_by_hand_are_torch_s(settings: list[str]) -> None:
    wanted_loss, wanted, _ = gradients(*settings, "training.parts=plain")
    loss, found, _ = gradients(*settings, NUMPY)
    assert loss == pytest.approx(wanted_loss, rel=1e-6)
    for name, gradient in wanted.items():
        assert_equal(found[name].numpy(), gradient, tolerance=2e-5)


def test_the_optimizer_by_hand_works_on_the_model_s_own_memory() -> None:
    _, _, state = gradients(NUMPY)
    assert state.parts.chosen["adamw_step"].__name__ == "adamw_step_by_hand"
    assert state.parts.chosen["clip_gradients"].__name__ == "clip_gradients_by_hand"
    assert all(bool((m != 0).any()) for name, m in state.optimizer.m.items() if "b_k" not in name)


def test_an_own_backward_part_is_the_one_that_trains(tmp_path: Path, by_torch: list[float]) -> None:
    notes = Notes()
    parts = own(tmp_path / "mine", RIGHT)
    assert run(tmp_path / "right", NUMPY, parts=parts, report=notes) == pytest.approx(by_torch, rel=1e-5)
    assert "own parts: layer_norm_backward" in notes.notes
    wrong = run(tmp_path / "wrong", NUMPY, parts=own(tmp_path / "bad", WRONG))
    assert wrong[0] == pytest.approx(by_torch[0], rel=1e-5)
    assert wrong != pytest.approx(by_torch, rel=1e-3)


def test_an_own_backward_part_has_no_place_where_torch_finds_the_gradients(tmp_path: Path) -> None:
    notes = Notes()
    run(tmp_path / "run", "training.steps=1", parts=own(tmp_path / "mine", RIGHT), report=notes)
    assert any(note.startswith("not used with this config: layer_norm_backward") for note in notes.notes)
    assert "backward passes of your own run with --set training.parts=numpy" in notes.notes


def test_own_torch_parts_are_reported_not_used_and_do_not_run(tmp_path: Path, by_hand: Path) -> None:
    text = "def softmax(x, dim=-1):\n    raise RuntimeError('torch has no say here')\n"
    text += "def train_step(*arguments, **keywords):\n    raise RuntimeError('nor here')\n"
    notes = Notes()
    run(tmp_path / "run", NUMPY, parts=own(tmp_path / "mine", text), report=notes)
    assert "not used with this config: softmax, train_step" in notes.notes
    assert weights_of(tmp_path / "run") == weights_of(by_hand)


def test_an_own_optimizer_part_is_used_with_gradients_by_hand(tmp_path: Path, by_hand: Path) -> None:
    text = "import torch\n@torch.no_grad()\ndef adamw_step(param, grad, m, v, step, lr, *more, **keywords):\n"
    text += "    param -= lr * grad\n"
    notes = Notes()
    run(tmp_path / "run", NUMPY, parts=own(tmp_path / "mine", text), report=notes)
    assert "own parts: adamw_step" in notes.notes
    assert weights_of(tmp_path / "run") != weights_of(by_hand)


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("model.position=rope", "model.position"),
        ("model.norm=rms", "model.norm"),
        ("model.norm_eps=0.001", "model.norm_eps"),
        ("model.feed_forward=relu2", "model.feed_forward"),
        ("model.n_kv_heads=1", "model.n_kv_heads"),
        ("model.qk_norm=true", "model.qk_norm"),
        ("model.window=4", "model.window"),
        ("model.embedding_norm=true", "model.embedding_norm"),
        ("model.logit_soft_cap=30.0", "model.logit_soft_cap"),
        ("model.dropout=0.1", "model.dropout"),
        ("training.optimizer=muon", "training.optimizer"),
        ("training.precision=bfloat16", "training.precision"),
        ("training.compile=true", "training.compile"),
        ("training.device=cuda", "training.device"),
    ],
)
def test_a_config_that_numpy_has_no_place_for_is_an_error_that_names_the_key(
    setting: str, key: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f"training.parts = 'numpy' needs {key} = ") as caught:
        run(tmp_path / "run", NUMPY, setting)
    assert caught.value.code == "PARTS"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("body", "message"), [
    ("dp.pop('wpe')", "the gradient of wpe is missing"),
    ("dp['wpe'] = dp['wpe'].T", r"the gradient of wpe is \(16, 10\), not \(10, 16\)"),
])  # fmt: skip
def test_an_own_gpt_backward_that_leaves_something_out_is_told_so(body: str, message: str, tmp_path: Path) -> None:
    text = "import groundup.backprop as b\ndef gpt_backward(ids, targets, p, n_layers, n_heads):\n"
    text += f"    loss, dp = b.gpt_backward(ids, targets, p, n_layers, n_heads)\n    {body}\n    return loss, dp\n"
    with pytest.raises(ShapeError, match=message):
        run(tmp_path / "run", NUMPY, "model.context_length=10", parts=own(tmp_path / "mine", text))


HOSTILE = {
    "None": ("return None", "PARTS"),
    "a text": ("return 'x'", "PARTS"),
    "an error": ("raise KeyError('mine')", "PARTS"),
    "the end": ("raise SystemExit(0)", "PARTS"),
    "another shape": ("return dx[..., None], dweight, dbias", "PARTS"),
    "another shape of a gradient": ("return dx, dweight[:-1], dbias", "SHAPE"),
    "a list": ("return dx.tolist(), dweight, dbias", "PARTS"),
    "objects": ("return dx, dweight.astype(object), dbias", "PARTS"),
    "imaginary numbers": ("return dx, dweight * 1j, dbias", "SHAPE"),
    "nan": ("return dx * np.nan, dweight, dbias", "NUM_GRAD"),
    "too large": ("return dx * 1e300, dweight, dbias", "NUM_GRAD"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_backward_part_ends_with_one_error_that_names_it(name: str, tmp_path: Path, groundup: Run) -> None:
    body, code = HOSTILE[name]
    text = RIGHT.replace("    return dx / deviation, (dy", "    dx, dweight, dbias = dx / deviation, (dy")
    own(tmp_path / "mine", text + f"    {body}\n")
    words = [word for setting in [*SMALL, NUMPY] for word in ("--set", setting)]
    shown = groundup(
        "train", "first-gpt", "--run-dir", tmp_path / "run", "--parts", tmp_path / "mine", "--json", *words
    )
    error = shown.json["error"]
    assert error["code"] == code
    assert shown.status == (3 if code == "NUM_GRAD" else 2)
    assert "Traceback" not in shown.err
    told = error["what"] + error["fix"]
    assert "layer_norm_backward" in told or (code == "SHAPE" and "the gradient of" in told)
    assert not list((tmp_path / "run" / "checkpoints").glob("step-*"))


def test_an_own_part_may_give_float64_or_an_array_laid_out_otherwise(tmp_path: Path, by_torch: list[float]) -> None:
    text = "def linear_backward(dy, x, weight):\n"
    text += "    dy2, x2 = (a.reshape(-1, a.shape[-1]).astype(float) for a in (dy, x))\n"
    text += "    return dy @ weight, (x2.T @ dy2).T, dy2.sum(0)\n"
    assert run(tmp_path / "run", NUMPY, parts=own(tmp_path / "mine", text)) == pytest.approx(by_torch, rel=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_numbers_that_go_bad_stop_the_run_before_any_weight_changes(bad: float) -> None:
    _, _, state = gradients(NUMPY)
    with torch.no_grad():
        state.params["h.0.mlp.w_up"][3, 2] = bad
    before = {name: param.detach().clone() for name, param in state.params.items()}
    ids = torch.arange(68).view(4, 17)
    with pytest.raises(DivergedError, match="step 1"):
        take_step(state, ids[:, :-1], ids[:, 1:], 0.01)
    for name, param in state.params.items():
        assert torch.equal(param.nan_to_num(), before[name].nan_to_num())
