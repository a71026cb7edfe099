"""GPT-2's weights, out of the form in which they were published and back into it.

Two things are peculiar. Every linear weight is stored as (in, out), the other way round from `torch.nn.Linear`; and the
projections to query, key and value are one matrix, `c_attn`, which must be cut in three.

Read next: `families.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Tensors = dict[str, Tensor]


def convert_gpt2_weights(tensors: Mapping[str, Tensor], n_layers: int) -> Tensors:
    """GPT-2's weights under Hugging Face's names, as those of `gpt_forward` and `init_gpt`.

    Names may have the prefix `transformer.`. Their linear weights are (in, out), ours (out, in). Their `c_attn` holds
    q, k and v side by side. `attn.bias` and `attn.masked_bias` are masks and no weights; `lm_head.weight` is kept only
    if it differs from the embedding.
    """
    theirs = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    ours = {"wte": theirs["wte.weight"], "wpe": theirs["wpe.weight"]}
    for i in range(n_layers):
        block = {name.removeprefix(f"h.{i}."): tensor for name, tensor in theirs.items() if name.startswith(f"h.{i}.")}
        w_q, w_k, w_v = block["attn.c_attn.weight"].T.chunk(3)  # (C, C)
        b_q, b_k, b_v = block["attn.c_attn.bias"].chunk(3)  # (C,)
        converted = {
            "ln1.weight": block["ln_1.weight"],
            "ln1.bias": block["ln_1.bias"],
            "attn.w_q": w_q,
            "attn.b_q": b_q,
            "attn.w_k": w_k,
            "attn.b_k": b_k,
            "attn.w_v": w_v,
            "attn.b_v": b_v,
            "attn.w_o": block["attn.c_proj.weight"].T,
            "attn.b_o": block["attn.c_proj.bias"],
            "ln2.weight": block["ln_2.weight"],
            "ln2.bias": block["ln_2.bias"],
            "mlp.w_up": block["mlp.c_fc.weight"].T,
            "mlp.b_up": block["mlp.c_fc.bias"],
            "mlp.w_down": block["mlp.c_proj.weight"].T,
            "mlp.b_down": block["mlp.c_proj.bias"],
        }
        ours |= {f"h.{i}.{name}": tensor.contiguous() for name, tensor in converted.items()}
    ours |= {"ln_f.weight": theirs["ln_f.weight"], "ln_f.bias": theirs["ln_f.bias"]}
    head = theirs.get("lm_head.weight")
    if head is not None and not torch.equal(head, ours["wte"]):
        ours["lm_head.weight"] = head
    return ours


def to_gpt2(ours: Mapping[str, Tensor], n_layers: int) -> Tensors:
    """The inverse of convert_gpt2_weights, without the prefix."""
    theirs = {"wte.weight": ours["wte"], "wpe.weight": ours["wpe"]}
    for i in range(n_layers):
        block = {name.removeprefix(f"h.{i}."): tensor for name, tensor in ours.items() if name.startswith(f"h.{i}.")}
        converted = {
            "ln_1.weight": block["ln1.weight"],
            "ln_1.bias": block["ln1.bias"],
            "attn.c_attn.weight": torch.cat([block[f"attn.w_{name}"] for name in "qkv"]).T,
            "attn.c_attn.bias": torch.cat([block[f"attn.b_{name}"] for name in "qkv"]),
            "attn.c_proj.weight": block["attn.w_o"].T,
            "attn.c_proj.bias": block["attn.b_o"],
            "ln_2.weight": block["ln2.weight"],
            "ln_2.bias": block["ln2.bias"],
            "mlp.c_fc.weight": block["mlp.w_up"].T,
            "mlp.c_fc.bias": block["mlp.b_up"],
            "mlp.c_proj.weight": block["mlp.w_down"].T,
            "mlp.c_proj.bias": block["mlp.b_down"],
        }
        theirs |= {f"h.{i}.{name}": tensor for name, tensor in converted.items()}
    theirs |= {"ln_f.weight": ours["ln_f.weight"], "ln_f.bias": ours["ln_f.bias"]}
    return theirs | {name: ours[name] for name in ("lm_head.weight",) if name in ours}
