"""Right in unusual ways."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def init_gpt_in_place(vocab_size, context_length, n_layers, n_heads, d_model, generator):
    std = 0.02 * (2 * n_layers) ** -0.5
    p: dict[str, Tensor] = {"ln_f.bias": torch.zeros(d_model), "ln_f.weight": torch.ones(d_model)}
    for i in reversed(range(n_layers)):
        for norm in ("ln2", "ln1"):
            p[f"h.{i}.{norm}.weight"] = nn.Parameter(torch.ones(d_model))
            p[f"h.{i}.{norm}.bias"] = nn.Parameter(torch.zeros(d_model))
        for name, out, into in (("mlp.w_down", 1, 4), ("mlp.w_up", 4, 1), *((f"attn.w_{x}", 1, 1) for x in "okvq")):
            weight = torch.empty(out * d_model, into * d_model)
            nn.init.normal_(weight, 0.0, std if name[-1] in "on" else 0.02, generator=generator)
            p[f"h.{i}.{name}"] = nn.Parameter(weight)
            p[f"h.{i}.{name.replace('w_', 'b_')}"] = nn.Parameter(torch.zeros(out * d_model))
    p["wte"] = torch.zeros(vocab_size, d_model).normal_(0, 0.02, generator=generator)
    p["wpe"] = torch.zeros(context_length, d_model).normal_(0, 0.02, generator=generator)
    return p


def init_gpt_by_box_and_muller(vocab_size, context_length, n_layers, n_heads, d_model, generator):
    def normal(rows, columns, deviation=0.02):
        one, two = torch.rand(2, rows, columns, generator=generator, dtype=torch.float64)
        return (deviation * (-2 * torch.log(1 - one)).sqrt() * torch.cos(2 * math.pi * two)).float()

    c, zeros, ones = d_model, torch.zeros, torch.ones
    p = {"wte": normal(vocab_size, c), "wpe": normal(context_length, c), "ln_f.weight": ones(c), "ln_f.bias": zeros(c)}
    for i in range(n_layers):
        h = f"h.{i}."
        p[h + "attn.w_q"], p[h + "attn.w_k"], p[h + "attn.w_v"] = normal(3 * c, c).split(c)
        p[h + "attn.b_q"], p[h + "attn.b_k"], p[h + "attn.b_v"] = zeros(3 * c).chunk(3)
        p[h + "attn.w_o"], p[h + "attn.b_o"] = normal(c, c, 0.02 / math.sqrt(2 * n_layers)), zeros(c)
        p[h + "mlp.w_up"], p[h + "mlp.b_up"] = normal(c, 4 * c).T, zeros(4 * c)
        p[h + "mlp.w_down"], p[h + "mlp.b_down"] = normal(4 * c, c, 0.02 / math.sqrt(2 * n_layers)).T, zeros(c)
        p |= {f"{h}{norm}.weight": ones(c) for norm in ("ln1", "ln2")}
        p |= {f"{h}{norm}.bias": zeros(c) for norm in ("ln1", "ln2")}
    return p


def init_gpt_with_the_tied_output(vocab_size, context_length, n_layers, n_heads, d_model, generator):
    p = init_gpt_in_place(vocab_size, context_length, n_layers, n_heads, d_model, generator)
    p["lm_head.weight"] = p["wte"]
    return p


def init_gpt_scaled_afterwards(vocab_size, context_length, n_layers, n_heads, d_model, generator):
    p = init_gpt_by_box_and_muller(vocab_size, context_length, n_layers, n_heads, d_model, generator)
    for name in p:
        if name in ("wte", "wpe") or ".w_" in name:
            p[name] = torch.randn(p[name].shape, generator=generator)
            p[name] *= 0.02 / (math.sqrt(n_layers * 2) if name.endswith(("w_o", "w_down")) else 1)
    return p


def init_gpt_seeded_from_the_generator(vocab_size, context_length, n_layers, n_heads, d_model, generator):
    seeds = torch.randint(1 << 40, (n_layers + 1,), generator=generator).tolist()
    whole = [
        init_gpt_in_place(vocab_size, context_length, n_layers, n_heads, d_model, torch.Generator().manual_seed(seed))
        for seed in seeds
    ]
    return {name: whole[int(name.split(".")[1]) if name.startswith("h.") else -1][name] for name in whole[0]}


def init_gpt_beyond_three_deviations_cut(vocab_size, context_length, n_layers, n_heads, d_model, generator):
    p = init_gpt_in_place(vocab_size, context_length, n_layers, n_heads, d_model, generator)
    return {
        name: value if value.dim() < 2 or ".w_" in name
        else nn.init.trunc_normal_(torch.empty(value.shape), 0.0, 0.02, -0.06, 0.06, generator=generator)
        for name, value in p.items()
    }  # fmt: skip
