"""Training speed and memory of the tokenizer beside `tokenizers`, in one run.

    python benchmarks/tokenizer_speed.py TEXT [--runs 3]       50 MB of English make the figures of the README

Every measurement is a process of its own, since memory counts too and a peer's number of threads is set when it starts.
Seconds: from opening the file to the last merge. Memory: the largest sum over the process and its helpers at one moment
(their proportional share, PSS, sampled every 20 ms; Linux). Encoding is measured by `groundup bench tokenizer`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

VOCAB_SIZE = 8_192


def train_ours(path: str, n_workers: int) -> None:
    from groundup.text.sources import Reading, find_sources, pieces_of
    from groundup.text.tokenizer import Tokenizer

    reading = Reading()
    texts = (piece.text for source in find_sources([path]) for piece in pieces_of(source, reading))
    Tokenizer.train(texts, VOCAB_SIZE, n_workers=n_workers)


def train_theirs(path: str) -> None:
    import tokenizers

    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE, initial_alphabet=alphabet, show_progress=False, special_tokens=["<|endoftext|>"]
    )
    theirs.train_from_iterator(blocks(path), trainer)


def blocks(path: str) -> Iterator[str]:
    with open(path, encoding="utf-8", newline="") as file:
        while block := file.read(1 << 18):
            yield block


def measured(work: Callable[[], object]) -> dict[str, float]:
    """The seconds that some work takes, and the MB of this process and all its children at their worst."""
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], family_kb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    done.set()
    watcher.join()
    return {"seconds": round(seconds, 2), "MB": round(peak[0] / 1024)}


def family_kb() -> int:
    """The memory of this process and its children together. What several of them share counts once."""
    own = Path(f"/proc/{os.getpid()}")
    children = own.joinpath("task", own.name, "children").read_text().split()  # of the main thread, which starts them
    total = 0
    for folder in (own, *(Path("/proc") / child for child in children)):
        try:
            lines = folder.joinpath("smaps_rollup").read_text().splitlines()
        except OSError:  # it has just ended
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def in_a_process(*words: str, threads: int = 1) -> dict[str, float]:
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": str(threads > 1).lower()}
    command = [sys.executable, __file__, *words]
    return json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)


def main() -> None:
    """Measure all ways in turns, and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--measure", help=argparse.SUPPRESS)  # what one of the processes does
    chosen = parser.parse_args()
    if chosen.measure == "theirs":
        print(json.dumps(measured(lambda: train_theirs(chosen.text))))
    elif chosen.measure:
        print(json.dumps(measured(lambda: train_ours(chosen.text, int(chosen.measure)))))
    else:
        compare(chosen.text, chosen.runs)


def compare(text: str, n_runs: int) -> None:
    ways: dict[str, Callable[[], dict[str, float]]] = {
        f"ours, {n} helpers": lambda n=n: in_a_process(text, "--measure", str(n)) for n in (0, 1, 2)
    }
    for threads in (1, 2):
        ways[f"tokenizers, {threads} threads"] = lambda threads=threads: in_a_process(
            text, "--measure", "theirs", threads=threads
        )
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(n_runs):
        for name, way in ways.items():
            runs[name].append(way())
    peer = statistics.median(run["seconds"] for run in runs["tokenizers, 1 threads"])
    for name, found in runs.items():
        seconds = statistics.median(run["seconds"] for run in found)
        memory = max(run["MB"] for run in found)
        print(f"{name:22} {seconds:7.2f} s  {peer / seconds:5.2f} × the peer on one thread  {memory:6.0f} MB at most")


if __name__ == "__main__":
    main()
