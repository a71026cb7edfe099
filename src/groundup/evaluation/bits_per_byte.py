"""Bits per byte: how many bits the model needs, on average, to know the next byte of a text.

The loss of a language model is the surprise at each token, in nats. It cannot be compared between tokenizers: longer
tokens are fewer and harder. Dividing the surprise at a whole text by its bytes gives a number that can, and that means
something: a text compressed with the help of this model would take that many bits a byte (8 uncompressed, about 2 with
a good general compressor).

The rule: the text in windows of context_length that do not overlap, each begun without memory of the one before, and
every token but the very first predicted once; the bytes are the UTF-8 bytes of those predicted.

Source: Shannon 1951; Radford et al. 2019 (GPT-2), section 3.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from ..errors import DataError
from ..model import Transformer
from ..report import SILENT, Report
from ..text.batches import Windows
from ..text.tokenizer import Tokenizer


def perplexity(total_nats: float, total_tokens: int) -> float:
    """The size of a fair die that would surprise as much as the average token did."""
    return math.exp(total_nats / total_tokens)


def bits_per_byte(total_nats: float, total_bytes: int) -> float:
    """The surprise at a whole text, in bits, for each of its bytes."""
    return total_nats / math.log(2) / total_bytes


@dataclass(frozen=True)
class Evaluation:
    """What a model knows of a text."""

    nats: float
    tokens: int  # predicted: all but the first
    bytes: int  # of those
    bits_per_byte: float
    perplexity: float


@torch.no_grad()
def evaluate_text(
    model: Transformer,
    tokenizer: Tokenizer,
    text: str,
    context_length: int | None = None,
    *,
    batch_size: int = 8,
    report: Report = SILENT,
) -> Evaluation:
    """Measure how well `model` predicts `text`; the model is left as it was.

    Raises DataError (DATA_SHORT) for a text of fewer than two tokens: the first one is never predicted.
    """
    ids = torch.tensor(tokenizer.encode(text), dtype=torch.long)  # (N,)
    if len(ids) < 2:
        raise DataError("the text is shorter than two tokens", fix="evaluate a longer text", code="DATA_SHORT")
    n_bytes = len(text.encode("utf-8")) - len(tokenizer.token_bytes(int(ids[0])))
    length = min(context_length or model.config.context_length, len(ids) - 1)
    windows = Windows(ids, length, shuffle=False)
    device, was_training = model.output_weight.device, model.training
    n_done, nats = 0, 0.0
    model.eval()
    try:
        for inputs, targets in windows.all(batch_size):
            logits = model(inputs.to(device)).float()  # (B, T, V)
            surprise = functional.cross_entropy(logits.flatten(0, 1), targets.to(device).flatten(), reduction="none")
            nats += float(surprise.cpu().double().sum())
            n_done += targets.numel()
            report.progress("evaluation", n_done, len(ids) - 1)
    finally:
        model.train(was_training)
    return Evaluation(nats, n_done, n_bytes, bits_per_byte(nats, n_bytes), perplexity(nats, n_done))
