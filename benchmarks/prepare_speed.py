"""How fast texts become shards, with one and two workers, beside Hugging Face `tokenizers` on one thread.

    python benchmarks/prepare_speed.py CORPUS.jsonl.gz [--megabytes 16] [--runs 3] [--tokenizer gpt2]

The peer does what a data script usually does: read the lines, encode each document, write the ids with NumPy. It starts
in a process of its own, as `groundup prepare` does, so that all ways pay for their start. The memory is that of the
largest process of each way.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PEER = """
import json, sys
import numpy, tokenizers
tokenizer = tokenizers.Tokenizer.from_file(sys.argv[1])
tokenizer.encode_special_tokens = True
with open(sys.argv[2], encoding="utf-8") as lines, open(sys.argv[3], "wb") as out:
    for line in lines:
        ids = tokenizer.encode(json.loads(line)["text"], add_special_tokens=False).ids
        out.write(numpy.array([*ids, 50256], dtype=numpy.uint16).tobytes())
"""


def measured(command: list[str], n_bytes: int) -> tuple[float, float]:
    """(MB/s, MB of memory) of a command, measured from a process that has no other children."""
    code = (
        "import json, resource, subprocess, sys, time; began = time.perf_counter();"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL);"
        "seconds = time.perf_counter() - began;"
        "print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024]))"
    )
    environment = os.environ | {"TOKENIZERS_PARALLELISM": "false"}
    shown = subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True, env=environment)
    seconds, memory = json.loads(shown.stdout)
    return n_bytes / seconds / 1e6, memory


def sample(corpus: Path, path: Path, n_bytes: int) -> int:
    """Write whole documents of about n_bytes of text; returns how many bytes of text they have."""
    written = 0
    with gzip.open(corpus, "rt", encoding="utf-8") as lines, open(path, "w", encoding="utf-8") as out:
        for line in lines:
            text = json.loads(line)["text"]
            out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
            written += len(text.encode())
            if written >= n_bytes:
                break
    return written


def main() -> None:
    """Measure all ways in turns, and print their medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--megabytes", type=float, default=16)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tokenizer", default="gpt2")
    chosen = parser.parse_args()
    from groundup.text import Tokenizer

    with tempfile.TemporaryDirectory(prefix="groundup-") as name:
        folder = Path(name)
        n_bytes = sample(chosen.corpus, folder / "texts.jsonl", int(chosen.megabytes * 1e6))
        Tokenizer.load(chosen.tokenizer).save(folder)
        files = [str(folder / "tokenizer.json"), str(folder / "texts.jsonl")]
        runs: dict[str, list[tuple[float, float]]] = {}
        for number in range(chosen.runs):
            for n_workers in (1, 2):
                out = str(folder / f"out-{number}-{n_workers}")
                words = ["prepare", files[1], "--tokenizer", str(folder), "--out", out, "--workers", str(n_workers)]
                way = f"prepare, {n_workers} worker{'s' * (n_workers > 1)}"
                runs.setdefault(way, []).append(measured([sys.executable, "-m", "groundup", *words], n_bytes))
            peer = [sys.executable, "-c", PEER, *files, str(folder / "peer.bin")]
            runs.setdefault("tokenizers, 1 thread", []).append(measured(peer, n_bytes))
    speeds = {way: statistics.median(speed for speed, _ in found) for way, found in runs.items()}
    for way, found in runs.items():
        memory = max(memory for _, memory in found)
        ratio = speeds[way] / speeds["tokenizers, 1 thread"]
        print(f"{way:22} {speeds[way]:6.2f} MB/s  {ratio:5.2f} × the peer  {memory:6.0f} MB in its largest process")


if __name__ == "__main__":
    main()
