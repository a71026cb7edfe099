"""Right in unusual ways."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def gelu_of_torch(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


def gelu_of_the_book(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh(torch.sqrt(torch.tensor(2.0 / torch.pi)) * (x + 0.044715 * torch.pow(x, 3))))


def gelu_by_sigmoid(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.5957691216 * x * (1 + 0.044715 * x * x))


def gelu_with_rounded_constant(x: Tensor) -> Tensor:
    return x / 2 * (1 + torch.tanh(0.7979 * (x + 0.044715 * x**3)))


def gelu_by_exponential(x: Tensor) -> Tensor:
    y = x.double()
    z = math.sqrt(2 / math.pi) * (y + 0.044715 * y * y * y)
    return (y / (1 + torch.exp(-2 * z))).to(x.dtype)


def gelu_number_by_number(x: Tensor) -> Tensor:
    root = (2 / math.pi) ** 0.5
    out = [one * 0.5 * (1 + torch.tanh(root * one + root * 0.044715 * one**3)) for one in x.reshape(-1)]
    return torch.stack(out).reshape(x.shape)


def gelu_in_float32(x: Tensor) -> Tensor:
    y = x if x.dtype == torch.float64 else x.to(torch.float32)
    inner = torch.addcmul(y, y.square() * 0.044715, y).mul(math.sqrt(2.0 / math.pi))
    return torch.lerp(torch.zeros_like(y), y, torch.tanh(inner).add(1).div(2)).to(x.dtype)


def gelu_by_module(x: Tensor) -> Tensor:
    return torch.nn.GELU("tanh")(x)
