"""`groundup bench`: speeds as ratios, to a peer or to the machine's own limit, all measured in one run."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .benchmark import FEWEST_RUNS, benchmark, measure, show
from .groups import Group

if TYPE_CHECKING:
    from ..model import Transformer
    from ..text import Tokenizer

WARMUP_STEPS = 5  # the first steps set memory up
PAGE = 4_000  # characters
READABLE_BYTES = 30_000  # of the corpus: the readable tokenizer is not made for more
F = TypeVar("F", bound=Callable[..., Any])


def common_options(function: F) -> F:
    """The options that every benchmark has."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Write the answer as one line of JSON."),
        click.option("--out", type=Path, metavar="FILE", help="Keep the record as a TOML file too."),
        click.option("--runs", "n_runs", type=click.IntRange(min=FEWEST_RUNS), default=FEWEST_RUNS, show_default=True,
                     help="How often to measure each; the median counts."),
    ):  # fmt: skip
        function = option(function)
    return function


@click.group(cls=Group)
def bench() -> None:
    """Measure speed, as ratios: each against a peer or the machine's own limit, in one run."""


@bench.command("train")
@click.option("--preset", default="shakespeare", show_default=True, help="The preset or TOML file to train.")
@click.option(
    "--steps", type=click.IntRange(min=2), default=20, show_default=True, help="Of each run, after warming up."
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@common_options
def bench_train(
    preset: str, *, steps: int, settings: tuple[str, ...], n_runs: int, out: Path | None, as_json: bool
) -> int:
    """Training with fast parts against training with the plain ones."""
    from ..training import load_config
    from ..training.data import read_data

    config = load_config(preset, settings)
    with tempfile.TemporaryDirectory(prefix="groundup-") as folder:
        # One tokenizer for all: what is measured is training.
        read_data(config.data).new_tokenizer(config.model.vocab_size, config.data.pattern).save(folder)
        fixed = [
            *settings,
            f"data.tokenizer={folder}",
            f"training.steps={WARMUP_STEPS + steps}",
            "evaluation.batches=1",
            f"evaluation.every={WARMUP_STEPS + steps}",
            f"evaluation.samples_every={WARMUP_STEPS + steps}",
            "evaluation.sample_tokens=1",
        ]
        ways = {
            parts: partial(training_speed, preset, [*fixed, f"training.parts={parts}"]) for parts in ("plain", "fast")
        }
        runs = measure(ways, n_runs)
    about = {"what": "train", "preset": preset, "settings": list(settings), "steps": steps, "unit": "tokens/s"}
    return show(benchmark(about, runs, {"fast_to_plain": ("fast", "plain")}), _("tokens/s"), as_json, out)


def training_speed(preset: str, settings: list[str]) -> float:
    """Tokens a second of a short run, its first steps left out."""
    from ..training import load_config, train
    from ..training.metrics import read_metrics

    with tempfile.TemporaryDirectory(prefix="groundup-") as folder:
        result = train(load_config(preset, settings), Path(folder) / "run")
        rows = read_metrics(result.run_dir / "metrics.jsonl")
    first, last = rows[WARMUP_STEPS - 1], rows[-1]
    return (last["tokens"] - first["tokens"]) / (last["seconds"] - first["seconds"])


@bench.command("decode")
@click.option(
    "--preset", default="shakespeare", show_default=True, help="The preset whose model writes, with random weights."
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@click.option(
    "--tokens", type=click.IntRange(min=2), default=100, show_default=True, help="How many to write in each run."
)
@common_options
def bench_decode(
    preset: str, *, settings: tuple[str, ...], tokens: int, n_runs: int, out: Path | None, as_json: bool
) -> int:
    """Writing with a cache against writing without, several texts at once against one, and the speed of memory."""
    from ..model import Transformer
    from ..randomness import derived_generator
    from ..training import Parts, load_config

    config = load_config(preset, settings)
    model = Transformer(config.model, Parts().fused()).eval()
    model.init_weights(derived_generator("init", config.training.seed))
    n_tokens = min(tokens, config.model.context_length - 1)
    ways = {
        "uncached": partial(decoding_speed, model, n_tokens, False),
        "cached": partial(decoding_speed, model, n_tokens, True),
        "eight_texts": partial(decoding_speed_of_many, model, n_tokens, 8),
        # Each token needs every weight once: no faster than memory can bring them.
        "memory_limit": partial(weights_read_per_second, model),
    }
    for way in ways.values():
        way()  # the first call of each sets memory up
    runs = measure(ways, n_runs)
    about = {"what": "decode", "preset": preset, "settings": list(settings), "tokens": n_tokens, "unit": "tokens/s"}
    ratios = {
        "cached_to_uncached": ("cached", "uncached"),
        "eight_texts_to_one": ("eight_texts", "cached"),
        "cached_to_memory_limit": ("cached", "memory_limit"),
    }
    return show(benchmark(about, runs, ratios), _("tokens/s"), as_json, out)


def decoding_speed(model: Transformer, n_tokens: int, cached: bool) -> float:
    """Tokens a second of greedy writing after one token."""
    from ..generation import NextLogits, generate_tokens, greedy

    began = time.perf_counter()
    generate_tokens(NextLogits(model, cached=cached), [0], n_tokens, greedy)
    return n_tokens / (time.perf_counter() - began)


def decoding_speed_of_many(model: Transformer, n_tokens: int, n_texts: int) -> float:
    """Tokens a second of as many texts side by side, all of them counted."""
    from ..generation import generate_batch

    began = time.perf_counter()
    n_written = sum(1 for _ in generate_batch(model, [[0]] * n_texts, max_tokens=n_tokens, slots=n_texts))
    return n_written / (time.perf_counter() - began)


def weights_read_per_second(model: Transformer) -> float:
    """How often a second all weights could be read, from the time that a copy of as many bytes takes."""
    import torch

    n_bytes = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    source, target = torch.ones(n_bytes, dtype=torch.uint8), torch.empty(n_bytes, dtype=torch.uint8)
    n_copies = max(3, 300_000_000 // n_bytes)
    began = time.perf_counter()
    for _number in range(n_copies):
        target.copy_(source)
    return 2 * n_copies / (time.perf_counter() - began)  # a copy reads and writes, a token only reads


@bench.command("tokenizer")
@click.option("--corpus", type=Path, metavar="FILE", help="The text to work on; the packaged Shakespeare unless given.")
@click.option("--tokenizer", "where", metavar="DIR", help="Encode with this one, or gpt2, and not with the one learnt.")
@click.option(
    "--pattern", type=click.Choice(["gpt2", "gpt4"]), help="Cut the text this way, whatever --tokenizer says."
)
@click.option(
    "--vocab-size", type=click.IntRange(min=300), default=1024, show_default=True, help="Of the vocabulary learnt."
)
@common_options
def bench_tokenizer(
    *, corpus: Path | None, where: str | None, pattern: str | None, vocab_size: int,
    n_runs: int, out: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Training and encoding against the readable tokenizer, tokenizers, tiktoken, and finding the words alone.

    Training and "encode" begin with nothing in memory, "encode warm" has seen the text before. "bulk" is the text in
    pages, on all cores.
    """
    import regex

    from ..text import PATTERNS, Tokenizer, bpe_encode, packaged, read_text, train_bpe

    text = packaged("shakespeare").train if corpus is None else read_text(corpus)
    short, pages = text[:READABLE_BYTES], pages_of(text)
    known = Tokenizer.load(where) if where else None
    pattern = pattern or (known.vocabulary.pattern if known else "gpt2")
    made = Tokenizer.train(text, vocab_size, pattern)
    vocabulary = replace((known or made).vocabulary, pattern=pattern)
    warm, words = Tokenizer(vocabulary), PATTERNS[pattern]
    warm.encode(text)
    ways: dict[str, Callable[[], float]] = {
        "train": partial(speed, text, lambda: Tokenizer.train(text, vocab_size, pattern)),
        "train_part": partial(speed, short, lambda: Tokenizer.train(short, vocab_size, pattern)),
        "train_part_readable": partial(speed, short, lambda: train_bpe(short, vocab_size - 1, words)),
        "encode": partial(speed, text, lambda: Tokenizer(vocabulary).encode(text)),
        "encode_warm": partial(speed, text, lambda: warm.encode(text)),
        "encode_bulk": partial(speed, text, lambda: Tokenizer(vocabulary).encode_batch(pages)),
        "encode_part": partial(speed, short, lambda: Tokenizer(made.vocabulary).encode(short)),
        "encode_part_readable": partial(speed, short, lambda: bpe_encode(short, made.merges, words)),
        # No encoder that matches a pattern is faster than the matching.
        "words_alone": partial(speed, text, lambda: regex.findall(words, text)),
    }
    ways |= peers(text, pages, vocab_size, warm)
    about = {"what": "tokenizer", "corpus": corpus.name if corpus else "shakespeare", "tokenizer": where or "learnt",
             "pattern": pattern, "vocab_size": vocab_size, "bytes": len(text.encode("utf-8")),
             "unit": "bytes/s"}  # fmt: skip
    ratios = {
        "train_to_readable": ("train_part", "train_part_readable"),
        "train_to_tokenizers": ("train", "train_tokenizers"),
        "encode_to_readable": ("encode_part", "encode_part_readable"),
        "encode_to_tokenizers": ("encode", "encode_tokenizers"),
        "encode_to_tiktoken": ("encode", "encode_tiktoken"),
        "encode_warm_to_tokenizers": ("encode_warm", "encode_tokenizers"),
        "encode_warm_to_tiktoken": ("encode_warm", "encode_tiktoken"),
        "encode_warm_to_words_alone": ("encode_warm", "words_alone"),
        "encode_bulk_to_tokenizers": ("encode_bulk", "encode_bulk_tokenizers"),
        "encode_bulk_to_tiktoken": ("encode_bulk", "encode_bulk_tiktoken"),
        "encode_bulk_to_one_thread": ("encode_bulk", "encode"),
    }
    return show(benchmark(about, measure(ways, n_runs), ratios), _("bytes/s"), as_json, out)


def pages_of(text: str) -> list[str]:
    """The text in lines, as many together as make a page: documents as the web has them, which suit every encoder."""
    pages, page, size = list[str](), list[str](), 0
    for line in text.splitlines(keepends=True):
        page.append(line)
        size += len(line)
        if size >= PAGE:
            pages.append("".join(page))
            page, size = [], 0
    return [*pages, "".join(page)]


def speed(text: str, work: Callable[[], object]) -> float:
    """Bytes of the text a second."""
    n_bytes = len(text.encode("utf-8"))
    began = time.perf_counter()
    work()
    return n_bytes / (time.perf_counter() - began)


def peers(text: str, pages: list[str], vocab_size: int, ours: Tokenizer) -> dict[str, Callable[[], float]]:
    """The same work done by `tokenizers` and `tiktoken`, where they are installed: on one thread, and in bulk on all.

    They get pages, since a long text takes them longer. `tokenizers` learns on all cores, as we do.
    """
    from ..text import PATTERNS
    from ..text.workers import n_cores

    pattern = PATTERNS[ours.vocabulary.pattern]
    ways: dict[str, Callable[[], float]] = {}
    if importlib.util.find_spec("tokenizers"):
        import tokenizers

        def train_theirs() -> None:
            theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
            steps = [
                tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated"),
                tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
            theirs.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(steps)
            alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
            trainer = tokenizers.trainers.BpeTrainer(
                vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False
            )
            theirs.train_from_iterator(pages, trainer)

        theirs = tokenizers.Tokenizer.from_str(ours.to_json())

        def encode_theirs(parallel: bool) -> None:
            os.environ["TOKENIZERS_PARALLELISM"] = str(parallel).lower()  # it is asked for each time
            theirs.encode_batch(pages, add_special_tokens=False)

        ways["train_tokenizers"] = partial(speed, text, train_theirs)
        ways["encode_tokenizers"] = partial(speed, text, partial(encode_theirs, False))
        ways["encode_bulk_tokenizers"] = partial(speed, text, partial(encode_theirs, True))
    if importlib.util.find_spec("tiktoken"):
        import tiktoken

        special_ids = set(ours.specials.values())
        ranks = {ours.token_bytes(i): i for i in range(ours.vocab_size) if i not in special_ids}
        tik = tiktoken.Encoding("own", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        for name, n_threads in (("encode_tiktoken", 1), ("encode_bulk_tiktoken", n_cores())):
            ways[name] = partial(speed, text, partial(tik.encode_ordinary_batch, pages, num_threads=n_threads))
    return ways
