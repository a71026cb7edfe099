"""Right in unusual ways."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]


def next_token_windows_as_the_book(ids: Tensor, context_length: int, stride: int) -> Pair:
    input_ids, target_ids = [], []
    tokens = ids.tolist()
    for i in range(0, len(tokens) - context_length, stride):
        input_ids.append(torch.tensor(tokens[i : i + context_length]))
        target_ids.append(torch.tensor(tokens[i + 1 : i + context_length + 1]))
    return torch.stack(input_ids), torch.stack(target_ids)


def next_token_windows_by_two_unfolds(ids: Tensor, context_length: int, stride: int) -> Pair:
    return ids[:-1].unfold(0, context_length, stride), ids[1:].unfold(0, context_length, stride)


def next_token_windows_by_strides(ids: Tensor, context_length: int, stride: int) -> Pair:
    n = (len(ids) - context_length - 1) // stride + 1
    shape, strides = (n, context_length), (stride, 1)
    return ids.as_strided(shape, strides), ids.as_strided(shape, strides, 1)


def next_token_windows_in_numpy(ids: Tensor, context_length: int, stride: int) -> Pair:
    view = np.lib.stride_tricks.sliding_window_view(ids.numpy(), context_length + 1)[::stride]
    return torch.from_numpy(view[:, :-1].copy()), torch.from_numpy(view[:, 1:].copy())


def next_token_windows_while(ids: Tensor, context_length: int, stride: int) -> list[Tensor]:
    start, rows = 0, []
    while start + context_length + 1 <= ids.shape[0]:
        rows.append(ids.narrow(0, start, context_length + 1))
        start += stride
    both = torch.stack(rows, dim=1)
    return [both[:-1].T, both[1:].T]


def next_token_windows_filled(ids: Tensor, context_length: int, stride: int) -> Pair:
    starts = list(range(0, ids.numel() - context_length, stride))
    inputs = torch.zeros(len(starts), context_length, dtype=torch.long)
    targets = torch.full((len(starts), context_length), -1, dtype=torch.long)
    for row, start in enumerate(starts):
        for k in range(context_length):
            inputs[row, k] = ids[start + k]
            targets[row, k] = ids[start + k + 1]
    return inputs, targets


def next_token_windows_by_columns(ids: Tensor, context_length: int, stride: int) -> tuple[Tensor, Tensor]:
    row = ids.double()[None, None, None]
    columns = torch.nn.functional.unfold(row, (1, context_length + 1), stride=(1, stride))
    windows = columns[0].T.to(ids.dtype)
    return windows[:, :-1], windows[:, 1:]
