"""Right in unusual ways."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def token_embedding_of_torch(ids: Tensor, weight: Tensor) -> Tensor:
    return F.embedding(ids, weight)


def token_embedding_by_one_hot(ids: Tensor, weight: Tensor) -> Tensor:
    return F.one_hot(ids, len(weight)).to(weight.dtype) @ weight


def token_embedding_by_index_select(ids: Tensor, weight: Tensor) -> Tensor:
    return torch.index_select(weight, 0, ids.reshape(-1)).view(*ids.shape, weight.size(1))


def token_embedding_by_gather(ids: Tensor, weight: Tensor) -> Tensor:
    flat = ids.flatten()[:, None].expand(-1, weight.shape[1])
    return weight.gather(0, flat).unflatten(0, ids.shape)


def token_embedding_by_loops(ids: Tensor, weight: Tensor) -> Tensor:
    if ids.ndim == 0:
        return weight[int(ids)]
    return torch.stack([token_embedding_by_loops(one, weight) for one in ids])


def token_embedding_by_einsum(ids: Tensor, weight: Tensor) -> Tensor:
    hot = (ids[..., None] == torch.arange(weight.shape[0])).to(weight.dtype)
    return torch.einsum("...v,vc->...c", hot, weight)


def token_embedding_by_columns(ids: Tensor, weight: Tensor) -> Tensor:
    return weight.T[:, ids].movedim(0, -1)


def token_embedding_by_take(ids: Tensor, weight: Tensor) -> Tensor:
    c = weight.shape[1]
    return torch.take(weight, ids[..., None] * c + torch.arange(c))


def token_embedding_as_a_layer(ids: Tensor, weight: Tensor) -> Tensor:
    layer = nn.Embedding(*weight.shape, dtype=weight.dtype)
    return torch.func.functional_call(layer, {"weight": weight}, ids)
