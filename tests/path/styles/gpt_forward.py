"""Right in unusual ways."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groundup.model.transformer import gpt_forward as library
from groundup.randomness import seeded_generator


def dropped(x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    if rate == 0:
        return x
    return x * torch.bernoulli(torch.full(x.shape, 1 - rate), generator=generator).to(x.dtype) / (1 - rate)


def norm(x: Tensor, p: dict[str, Tensor], name: str) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], p[f"{name}.weight"], p.get(f"{name}.bias"), 1e-5)


def gpt_forward_in_one_function(ids, p, n_layers, n_heads, *, dropout=0.0, generator=None):
    (b, t), c = ids.shape, p["wte"].shape[1]
    x = dropped(F.embedding(ids, p["wte"]) + p["wpe"][torch.arange(t)], dropout, generator)
    hidden = torch.ones(t, t, dtype=torch.bool).triu(1)
    for i in range(n_layers):

        def get(name, i=i):
            return p.get(f"h.{i}.{name}")

        y = norm(x, p, f"h.{i}.ln1")
        q, k, v = (
            F.linear(y, get(f"attn.w_{n}"), get(f"attn.b_{n}")).view(b, t, n_heads, -1).transpose(1, 2) for n in "qkv"
        )
        scores = (q @ k.transpose(-2, -1) / math.sqrt(c // n_heads)).masked_fill(hidden, -1e30)
        weights = dropped(scores.softmax(-1), dropout, generator)
        y = F.linear((weights @ v).transpose(1, 2).reshape(b, t, c), get("attn.w_o"), get("attn.b_o"))
        x = x + dropped(y, dropout, generator)
        y = F.gelu(F.linear(norm(x, p, f"h.{i}.ln2"), get("mlp.w_up"), get("mlp.b_up")), approximate="tanh")
        x = x + dropped(F.linear(y, get("mlp.w_down"), get("mlp.b_down")), dropout, generator)
    x = norm(x, p, "ln_f")
    return torch.einsum("btc,vc->btv", x, p["lm_head.weight"] if "lm_head.weight" in p else p["wte"])


def gpt_forward_each_sequence_by_itself(ids, p, n_layers, n_heads, *, dropout=0.0, generator=None):
    return torch.cat(
        [
            gpt_forward_in_one_function(row[None], p, n_layers, n_heads, dropout=dropout, generator=generator)
            for row in ids
        ]
    )


def gpt_forward_in_float64(ids, p, n_layers, n_heads, *, dropout=0.0, generator=None):
    wide = {name: value.double() for name, value in p.items()}
    logits = gpt_forward_in_one_function(ids, wide, n_layers, n_heads, dropout=dropout, generator=generator)
    return logits.to(p["wte"].dtype)


def gpt_forward_with_wide_logits(ids, p, n_layers, n_heads, *, dropout=0.0, generator=None):
    logits = library(ids, p, n_layers, n_heads, dropout=dropout, generator=generator)
    return logits.float() if logits.dtype == torch.bfloat16 else logits


class Model(nn.Module):
    """Layers of torch's own, whose parameters are put in at each call."""

    def __init__(self, ids, p, n_layers, n_heads, dropout):
        super().__init__()
        c, self.p, self.n_heads = p["wte"].shape[1], p, n_heads
        self.drop = nn.Dropout(dropout)
        self.norms = [nn.LayerNorm(c) for _ in range(2 * n_layers + 1)]

    def norm(self, number, name, x):
        weights = {"weight": self.p[f"{name}.weight"]}
        weights["bias"] = self.p.get(f"{name}.bias", torch.zeros_like(weights["weight"]))
        return torch.func.functional_call(self.norms[number], weights, (x,))

    def attend(self, i, x):
        c = x.shape[-1]
        names = [f"h.{i}.attn.{kind}_{which}" for kind in "wb" for which in "qkv"]
        weight = torch.cat([self.p[name] for name in names[:3]])
        bias = torch.cat([self.p.get(name, torch.zeros(c, dtype=x.dtype)) for name in names[3:]])
        q, k, v = (
            one.unflatten(-1, (self.n_heads, -1)).movedim(2, 1) for one in F.linear(x, weight, bias).chunk(3, dim=-1)
        )
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=self.drop.p)
        return F.linear(out.movedim(1, 2).flatten(2), self.p[f"h.{i}.attn.w_o"], self.p.get(f"h.{i}.attn.b_o"))

    def think(self, i, x):
        x = F.linear(x, self.p[f"h.{i}.mlp.w_up"], self.p.get(f"h.{i}.mlp.b_up"))
        x = 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x.pow(3))))
        return F.linear(x, self.p[f"h.{i}.mlp.w_down"], self.p.get(f"h.{i}.mlp.b_down"))

    def forward(self, ids):
        x = self.drop(self.p["wte"].index_select(0, ids.flatten()).view(*ids.shape, -1) + self.p["wpe"][: ids.size(1)])
        n_layers = len(self.norms) // 2
        for i in range(n_layers):
            x = x + self.drop(self.attend(i, self.norm(2 * i, f"h.{i}.ln1", x)))
            x = x + self.drop(self.think(i, self.norm(2 * i + 1, f"h.{i}.ln2", x)))
        x = self.norm(-1, "ln_f", x)
        return x @ self.p.get("lm_head.weight", self.p["wte"]).mT


