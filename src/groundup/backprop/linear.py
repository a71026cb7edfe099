"""The linear layer, and the one backward pass that nearly all of a transformer's arithmetic goes into.

    y[o] = Σ_i x[i] · weight[o, i] + bias[o]

Three things can be moved here, so there are three gradients. Each answers the same question: how far does the loss move
when this one number moves a little? The chain rule says: as far as it moves the outputs, times how far they move the
loss (dy), added up over all outputs that it reaches.

Read next: `attention.py`; beside this file, `model/linear.py`.
Source: Rumelhart, Hinton and Williams 1986, "Learning representations by back-propagating errors".
"""

from __future__ import annotations

from numpy import ndarray


def linear(x: ndarray, weight: ndarray, bias: ndarray | None = None) -> ndarray:
    """Multiply by a weight matrix and add a bias.

    x: (…, I), weight: (O, I), bias: (O,) or None -> (…, O).
    """
    y = rows(x) @ weight.T  # (N, O)
    if bias is not None:
        y += bias
    return y.reshape(*x.shape[:-1], len(weight))  # (…, O)


def linear_backward(dy: ndarray, x: ndarray, weight: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """The gradients of the loss by x, weight and bias, from its gradient by the output.

    dy: (…, O), x: (…, I), weight: (O, I) -> dx (…, I), dweight (O, I), dbias (O,).
    """
    # x[i] reaches every output o, each through weight[o, i]:           dx[i] = Σ_o dy[o] · weight[o, i].
    dx = (rows(dy) @ weight).reshape(x.shape)  # (…, I)
    # weight[o, i] carries x[i] to y[o], once in every row:   dweight[o, i] = Σ_rows dy[o] · x[i].
    dweight = rows(dy).T @ rows(x)  # (O, I)
    # bias[o] is added to y[o], once in every row:                 dbias[o] = Σ_rows dy[o].
    dbias = rows(dy).sum(axis=0)  # (O,)
    return dx, dweight, dbias


def rows(x: ndarray) -> ndarray:
    """All leading axes as one: a matrix, which is what the processor multiplies fastest. (…, C) -> (N, C)."""
    return x.reshape(-1, x.shape[-1])  # (N, C)
