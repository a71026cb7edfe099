"""Training and encoding speed of the tokenizer beside `tokenizers` and `tiktoken`, all in one run.

    python benchmarks/tokenizer_speed.py train TEXT        50 MB of English make the figures of the README
    python benchmarks/tokenizer_speed.py encode TEXT       with GPT-2's vocabulary and its pattern, and with GPT-4's

Every measurement is a process of its own, since memory counts too and a peer's number of threads is set when it starts.
Training: seconds from opening the file to the last merge; memory: the peak of the process and of its largest helper.
Encoding: megabytes of UTF-8 a second on one thread; "cold" has seen no piece before, "warm" has seen the same text.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

VOCAB_SIZE = 8_192
READABLE_BYTES = 20_000


def train_ours(path: str, n_workers: int) -> dict[str, float]:
    from groundup.text.sources import Reading, find_sources, pieces_of
    from groundup.text.tokenizer import Tokenizer

    reading = Reading()
    texts = (piece.text for source in find_sources([path]) for piece in pieces_of(source, reading))
    return timed(lambda: Tokenizer.train(texts, VOCAB_SIZE, n_workers=n_workers))


def train_theirs(path: str) -> dict[str, float]:
    import tokenizers

    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE, initial_alphabet=alphabet, show_progress=False, special_tokens=["<|endoftext|>"]
    )
    return timed(lambda: theirs.train_from_iterator(blocks(path), trainer))


def blocks(path: str) -> Iterator[str]:
    with open(path, encoding="utf-8", newline="") as file:
        while block := file.read(1 << 18):
            yield block


def timed(work: Callable[[], object]) -> dict[str, float]:
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"seconds": round(seconds, 2), "MB": round(peaks[0]), "MB_of_a_helper": round(peaks[1])}


def encode(path: str, pattern: str) -> dict[str, float]:
    """Megabytes a second of each way, on the first 10 MB of the text."""
    import tiktoken
    import tokenizers

    from groundup.text import PATTERNS, Tokenizer, bpe_encode
    from groundup.text.vocabulary import Vocabulary, gpt2_vocabulary

    text = Path(path).read_bytes()[:10_000_000].decode("utf-8", errors="ignore")
    known = gpt2_vocabulary()
    vocabulary = Vocabulary(known.tokens, known.merges, known.specials, pattern)
    ours = Tokenizer(vocabulary)
    theirs = tokenizers.Tokenizer.from_str(ours.to_json())
    ranks = {token: i for i, token in enumerate(known.tokens) if i not in known.specials.values()}
    tik = tiktoken.Encoding("gpt2", pat_str=PATTERNS[pattern], mergeable_ranks=ranks, special_tokens={})
    # The readable encoder numbers merges from 256 in their order and tries each: it gets the first few.
    small = Tokenizer.train(text[:200_000], 1024, pattern)
    part = text[:READABLE_BYTES]

    ways: dict[str, tuple[str, Callable[[], object]]] = {
        "ours, cold": (text, lambda: ours.encode(text)),
        "ours, warm": (text, lambda: ours.encode(text)),
        "ours, warm again": (text, lambda: ours.encode(text)),
        "tokenizers": (text, lambda: theirs.encode(text, add_special_tokens=False)),
        "tiktoken": (text, lambda: tik.encode_ordinary(text)),
        "readable, 1,024 ids": (part, lambda: bpe_encode(part, small.merges, PATTERNS[pattern])),
    }
    speeds: dict[str, float] = {}
    for name, (what, work) in ways.items():
        began = time.perf_counter()
        work()
        speeds[name] = round(len(what.encode("utf-8")) / 1e6 / (time.perf_counter() - began), 2)
    sample = text[:100_000]
    assert ours.encode(sample) == theirs.encode(sample, add_special_tokens=False).ids
    return speeds


def in_a_process(*words: str, threads: int = 1) -> str:
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": str(threads > 1).lower()}
    result = subprocess.run(
        [sys.executable, __file__, *words], env=environment, capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def main(what: str, path: str, *rest: str) -> None:
    if what == "train":
        for n_workers in (0, 1, 2):
            print(f"ours, {n_workers} helpers:", in_a_process("ours", path, str(n_workers)), flush=True)
        for threads in (1, 2):
            print(f"tokenizers, {threads} threads:", in_a_process("theirs", path, threads=threads), flush=True)
    elif what == "encode":
        for pattern in ("gpt2", "gpt4"):
            print(pattern, in_a_process("encode-one", path, pattern), flush=True)
    elif what == "ours":
        print(json.dumps(train_ours(path, int(rest[0]))))
    elif what == "theirs":
        print(json.dumps(train_theirs(path)))
    else:
        print(json.dumps(encode(path, rest[0])))


if __name__ == "__main__":
    main(*sys.argv[1:])
