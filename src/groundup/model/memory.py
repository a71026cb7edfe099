"""How much a model weighs, by arithmetic alone: the model itself may be larger than any machine.

A model in training holds more than its parameters. The backward pass needs what the forward pass computed, so every
layer keeps its intermediate results, for each token of a batch, until the gradient has come back through it:

    norms and stream   4C         each norm's input and output, and a mean and a deviation
    q, k, v, mixed     2C + 2GD   for the four products of attention, and a number for each head
    feed-forward       3F         its middle before the bend, the bend's gate, and after (GELU)
    logits             V          once, with the loss

That is what stays with the fused kernels; plain parts keep every step in between. `training/memory.py` adds the
gradients and what the optimizer remembers. A test compares the numbers with what autograd really saves.

Read next: `parts.py`.
Source: Korthikanti et al. 2022, "Reducing activation recomputation in large transformer models", section 4.
"""

from __future__ import annotations

from .config import ModelConfig

KEPT_OF_BEND = {"gelu": 3, "relu2": 2, "swiglu": 4, "geglu": 5}  # tensors of F features


def parameter_count(config: ModelConfig) -> int:
    """How many parameters a Transformer of this config has."""
    c, f, bias = config.d_model, config.hidden_width, int(config.bias)
    q_width, kv_width = config.n_heads * config.head_width, config.kv_heads * config.head_width
    attention = 2 * c * q_width + 2 * c * kv_width + bias * (q_width + 2 * kv_width + c)
    attention += 2 * config.head_width if config.qk_norm else 0
    n_matrices = 3 if config.feed_forward in ("swiglu", "geglu") else 2
    feed_forward = n_matrices * c * f + bias * (f + c)
    norm = c * (2 if config.norm == "layer" and config.bias else 1)
    n_norms = 2 * config.n_layers + 1 + int(config.embedding_norm)
    tables = config.vocab_size * (1 if config.tie_embeddings else 2)
    tables += config.context_length if config.position == "learned" else 0
    return tables * c + config.n_layers * (attention + feed_forward) + n_norms * norm


def activations_per_token(config: ModelConfig) -> int:
    """How many numbers the forward pass keeps of each token, from the embedding to the loss, with fused kernels."""
    c, v = config.d_model, config.vocab_size
    norm = 2 if config.norm == "layer" else 1 + c  # mean and deviation; RMSNorm keeps its result before the scale too
    n_norms = 2 * config.n_layers + 1 + int(config.embedding_norm)
    streams = 2 * c * (2 * config.n_layers + 1)  # what goes into a norm and what comes out
    streams += c * int(config.embedding_norm)  # what comes out of that one goes into the next
    logits = v if config.logit_soft_cap is None else 2 * v
    return config.n_layers * (_attention(config) + _feed_forward(config)) + n_norms * norm + streams + logits


def _attention(config: ModelConfig) -> int:
    """The numbers of a token that attention keeps: queries, keys, values, the mixed values, a sum for each head."""
    q_width, kv_width = config.n_heads * config.head_width, config.kv_heads * config.head_width
    kept = 2 * q_width + 2 * kv_width + config.n_heads
    if config.qk_norm:  # what goes into both norms, their results before the scale, and the mixed values in order
        kept += 3 * q_width + 2 * kv_width + config.n_heads + config.kv_heads
    return kept


def _feed_forward(config: ModelConfig) -> int:
    return KEPT_OF_BEND[config.feed_forward] * config.hidden_width
