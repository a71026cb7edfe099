"""The seam: an own part trains, a wrong one shows in the curve, a stub is lent, a contradiction is an error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from own_parts import RIGHT

from groundup.errors import ConfigError
from groundup.training import Parts, load_config, train
from groundup.training.metrics import read_metrics

SMALL = [
    "data.corpus=the-verdict", "model.vocab_size=300", "model.context_length=16", "model.n_layers=2",
    "model.d_model=16", "model.n_heads=2", "training.steps=6", "training.batch_size=4", "training.warmup_steps=2",
    "training.max_lr=0.01", "evaluation.every=6", "evaluation.batches=2", "evaluation.sample_tokens=2",
]  # fmt: skip

WRONG = {
    "softmax": ("return e / e.sum", "return 0.5 * e / e.sum"),
    "causal_mask": ("i[:, None] >= i[None, :]", "i[:, None] <= i[None, :]"),
    "layer_norm": ("unbiased=False", "unbiased=True"),
    "cross_entropy": (".mean()", ".mean() * 1.1"),
    "adamw_step": ("- betas[1] ** step", "- 0.0 * step"),
    "learning_rate": ("(step + 1)", "step"),
    "transformer_block": ("return x + feed_forward", "return feed_forward"),
    "gpt_forward": ('x = layer_norm(x, p["ln_f.weight"], p["ln_f.bias"])', "pass"),
    "train_step": ("else 0.0", "else 0.9"),
}


def losses(run_dir: Path, parts: Parts | None, *settings: str) -> list[float]:
    """The losses of a short run of first-gpt with these parts."""
    train(load_config("first-gpt", [*SMALL, *settings]), run_dir, parts=parts)
    return [row["loss"] for row in read_metrics(run_dir / "metrics.jsonl")]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    return losses(tmp_path_factory.mktemp("library") / "run", None)


@pytest.mark.parametrize("name", RIGHT)
def test_an_own_part_trains_the_library_s_curve(name: str, tmp_path: Path, library: list[float]) -> None:
    folder = tmp_path / "my_llm"
    folder.mkdir()
    (folder / "mine.py").write_text(RIGHT[name])
    parts = Parts.from_folder(folder)
    assert parts.own == {name}
    assert losses(tmp_path / "run", parts) == pytest.approx(library, rel=2e-4)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_own_part_changes_the_curve(name: str, tmp_path: Path, library: list[float]) -> None:
    folder = tmp_path / "my_llm"
    folder.mkdir()
    right, wrong = WRONG[name]
    assert right in RIGHT[name]
    (folder / "mine.py").write_text(RIGHT[name].replace(right, wrong))
    assert losses(tmp_path / "run", Parts.from_folder(folder)) != pytest.approx(library, rel=2e-4)


def test_plain_and_fast_parts_train_the_same_curve(tmp_path: Path, library: list[float]) -> None:
    assert losses(tmp_path / "run", None, "training.parts=plain") == pytest.approx(library, rel=2e-4)


def test_an_own_softmax_keeps_attention_plain_and_fuses_the_rest(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RIGHT["softmax"])
    fused = Parts.from_folder(tmp_path).fused()
    assert fused.chosen["attention"].__module__ == "groundup.model.attention"
    assert fused.chosen["mlp"].__module__ == "groundup.kernels.feedforward"


def test_stubs_are_lent(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(
        RIGHT["softmax"]
        + "\ndef layer_norm(x, weight, bias, eps=1e-5):\n    '''To do.'''\n    raise NotImplementedError\n"
    )
    parts = Parts.from_folder(tmp_path)
    assert (parts.own, parts.lent) == ({"softmax"}, {"layer_norm"})
    assert parts.layer_norm is Parts().layer_norm


def test_files_find_each_other_s_parts_and_stubs_through_parts(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "from parts import softmax, gelu\ndef attention_weights(q, k, mask=None):\n    return softmax(gelu(q @ k.mT))\n"
    )
    (tmp_path / "b.py").write_text(
        "from parts import attention_weights\ndef softmax(x, dim=-1):\n    return x * 0 + 7\ndef gelu(x):\n    ...\n"
    )
    parts = Parts.from_folder(tmp_path)
    assert parts.own == {"softmax", "attention_weights"}
    assert torch.equal(parts.attention_weights(torch.ones(2, 3), torch.ones(2, 3)), torch.full((2, 2), 7.0))


CONTRADICTIONS = [
    ("gpt_forward", "model.position=rope", "model.position"),
    ("gpt_forward", "model.norm=rms", "model.norm"),
    ("transformer_block", "model.feed_forward=relu2", "model.feed_forward"),
    ("train_step", "training.optimizer=muon", "training.optimizer"),
    ("train_step", "training.weight_decay=0.2", "training.weight_decay"),
    ("train_step", "training.precision=float16", "training.precision"),
    ("train_step", "training.micro_batch_size=2", "training.micro_batch_size"),
    ("train_step", "training.beta1=0.5", "training.beta1"),
    ("transformer_block", "model.norm_eps=0.5", "model.norm_eps"),
    ("gpt_forward", "model.embedding_norm=true", "model.embedding_norm"),
]


@pytest.mark.parametrize(("name", "setting", "key"), CONTRADICTIONS)
def test_an_own_part_that_contradicts_the_config_is_an_error_that_names_the_key(
    name: str, setting: str, key: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(RIGHT[name])
    with pytest.raises(ConfigError, match=key) as caught:
        Parts.from_folder(tmp_path).check(load_config("first-gpt", [*SMALL, setting]))
    assert (caught.value.code, caught.value.status) == ("PARTS", 2)


def test_dropout_contradicts_an_own_block_that_takes_none(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def transformer_block(x, p, n_heads):\n    return x\n")
    parts = Parts.from_folder(tmp_path)
    parts.check(load_config("first-gpt", SMALL))
    with pytest.raises(ConfigError, match=r"model\.dropout"):
        parts.check(load_config("first-gpt", [*SMALL, "model.dropout=0.1"]))


def test_an_own_part_without_a_place_is_reported(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def swiglu(x, g, u, d):\n    return x\ndef count_pairs(ids):\n    return {}\n")
    assert Parts.from_folder(tmp_path).not_used(load_config("first-gpt", SMALL)) == {"swiglu", "count_pairs"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def softmax(x:\n", "not valid Python"),
        ("import nothing_by_this_name\ndef softmax(x, dim=-1):\n    return x\n", "fails when it is loaded"),
        ("import sys\nsys.exit(0)\ndef softmax(x, dim=-1):\n    return x\n", "fails when it is loaded"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_one_clear_error(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        Parts.from_folder(tmp_path)
    assert "mine.py" in caught.value.where


def test_a_part_written_twice_is_an_error(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(RIGHT["softmax"])
    with pytest.raises(ConfigError, match="softmax is written twice"):
        Parts.from_folder(tmp_path)


def test_parts_is_every_record_at_once() -> None:
    from groundup.backprop import BackpropParts
    from groundup.generation.parts import GenerationParts
    from groundup.model.parts import ModelParts
    from groundup.training.parts import TrainingParts

    names = {name for record in (ModelParts, BackpropParts, GenerationParts, TrainingParts) for name in record.names()}
    assert set(Parts.names()) == names


def test_an_own_mask_needs_no_more_arguments_than_the_list_of_parts_says(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\ndef sliding_window_mask(t, window):\n"
        "    return torch.ones(t, t, dtype=torch.bool).tril().triu(1 - window)\n"
    )
    settings = ("model.window=4",)
    own = losses(tmp_path / "own", Parts.from_folder(tmp_path), *settings)
    assert own == pytest.approx(losses(tmp_path / "library", None, *settings), rel=2e-4)


def test_dropout_around_an_own_train_step_is_the_same_twice(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RIGHT["train_step"])
    parts = Parts.from_folder(tmp_path)
    first, second = (losses(tmp_path / name, parts, "model.dropout=0.3") for name in ("first", "second"))
    assert first == second
