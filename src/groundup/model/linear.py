"""The linear layer: every output is a weighted sum of the inputs.

Almost all of a transformer's parameters and of its arithmetic sit here: the projections of attention, the two layers
of the feed-forward network and the output are all this one function. A weight is kept as (out, in), one row for each
output, as in `torch.nn.Linear`.

Read next: `attention.py`, which is made of four of these and a softmax.
"""

from __future__ import annotations

from torch import Tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply by a weight matrix and add a bias.

    x: (…, I), weight: (O, I), bias: (O,) or None -> (…, O).
    """
    y = x @ weight.T  # (…, O)
    return y if bias is None else y + bias
