"""Writing speed on a CPU, beside transformers' `generate` in the same run.

    python benchmarks/decoding_speed.py [--rounds 2] [--prompt 128] [--tokens 128] [--threads 2]

GPT-2's shape with 124 million parameters and random weights, the same in both; greedy, float32, one text. They take
turns, a round each, and the ratio is taken round by round. The last lines say what the machine allows: the speed
of torch's matrix products alone, without all else that a token needs, and how fast the weights were read.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from groundup.generation import generate
from groundup.model import ModelConfig, Transformer
from groundup.training import Parts
from groundup.weights import convert_gpt2_weights


def peer_model() -> GPT2LMHeadModel:
    """GPT-2 with random weights, larger than the usual first ones, so that its text does not stand still."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(initializer_range=0.05, bos_token_id=None, eos_token_id=None)).eval()
    model.generation_config.pad_token_id = 0
    return model


def same_model(peer: GPT2LMHeadModel) -> Transformer:
    """Ours, with the peer's weights."""
    shape = peer.config
    config = ModelConfig(
        vocab_size=shape.vocab_size,
        context_length=shape.n_positions,
        n_layers=shape.n_layer,
        d_model=shape.n_embd,
        n_heads=shape.n_head,
    )
    model = Transformer(config, Parts().fused())
    model.load_state_dict(convert_gpt2_weights(peer.state_dict(), shape.n_layer))
    return model.eval()


def products_of_a_token(model: Transformer) -> Callable[[], None]:
    """All matrix products of one token and nothing else, as stock calls."""
    weights = [weight for name, weight in model.named_parameters() if weight.dim() == 2 and name != "wpe"]
    rows = {n: torch.randn(1, n) for n in {weight.shape[1] for weight in weights}}

    def work() -> None:
        with torch.inference_mode():
            for weight in weights:
                torch.nn.functional.linear(rows[weight.shape[1]], weight)

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    peer = peer_model()
    model = same_model(peer)
    prompt = torch.randint(model.config.vocab_size, (arguments.prompt,), generator=torch.Generator().manual_seed(1))
    n = arguments.tokens

    def theirs(n_tokens: int = n) -> list[int]:
        ids: Tensor = prompt[None]
        with torch.inference_mode():
            written = peer.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=n_tokens)
        return written[0, len(prompt) :].tolist()

    def ours(n_tokens: int = n) -> list[int]:
        return list(generate(model, prompt, max_tokens=n_tokens))

    ways = {"transformers": theirs, "groundup": ours}
    rates: dict[str, list[float]] = {name: [] for name in (*ways, "stock products alone")}
    products = products_of_a_token(model)
    for warm_up in (lambda: theirs(4), lambda: ours(4), products):
        warm_up()
    texts: list[list[int]] = []
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            texts.append(way())
            rates[name].append(n / (time.perf_counter() - began))
        began = time.perf_counter()
        for _ in range(10):
            products()
        rates["stock products alone"].append(10 / (time.perf_counter() - began))
    print(f"{sum(a == b for a, b in zip(*texts[:2], strict=True))} of {n} tokens are the same in both")
    print(f"{'':24}{'tokens/s':>10}{'min':>8}{'max':>8}{'x transformers':>16}")
    for name, values in rates.items():
        ratio = statistics.median(a / b for a, b in zip(values, rates["transformers"], strict=True))
        print(f"{name:24}{statistics.median(values):10.1f}{min(values):8.1f}{max(values):8.1f}{ratio:16.2f}")
    n_bytes = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    print(f"{n_bytes / 1e6:.0f} MB of weights a token: {n_bytes * statistics.median(rates['groundup']) / 1e9:.1f} GB/s")


if __name__ == "__main__":
    main()
