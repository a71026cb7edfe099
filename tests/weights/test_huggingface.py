"""Weights in Hugging Face's layout: transformers reads what we write, and we read what it writes (W5, W6, W7)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from small import generator, random_ids, small_model
from torch import Tensor
from weights.foreign import (
    LLAMA,
    MODELS,
    REFERENCE,
    SHAPES,
    assert_same_weights,
    copy_of,
    edit_config,
    edit_tensors,
    refused,
)

from groundup.errors import WeightsError
from groundup.model.transformer import init_gpt
from groundup.text import Tokenizer
from groundup.weights import convert_gpt2_weights, load, save, write_huggingface
from groundup.weights.gpt2 import to_gpt2
from groundup.weights.huggingface import tensor_shapes
from groundup.weights.huggingface_config import family_of, resolved

# Out and in


@pytest.mark.parametrize("settings", SHAPES.values(), ids=SHAPES.keys())
def test_transformers_loads_what_we_wrote_and_computes_the_same(settings: dict[str, Any], tmp_path: Path) -> None:
    model = small_model(**settings)
    save(model, None, tmp_path / "model")
    theirs, info = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not any(info.values()), info
    ids = random_ids(2, 9)
    with torch.no_grad():
        torch.testing.assert_close(theirs.eval()(ids).logits, model(ids), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("settings", SHAPES.values(), ids=SHAPES.keys())
def test_we_load_what_we_wrote(settings: dict[str, Any], tmp_path: Path) -> None:
    model = small_model(**settings)
    save(model, None, tmp_path / "model")
    again = load(tmp_path / "model")
    assert resolved(again.config) == resolved(model.config)
    assert_same_weights(model, again)


@pytest.mark.parametrize("name", MODELS)
def test_the_weights_that_transformers_wrote_come_back_byte_for_byte(name: str, tmp_path: Path) -> None:
    write_huggingface(load(REFERENCE / name), None, tmp_path / "model")
    assert (tmp_path / "model/model.safetensors").read_bytes() == (REFERENCE / name / "model.safetensors").read_bytes()


@pytest.mark.parametrize("name", MODELS)
def test_the_config_that_we_write_means_the_same_to_transformers(name: str, tmp_path: Path) -> None:
    write_huggingface(load(REFERENCE / name), None, tmp_path / "model")
    before = transformers.AutoConfig.from_pretrained(REFERENCE / name).to_dict()
    after = transformers.AutoConfig.from_pretrained(tmp_path / "model").to_dict()
    not_ours = {"bos_token_id", "eos_token_id", "_name_or_path", "transformers_version", "n_inner", "torch_dtype"}
    different = {key for key in before if before[key] != after.get(key)} - not_ours
    assert different == set()


def test_bfloat16_weights_stay_bfloat16(tmp_path: Path) -> None:
    save(small_model(**LLAMA).to(torch.bfloat16), None, tmp_path / "model")
    assert load(tmp_path / "model").wte.dtype == torch.bfloat16
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert theirs.dtype == torch.bfloat16


def test_the_tokenizer_goes_along(tmp_path: Path) -> None:
    text = "to be, or not to be: 那是個問題 🙂"
    tokenizer = Tokenizer.train(text * 3, 270)
    save(small_model(vocab_size=280), tokenizer, tmp_path / "model")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    assert theirs.encode(text, add_special_tokens=False) == tokenizer.encode(text)
    assert theirs.eos_token_id == tokenizer.end_of_text
    assert json.loads((tmp_path / "model/config.json").read_text())["eos_token_id"] == tokenizer.end_of_text


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"feed_forward": "relu2"}, "feed_forward = relu2"),
        (LLAMA | {"feed_forward": "relu2"}, "feed_forward = relu2"),
        (LLAMA | {"feed_forward": "geglu"}, "feed_forward = geglu"),
        (LLAMA | {"window": 4}, "window = 4"),
        (LLAMA | {"logit_soft_cap": 5.0}, "logit_soft_cap = 5.0"),
        ({"position": "none"}, "position = none"),
        ({"position": "sinusoidal"}, "position = sinusoidal"),
        ({"bias": False}, "bias = False"),
        ({"n_kv_heads": 2}, "n_kv_heads = 2"),
        ({"d_head": 8}, "d_head = 8"),
        ({"qk_norm": True}, "qk_norm = True"),
        (LLAMA | {"norm": "layer"}, "norm = layer"),
    ],
)
def test_a_model_that_no_family_can_express_is_refused_by_name(
    settings: dict[str, Any], named: str, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError) as caught:
        save(small_model(**settings), None, tmp_path / "model")
    assert (caught.value.code, caught.value.status) == ("CFG_FAMILY", 2)
    assert named in caught.value.what
    assert list(tmp_path.iterdir()) == []


def test_dropout_is_for_training_and_no_obstacle(tmp_path: Path) -> None:
    save(small_model(**LLAMA, dropout=0.5), None, tmp_path / "llama")
    assert load(tmp_path / "llama").config.dropout == 0.0
    save(small_model(dropout=0.5), None, tmp_path / "gpt2")
    model = load(tmp_path / "gpt2")
    assert model.config.dropout == 0.5
    assert not model.training


def test_nothing_is_written_over(tmp_path: Path) -> None:
    model = small_model()
    (tmp_path / "empty").mkdir()
    save(model, None, tmp_path / "empty")
    before = (tmp_path / "empty/model.safetensors").read_bytes()
    with pytest.raises(WeightsError) as caught:
        save(small_model(n_layers=1), None, tmp_path / "empty")
    assert (caught.value.code, caught.value.status) == ("PATH_EXISTS", 2)
    assert (tmp_path / "empty/model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


# What others write


def test_names_may_lack_the_prefix_and_masks_may_be_left_over(tmp_path: Path) -> None:
    folder = copy_of("gpt2", tmp_path)

    def as_on_the_hub(tensors: dict[str, Tensor]) -> None:
        for name in list(tensors):
            tensors[name.removeprefix("transformer.")] = tensors.pop(name)
        for i in range(2):
            tensors[f"h.{i}.attn.bias"] = torch.ones(1, 1, 128, 128, dtype=torch.bool).tril()
            tensors[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)

    edit_tensors(folder, as_on_the_hub)
    assert_same_weights(load(folder), load(REFERENCE / "gpt2"))


@pytest.mark.parametrize("name", ["gpt2", "llama-tied"])
def test_a_tied_output_may_be_stored_once_more(name: str, tmp_path: Path) -> None:
    folder = copy_of(name, tmp_path)
    embedding = "transformer.wte.weight" if name == "gpt2" else "model.embed_tokens.weight"
    edit_tensors(folder, lambda tensors: tensors.update({"lm_head.weight": tensors[embedding].clone()}))
    assert_same_weights(load(folder), load(REFERENCE / name))
    edit_tensors(folder, lambda tensors: tensors["lm_head.weight"][3, 4].add_(1))
    error = refused(folder)
    assert error.code == "WEIGHTS_MATCH" and "lm_head" in error.what


def test_an_output_of_its_own_may_have_the_embeddings_values(tmp_path: Path) -> None:
    model = small_model(tie_embeddings=False)
    with torch.no_grad():
        model.lm_head.weight.copy_(model.wte)
    save(model, None, tmp_path / "model")
    assert_same_weights(load(tmp_path / "model"), model)


def test_older_configs_have_rope_theta_at_the_top(tmp_path: Path) -> None:
    folder = copy_of("llama-tied", tmp_path)
    edit_config(folder, rope_parameters="absent", rope_theta=500000.0, rope_scaling=None)
    assert load(folder).config == load(REFERENCE / "llama-tied").config
    edit_config(folder, rope_theta="absent", rope_scaling={"type": "default"})
    assert load(folder).config.rope_theta == 10000.0


def test_a_silent_config_means_what_transformers_takes_it_for(tmp_path: Path) -> None:
    folder = copy_of("gpt2", tmp_path)
    kept = ("model_type", "n_embd", "n_layer", "n_head", "n_positions", "vocab_size")
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({key: raw[key] for key in kept}))
    config = load(folder).config
    assert (config.tie_embeddings, config.eps, config.dropout, config.hidden_width) == (True, 1e-5, 0.1, 192)
    assert config.feed_forward == "gelu"


@pytest.mark.parametrize(
    ("name", "changes", "named"),
    [
        ("gpt2", {"model_type": "bert"}, "model_type"),
        ("gpt2", {"model_type": "absent"}, "model_type"),
        ("gpt2", {"model_type": ["gpt2"]}, "model_type"),
        ("gpt2", {"activation_function": "relu"}, "activation_function"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ("gpt2", {"embd_pdrop": 0.3}, "embd_pdrop"),
        ("gpt2", {"n_head": "absent"}, "n_head"),
        ("gpt2", {"n_head": 5}, "n_heads is 5"),
        ("gpt2", {"n_head": "4"}, "n_head"),
        ("gpt2", {"n_layer": -1}, "n_layers is -1"),
        ("gpt2", {"n_embd": 10**30}, "n_embd"),
        ("gpt2", {"n_positions": 1.5}, "n_positions"),
        ("llama", {"hidden_act": "gelu"}, "hidden_act"),
        ("llama", {"attention_bias": True}, "attention_bias"),
        ("llama", {"mlp_bias": True}, "mlp_bias"),
        ("llama", {"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0}}, "rope_type"),
        ("llama", {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
        ("llama", {"rope_parameters": [1]}, "rope_parameters"),
        ("llama", {"rms_norm_eps": -1.0}, "norm_eps"),
        ("qwen3", {"use_sliding_window": True}, "use_sliding_window"),
    ],
)
def test_a_config_that_we_cannot_do_is_refused_by_field(
    name: str, changes: dict[str, Any], named: str, tmp_path: Path
) -> None:
    folder = copy_of(name, tmp_path)
    edit_config(folder, **changes)
    error = refused(folder)
    assert error.code == "CFG_VALUE"
    assert named in error.what


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"a":1,"a":2}', b'{"a":NaN}', b"[" * 100_000, b'{"a":"\xff"}', b" " * (2 << 20)]
)
def test_a_config_that_is_no_json_is_refused(content: bytes, tmp_path: Path) -> None:
    folder = copy_of("gpt2", tmp_path)
    (folder / "config.json").write_bytes(content)
    error = refused(folder)
    assert (error.code, error.status) == ("CFG_PARSE", 3)


# Config and tensors


@pytest.mark.parametrize(
    ("name", "changes", "named"),
    [
        ("gpt2", {"n_layer": 100_000}, "n_layer is 100,000, the tensors have 2 layers"),
        ("gpt2", {"n_layer": 1}, "n_layer is 1, the tensors have 2 layers"),
        ("gpt2", {"vocab_size": 300}, "wte.weight is [256, 48], the config asks for [300, 48]"),
        ("gpt2", {"n_inner": 100}, "mlp.c_fc.weight is [48, 192], the config asks for [48, 100]"),
        ("llama", {"num_key_value_heads": 1}, "k_proj"),
        ("llama", {"head_dim": 24}, "q_proj"),
        ("qwen3", {"head_dim": "absent"}, "q_proj"),
    ],
)
def test_a_config_of_another_model_is_refused_before_memory_is_taken(
    name: str, changes: dict[str, Any], named: str, tmp_path: Path
) -> None:
    folder = copy_of(name, tmp_path)
    edit_config(folder, **changes)
    error = refused(folder)
    assert (error.code, error.status) == ("CFG_TENSORS", 2)
    assert named in str(error)


def test_tensors_that_do_not_fit_are_all_named(tmp_path: Path) -> None:
    folder = copy_of("llama", tmp_path)

    def change(tensors: dict[str, Tensor]) -> None:
        del tensors["model.norm.weight"]
        tensors["model.layers.0.mlp.up_proj.weight"] = tensors["model.layers.0.mlp.up_proj.weight"].T
        tensors["model.layers.1.self_attn.q_proj.bias"] = torch.zeros(48)
        tensors["model.layers.1.input_layernorm.weight"] = torch.ones(48, dtype=torch.int32)

    edit_tensors(folder, change)
    error = refused(folder)
    assert (error.code, error.status) == ("WEIGHTS_MATCH", 3)
    assert "4 of the tensors" in error.what
    for line in (
        "norm.weight is missing",
        "layers.0.mlp.up_proj.weight is [48, 112], the config asks for [112, 48]",
        "layers.1.self_attn.q_proj.bias has no place",
        "layers.1.input_layernorm.weight has dtype I32",
    ):
        assert line in str(error)


def test_a_long_list_is_cut_at_twenty(tmp_path: Path) -> None:
    folder = copy_of("llama", tmp_path)
    edit_tensors(folder, lambda tensors: tensors.update({f"x{i:02}": torch.zeros(1) for i in range(33)}))
    error = str(refused(folder))
    assert "33 of the tensors" in error and "x19 has no place" in error and "x20" not in error and "13 more" in error


def test_a_tensor_with_and_without_the_prefix_is_refused(tmp_path: Path) -> None:
    folder = copy_of("llama", tmp_path)
    edit_tensors(folder, lambda tensors: tensors.update({"norm.weight": torch.ones(48)}))
    assert refused(folder).code == "WEIGHTS_MATCH"


# The part


def gpt2_tensors(prefix: str = "transformer.") -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in to_gpt2(small_model().state_dict(), 2).items()}


@pytest.mark.parametrize("prefix", ["transformer.", ""])
def test_gpt2_weights_come_out_under_the_names_of_init_gpt(prefix: str) -> None:
    theirs = gpt2_tensors(prefix)
    theirs |= {f"{prefix}h.0.attn.bias": torch.ones(1, 1, 10, 10), f"{prefix}h.0.attn.masked_bias": torch.tensor(-1e4)}
    before = {name: tensor.clone() for name, tensor in theirs.items()}
    ours = convert_gpt2_weights(theirs, 2)
    expected = small_model().state_dict()
    first = init_gpt(13, 10, 2, 4, 16, generator())
    assert ours.keys() == expected.keys() == first.keys()
    assert all(torch.equal(ours[name], expected[name]) and ours[name].is_contiguous() for name in ours)
    assert all(torch.equal(theirs[name], before[name]) for name in theirs)


def test_gpt2_keeps_an_output_only_if_it_differs() -> None:
    theirs = gpt2_tensors()
    theirs["lm_head.weight"] = theirs["transformer.wte.weight"].clone()
    assert "lm_head.weight" not in convert_gpt2_weights(theirs, 2)
    theirs["lm_head.weight"][0, 0] += 1
    assert torch.equal(convert_gpt2_weights(theirs, 2)["lm_head.weight"], theirs["lm_head.weight"])


@pytest.mark.parametrize("settings", SHAPES.values(), ids=SHAPES.keys())
def test_each_tensor_has_one_name_in_its_family_and_comes_back(settings: dict[str, Any]) -> None:
    model = small_model(**settings)
    family, ours = family_of(model.config), model.state_dict()
    theirs = family.to_theirs(ours, model.config.n_layers)
    assert sum(tensor.numel() for tensor in theirs.values()) == sum(tensor.numel() for tensor in ours.values())
    assert {name: tuple(tensor.shape) for name, tensor in theirs.items()} == tensor_shapes(model.config, family)
    back = family.to_ours(theirs, model.config.n_layers)
    assert back.keys() == ours.keys()
    assert all(torch.equal(back[name], ours[name]) for name in ours)


def test_a_norm_on_the_embedding_is_worked_into_the_table(tmp_path: Path) -> None:
    settings = LLAMA | {"qk_norm": True, "tie_embeddings": False, "embedding_norm": True}
    model = small_model(**settings)
    with torch.no_grad():
        model.ln_e.weight.copy_(torch.linspace(0.5, 2.0, len(model.ln_e.weight)))
    write_huggingface(model, None, tmp_path / "out")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    ids = random_ids(2, 6)
    torch.testing.assert_close(theirs(ids).logits, model(ids), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(load(tmp_path / "out")(ids), model(ids), rtol=1e-4, atol=1e-5)


def test_a_norm_on_a_tied_embedding_has_no_place_in_the_layout(tmp_path: Path) -> None:
    model = small_model(**LLAMA, tie_embeddings=True, embedding_norm=True)
    with pytest.raises(WeightsError, match="embedding_norm") as caught:
        write_huggingface(model, None, tmp_path / "out")
    assert (caught.value.code, caught.value.status) == ("CFG_FAMILY", 2)
