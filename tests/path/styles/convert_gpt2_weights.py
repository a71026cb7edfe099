"""Right in unusual ways."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch

LAYER = {
    "ln_1.weight": "ln1.weight",
    "ln_1.bias": "ln1.bias",
    "attn.c_proj.weight": "attn.w_o",
    "attn.c_proj.bias": "attn.b_o",
    "ln_2.weight": "ln2.weight",
    "ln_2.bias": "ln2.bias",
    "mlp.c_fc.weight": "mlp.w_up",
    "mlp.c_fc.bias": "mlp.b_up",
    "mlp.c_proj.weight": "mlp.w_down",
    "mlp.c_proj.bias": "mlp.b_down",
}


def convert_gpt2_weights_name_by_name(tensors: Any, n_layers: int) -> Any:
    out: dict[str, Any] = {}
    for full_name, given in tensors.items():
        name = full_name.replace("transformer.", "")
        if name.endswith((".attn.bias", ".attn.masked_bias")):
            continue
        if not name.startswith("h."):
            out[{"wte.weight": "wte", "wpe.weight": "wpe"}.get(name, name)] = given
            continue
        _, number, rest = name.split(".", 2)
        tensor = given.t() if ".c_" in rest and rest.endswith("weight") else given
        if rest.startswith("attn.c_attn"):
            kind = "w" if rest.endswith("weight") else "b"
            out |= {f"h.{number}.attn.{kind}_{x}": part for x, part in zip("qkv", tensor.chunk(3, dim=0), strict=True)}
        else:
            out[f"h.{number}.{LAYER[rest]}"] = tensor
    if "lm_head.weight" in out and torch.equal(out["lm_head.weight"], out["wte"]):
        del out["lm_head.weight"]
    return out


def convert_gpt2_weights_by_einsum(tensors: Any, n_layers: int) -> Any:
    has_prefix = any(name.startswith("transformer.") for name in tensors)

    def get(name: str) -> Any:
        return tensors[f"transformer.{name}" if has_prefix else name]

    out = {"wte": get("wte.weight").clone(), "wpe": get("wpe.weight").clone()}
    for i in range(n_layers):
        for theirs, ours in LAYER.items():
            tensor = get(f"h.{i}.{theirs}")
            out[f"h.{i}.{ours}"] = torch.einsum("io->oi", tensor) if tensor.ndim == 2 else tensor
        weight, bias = get(f"h.{i}.attn.c_attn.weight"), get(f"h.{i}.attn.c_attn.bias")
        c = weight.shape[0]
        for n, x in enumerate("qkv"):
            out[f"h.{i}.attn.w_{x}"] = weight[:, n * c : (n + 1) * c].permute(1, 0)
            out[f"h.{i}.attn.b_{x}"] = bias[n * c :][:c]
    out["ln_f.weight"], out["ln_f.bias"] = get("ln_f.weight"), get("ln_f.bias")
    head = tensors.get("lm_head.weight")
    if head is not None and (head != out["wte"]).any():
        out["lm_head.weight"] = head
    return out


def convert_gpt2_weights_with_numpy(tensors: Any, n_layers: int) -> Any:
    """As the book loads them: split by NumPy; kept in parameters."""
    given = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    dtype = given["wte.weight"].dtype
    arrays = {name: tensor.double().numpy() for name, tensor in given.items()}

    def kept(array: Any) -> Any:
        return torch.nn.Parameter(torch.tensor(array).to(dtype))

    out = {"wte": kept(arrays["wte.weight"]), "wpe": kept(arrays["wpe.weight"])}
    for i in range(n_layers):
        q, k, v = np.split(arrays[f"h.{i}.attn.c_attn.weight"], 3, axis=-1)
        biases = np.split(arrays[f"h.{i}.attn.c_attn.bias"], 3)
        for x, weight, bias in zip("qkv", (q, k, v), biases, strict=True):
            out[f"h.{i}.attn.w_{x}"], out[f"h.{i}.attn.b_{x}"] = kept(weight.T), kept(bias)
        for theirs, ours in LAYER.items():
            out[f"h.{i}.{ours}"] = kept(arrays[f"h.{i}.{theirs}"].T)
    out |= {name: kept(arrays[name]) for name in ("ln_f.weight", "ln_f.bias")}
    if "lm_head.weight" in arrays and not np.array_equal(arrays["lm_head.weight"], arrays["wte.weight"]):
        out["lm_head.weight"] = kept(arrays["lm_head.weight"])
    return out


def convert_gpt2_weights_by_view(tensors: Any, n_layers: int) -> Any:
    """c_attn as (C, 3, C), moved; a head compared by its largest difference."""
    theirs = {name.split("transformer.")[-1]: tensor.detach() for name, tensor in tensors.items()}
    ours: dict[str, Any] = {}
    for i in reversed(range(n_layers)):
        weight = theirs[f"h.{i}.attn.c_attn.weight"]
        w_q, w_k, w_v = weight.view(len(weight), 3, -1).permute(1, 2, 0).unbind(0)
        b_q, b_k, b_v = theirs[f"h.{i}.attn.c_attn.bias"].view(3, -1)
        both = {"w_q": w_q, "b_q": b_q, "w_k": w_k, "b_k": b_k, "w_v": w_v, "b_v": b_v}
        ours.update({f"h.{i}.attn.{name}": tensor for name, tensor in both.items()})
        for name, other in LAYER.items():
            tensor = theirs[f"h.{i}.{name}"]
            ours[f"h.{i}.{other}"] = tensor.transpose(0, -1).contiguous()
    for name in ("wte", "wpe"):
        ours[name] = theirs[f"{name}.weight"]
    ours.update(**{name: tensor for name, tensor in theirs.items() if name.startswith("ln_f")})
    if "lm_head.weight" in theirs and not torch.allclose(theirs["lm_head.weight"], ours["wte"]):
        ours["lm_head.weight"] = theirs["lm_head.weight"]
    return ours


def convert_gpt2_weights_by_patterns(tensors: Any, n_layers: int) -> Any:
    patterns = {
        r"^transformer\.": "",
        r"^(wte|wpe)\.weight$": r"\1",
        r"\.ln_([12])\.": r".ln\1.",
        r"\.attn\.c_proj\.(.).*": r".attn.\1_o",
        r"\.mlp\.c_fc\.(.).*": r".mlp.\1_up",
        r"\.mlp\.c_proj\.(.).*": r".mlp.\1_down",
    }
    out = {}
    for whole_name, tensor in tensors.items():
        name = whole_name
        for theirs, ours in patterns.items():
            name = re.sub(theirs, ours, name)
        if fused := re.fullmatch(r"(.*)c_attn\.(.).*", name):
            for letter, part in zip("qkv", tensor.T.chunk(3) if tensor.ndim == 2 else tensor.chunk(3), strict=True):
                out[f"{fused[1]}{fused[2]}_{letter}"] = part
        elif not re.search(r"\.attn\.(masked_)?bias$", name):
            out[name] = tensor.T if re.search(r"\.w_(o|up|down)$", name) else tensor
    if "lm_head.weight" in out and out["lm_head.weight"].equal(out["wte"]):
        del out["lm_head.weight"]
    return out
