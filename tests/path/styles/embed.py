"""Right in unusual ways."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def embed_of_torch(ids: Tensor, token_weight: Tensor, position_weight: Tensor) -> Tensor:
    if ids.shape[1] > position_weight.shape[0]:
        raise ValueError("too long")
    return F.embedding(ids, token_weight) + F.embedding(torch.arange(ids.shape[1]), position_weight)


def embed_by_one_hot(ids: Tensor, token_weight: Tensor, position_weight: Tensor) -> Tensor:
    b, t = ids.shape
    if not t <= len(position_weight):
        raise ValueError(t)
    hot = F.one_hot(ids, len(token_weight)).to(token_weight.dtype)
    places = torch.eye(t, len(position_weight), dtype=position_weight.dtype).expand(b, -1, -1)
    return torch.cat([hot, places], -1) @ torch.cat([token_weight, position_weight])


def embed_in_place(ids: Tensor, token_weight: Tensor, position_weight: Tensor) -> Tensor:
    if len(position_weight) < ids.size(-1):
        raise ValueError
    out = token_weight[ids]
    out += position_weight[: ids.size(-1)].unsqueeze(0)
    return out


def embed_token_by_token(ids: Tensor, token_weight: Tensor, position_weight: Tensor) -> Tensor:
    class TooLong(ValueError):
        pass

    if ids.shape[1] > position_weight.shape[0]:
        raise TooLong(ids.shape[1])
    rows = [[token_weight[i] + position_weight[t] for t, i in enumerate(row)] for row in ids.tolist()]
    return torch.stack([torch.stack(row) for row in rows])


def embed_by_columns(ids: Tensor, token_weight: Tensor, position_weight: Tensor) -> Tensor:
    _, t = ids.shape
    if t > position_weight.shape[0]:
        raise ValueError("more tokens than positions")
    columns = [position_weight[k] + token_weight.index_select(0, ids[:, k]) for k in range(t)]
    return torch.stack(columns, dim=1)


def embed_from_a_failure(ids: Tensor, token_weight: Tensor, position_weight: Tensor) -> Tensor:
    try:
        places = torch.stack([position_weight[t] for t in range(ids.shape[1])])
    except IndexError as error:
        raise ValueError("the context is too short") from error
    return torch.add(places.expand(ids.shape[0], -1, -1), token_weight[ids.reshape(-1)].view(*ids.shape, -1))


def embed_from_one_table(ids: Tensor, token_weight: Tensor, position_weight: Tensor) -> Tensor:
    n_tokens, t = token_weight.shape[0], ids.shape[-1]
    if t > position_weight.shape[0]:
        raise ValueError(t)
    both = torch.stack((ids, n_tokens + torch.arange(t).expand_as(ids)), -1)
    return F.embedding(both, torch.cat((token_weight, position_weight))).sum(-2)