def gpt_forward_of_torch_layers(ids, p, n_layers, n_heads, *, dropout=0.0, generator=None):
    model = Model(ids, p, n_layers, n_heads, dropout)
    if generator is None:
        return model(ids)
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**40, (), generator=generator)))
        return model(ids)


def gpt_forward_by_recursion(ids, p, n_layers, n_heads, *, dropout=0.0, generator=None):
    seeds = iter(torch.randint(2**40, (n_layers + 1,), generator=generator).tolist())

    def state(n):
        from groundup.model.block import transformer_block

        if n == 0:
            return dropped(p["wte"][ids] + p["wpe"][: ids.shape[1]], dropout, seeded_generator(next(seeds)))
        before, start = state(n - 1), f"h.{n - 1}."
        own = {name[len(start) :]: value for name, value in p.items() if name[: len(start)] == start}
        return transformer_block(before, own, n_heads, dropout=dropout, generator=seeded_generator(next(seeds)))

    return F.linear(norm(state(n_layers), p, "ln_f"), p.get("lm_head.weight", p["wte"]))


class Names(dict):
    """The block's names, looked up in the model's parameters only when they are asked for."""

    def __init__(self, p, i):
        self.p, self.prefix = p, f"h.{i}."

    def __getitem__(self, name):
        return self.p[self.prefix + name]

    def get(self, name, default=None):
        return self.p.get(self.prefix + name, default)


def gpt_forward_by_names_looked_up_late(ids, p, n_layers, n_heads, *, dropout=0.0, generator=None):
    x = torch.nn.functional.one_hot(ids, p["wte"].shape[0]).to(p["wte"].dtype) @ p["wte"]
    x = dropped(x + p["wpe"].narrow(0, 0, ids.shape[-1]), dropout, generator)
    for i in range(n_layers):
        names, (_, t, c) = Names(p, i), x.shape
        h = F.layer_norm(x, (c,), names["ln1.weight"], names.get("ln1.bias"))
        weights = torch.stack([names[f"attn.w_{one}"] for one in "qkv"]).view(3, n_heads, -1, c)
        zero = torch.zeros_like(names["ln1.weight"])
        biases = torch.stack([names.get(f"attn.b_{one}", zero) for one in "qkv"]).view(3, 1, n_heads, 1, -1)
        q, k, v = torch.einsum("btc,nhdc->nbhtd", h, weights) + biases
        scores = q @ k.mT * (c // n_heads) ** -0.5 + torch.full((t, t), -math.inf, dtype=x.dtype).triu(1)
        out = dropped(scores.softmax(-1), dropout, generator) @ v
        out = torch.einsum("bhtd,chd->btc", out, names["attn.w_o"].view(c, n_heads, -1)) + names.get("attn.b_o", zero)
        x = x + dropped(out, dropout, generator)
        h = F.layer_norm(x, (c,), names["ln2.weight"], names.get("ln2.bias"))
        h = F.gelu(F.linear(h, names["mlp.w_up"], names.get("mlp.b_up")), approximate="tanh")
        x = x + dropped(F.linear(h, names["mlp.w_down"], names.get("mlp.b_down")), dropout, generator)
    x = F.layer_norm(x, x.shape[-1:], p["ln_f.weight"], p["ln_f.bias"])
    return torch.einsum("btc,vc->btv", x, p.get("lm_head.weight", p["wte"]))
