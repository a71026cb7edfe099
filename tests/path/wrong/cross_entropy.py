"""Wrong implementations of cross_entropy as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import torch.nn.functional as F
def cross_entropy(logits, targets, ignore_index=-100):
    return F.cross_entropy(logits, targets, ignore_index=ignore_index)
""",
        "flatten",
    ),
    (
        """
import torch
def cross_entropy(logits, targets, ignore_index=-100):
    wide = logits if logits.dtype == torch.float64 else logits.float()
    keep = targets != ignore_index
    p = torch.exp(wide) / torch.exp(wide).sum(-1, keepdim=True)
    chosen = p.gather(-1, targets.masked_fill(~keep, 0).unsqueeze(-1)).squeeze(-1)
    return -(torch.log(chosen + 1e-12) * keep).sum() / keep.sum().clamp(min=1)
""",
        "eps.*overflow|overflow.*eps",
    ),
    (
        """
import torch
def cross_entropy(logits, targets, ignore_index=-100):
    logs = logits.float().log_softmax(-1).reshape(-1, logits.shape[-1])
    flat = targets.flatten()
    return -logs[torch.arange(len(flat)), flat].mean()
""",
        "not left out",
    ),
]
