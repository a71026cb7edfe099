"""Wrong implementations of transformer_block as learners write them: (source, what must be named)."""

from __future__ import annotations

HEAD = """
import torch, math, torch.nn.functional as F
def drop(x, p, g):
    return x if p == 0 else x * (torch.rand(x.shape, generator=g) >= p) / (1 - p)
def norm(x, p, name):
    return F.layer_norm(x, x.shape[-1:], p[name + ".weight"], p.get(name + ".bias"))
def attn(x, p, h, d, g):
    lin = lambda y, o: F.linear(y, p["attn.w_" + o], p.get("attn.b_" + o))
    q, k, v = (lin(x, o).unflatten(-1, (h, -1)).transpose(1, 2) for o in "qkv")
    s = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(torch.ones(x.shape[1], x.shape[1]).triu(1).bool(), -math.inf)
    return lin((drop(s.softmax(-1), d, g) @ v).transpose(1, 2).flatten(2), "o")
def mlp(x, p):
    hidden = F.gelu(F.linear(x, p["mlp.w_up"], p.get("mlp.b_up")), approximate="tanh")
    return F.linear(hidden, p["mlp.w_down"], p.get("mlp.b_down"))
def transformer_block(x, p, n_heads, *, dropout=0.0, generator=None):

"""  # what several begin with

WRONG = [
    (
        HEAD
        + """\
    x = norm(x + drop(attn(x, p, n_heads, dropout, generator), dropout, generator), p, "ln1")
    return norm(x + drop(mlp(x, p), dropout, generator), p, "ln2")
""",
        "post-norm",
    ),
    (
        HEAD
        + """\
    x = norm(x, p, "ln1")
    x = x + drop(attn(x, p, n_heads, dropout, generator), dropout, generator)
    x = norm(x, p, "ln2")
    return x + drop(mlp(x, p), dropout, generator)
""",
        "normalised x instead",
    ),
    (
        HEAD
        + """\
    a = drop(attn(norm(x, p, "ln1"), p, n_heads, dropout, generator), dropout, generator)
    return x + a + drop(mlp(norm(x, p, "ln2"), p), dropout, generator)
""",
        "parallel",
    ),
    (
        HEAD
        + """\
    x = x + attn(norm(x, p, "ln1"), p, n_heads, dropout, generator)
    return x + mlp(norm(x, p, "ln2"), p)
""",
        "no dropout on the outputs",
    ),
]
