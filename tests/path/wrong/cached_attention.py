"""Wrong implementations of cached_attention as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import torch
import torch.nn.functional as F
def cached_attention(q, k, v, cache):
    if "k" in cache:
        k, v = torch.cat([cache["k"], k], dim=2), torch.cat([cache["v"], v], dim=2)
    cache["k"], cache["v"] = k, v
    n = q.shape[1] // k.shape[1]
    return F.scaled_dot_product_attention(q, k.repeat_interleave(n, 1), v.repeat_interleave(n, 1), is_causal=True)
""",
        "top left",
    ),
    (
        """
import torch
def cached_attention(q, k, v, cache):
    if "k" in cache:
        k, v = torch.cat([cache["k"], k], dim=2), torch.cat([cache["v"], v], dim=2)
    cache = {"k": k, "v": v}
    t, s, n = q.shape[2], k.shape[2], q.shape[1] // k.shape[1]
    scores = q @ k.repeat_interleave(n, 1).mT / q.shape[-1] ** 0.5
    scores = scores.masked_fill(~torch.ones(t, s, dtype=torch.bool).tril(s - t), float("-inf"))
    return scores.softmax(-1) @ v.repeat_interleave(n, 1)
""",
        "not updated",
    ),
    (
        """
import torch
def cached_attention(q, k, v, cache):
    if "k" in cache:
        k, v = torch.cat([cache["k"], k], dim=2), torch.cat([cache["v"], v], dim=2)
    cache["k"], cache["v"] = k, v
    t, s, n = q.shape[2], k.shape[2], q.shape[1] // k.shape[1]
    scores = q @ k.repeat(1, n, 1, 1).mT / q.shape[-1] ** 0.5
    scores = scores.masked_fill(~torch.ones(t, s, dtype=torch.bool).tril(s - t), float("-inf"))
    return scores.softmax(-1) @ v.repeat(1, n, 1, 1)
""",
        "repeat_interleave",
    ),
]
