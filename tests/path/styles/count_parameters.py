"""Right in unusual ways."""

from __future__ import annotations

import math


def count_parameters_in_one_formula(vocab_size, context_length, n_layers, n_heads, d_model, tied=True):
    return d_model * (vocab_size * (2 - tied) + context_length + n_layers * (12 * d_model + 13) + 2)


def count_parameters_shape_by_shape(vocab_size, context_length, n_layers, n_heads, d_model, tied=True):
    c, f = d_model, d_model * 4
    shapes = [(vocab_size, c), (context_length, c), (c,), (c,)]
    for _ in range(n_layers):
        shapes += [(c,)] * 4 + [(c, c)] * 4 + [(c,)] * 4 + [(f, c), (f,), (c, f), (c,)]
    if not tied:
        shapes.append((vocab_size, c))
    return sum(math.prod(shape) for shape in shapes)


def count_parameters_of_torch_layers(vocab_size, context_length, n_layers, n_heads, d_model, tied=True):
    import torch
    from torch import nn

    with torch.device("meta"):
        layers: list[nn.Module] = [
            nn.Embedding(vocab_size, d_model),
            nn.Embedding(context_length, d_model),
            nn.LayerNorm(d_model),
        ]
        layers += [nn.TransformerEncoderLayer(d_model, n_heads, 4 * d_model) for _ in range(n_layers)]
        if not tied:
            layers.append(nn.Linear(d_model, vocab_size, bias=False))
    return sum(p.numel() for layer in layers for p in layer.parameters())


def count_parameters_of_first_weights(vocab_size, context_length, n_layers, n_heads, d_model, tied=True):
    import torch

    from groundup.model.transformer import init_gpt

    p = init_gpt(vocab_size, context_length, n_layers, n_heads, d_model, torch.Generator())
    return sum(value.numel() for value in p.values()) + (not tied) * p["wte"].numel()


def count_parameters_by_recursion(vocab_size, context_length, n_layers, n_heads, d_model, tied=True):
    if not tied:
        more = vocab_size * d_model
        return more + count_parameters_by_recursion(vocab_size, context_length, n_layers, n_heads, d_model)
    if n_layers == 0:
        return (vocab_size + context_length + 2) * d_model
    one = 12 * d_model**2 + 13 * d_model
    return one + count_parameters_by_recursion(vocab_size, context_length, n_layers - 1, n_heads, d_model)


def count_parameters_in_floats(vocab_size, context_length, n_layers, n_heads, d_model, tied=True):
    head_width = d_model / n_heads
    attention = n_heads * (3 * (d_model * head_width + head_width) + head_width * d_model) + d_model
    network = 8 * d_model**2 + 5 * d_model
    inside = n_layers * (attention + network + 4 * d_model)
    return inside + d_model * (2 + context_length) + vocab_size * d_model * (1 if tied else 2)
