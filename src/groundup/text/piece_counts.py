"""Which pieces a corpus has and how often each occurs: all that learning merges needs to know of it.

A corpus may be larger than the memory, its distinct pieces are few: fifty megabytes of English have ninety thousand. So
the text runs through in parts, each cut off where no piece can lie across the cut, and only the counts stay. Several
processes count parts side by side; the counts are added in the order of the parts, so that they are the same with any
number of processes.

In an endless corpus even the distinct pieces have no end. When there are more than a few million, those that occurred
least are dropped: they are numbers, names and misprints that came up once and would rarely have decided a merge.

Read next: `bpe_training.py`, which learns from the counts.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import cast

from ..report import SILENT, Report
from .patterns import splitter
from .pieces import cut
from .workers import Answer, helpers, in_order, n_cores, serve

BATCH = 1 << 20  # characters that a process counts before it answers: few to hold, and many for one answer
FEW_BATCHES = 4  # are counted before helpers would have started
MAX_PIECES = 2_000_000  # distinct ones, about 300 MB


@dataclass
class PieceCounts:
    """How often each piece occurred."""

    counts: Counter[str] = field(default_factory=Counter[str])
    n_bytes: int = 0  # of all text, as UTF-8
    n_dropped: int = 0  # pieces that were too many to keep, each time that they were dropped

    def drop_rare(self, max_pieces: int) -> None:
        """Forget the rarest pieces, until at most half of `max_pieces` are left."""
        n_pieces, limit = len(self.counts), 1
        while len(self.counts) > max_pieces // 2:
            self.counts = Counter({piece: count for piece, count in self.counts.items() if count > limit})
            limit *= 2
        self.n_dropped += n_pieces - len(self.counts)


Batch = list[str]


def count_pieces(
    texts: Iterable[str],
    pattern: str,
    n_workers: int | None = None,
    *,
    report: Report = SILENT,
    max_pieces: int = MAX_PIECES,
) -> PieceCounts:
    """Count the pieces of all texts, which are asked for one by one; no piece lies across two of them.

    pattern: its name. n_workers: helper processes; None: one for each core; 0: this process counts.
    """
    found = PieceCounts()
    n_workers = n_cores() if n_workers is None else n_workers
    batches = batches_of(texts)
    first = list(islice(batches, FEW_BATCHES + 1))
    n_workers = n_workers if len(first) > FEW_BATCHES else 0
    with counters(pattern, n_workers) as count_all:
        for n_bytes, counts in count_all(chain(first, batches)):
            found.counts.update(counts)
            found.n_bytes += n_bytes
            if len(found.counts) > max_pieces:
                found.drop_rare(max_pieces)
            report.progress("counting", found.n_bytes, 0)
    if found.n_dropped:
        report.note(f"{found.n_dropped:,} rare pieces were dropped: there were more than memory should hold")
    return found


def batches_of(texts: Iterable[str]) -> Iterator[Batch]:
    """The texts in small parts, as many together as make a batch."""
    batch: Batch = []
    size = 0
    for text in texts:
        for part in cut([text], "the text"):
            batch.append(part.text)
            size += len(part.text)
            if size >= BATCH:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def count_batch(batch: Batch, pattern: str) -> tuple[int, Mapping[str, int]]:
    """The bytes of the texts, and how often each piece occurs in them."""
    split = splitter(pattern)
    counts: Counter[str] = Counter()
    for text in batch:
        counts.update(split(text))
    return sum(len(text.encode("utf-8")) for text in batch), counts


CountAll = Callable[[Iterable[Batch]], Iterator[tuple[int, Mapping[str, int]]]]


@contextlib.contextmanager
def counters(pattern: str, n_workers: int) -> Generator[CountAll]:
    """A function that counts batch after batch, in helper processes if there are any; the answers come in order."""
    if not n_workers:
        yield lambda batches: (count_batch(batch, pattern) for batch in batches)
        return
    with helpers(__name__, pattern.encode(), n_workers) as ask:

        def count(batch: Batch) -> tuple[int, Mapping[str, int]]:
            answer = ask(json.dumps(batch, ensure_ascii=False).encode("utf-8"))
            return cast("tuple[int, Mapping[str, int]]", json.loads(answer))

        yield lambda batches: (counts for _, counts in in_order(batches, count, n_workers))


def main() -> None:
    """A helper's work."""

    def make(first: bytes) -> Answer:
        pattern = first.decode()
        return lambda question: json.dumps(count_batch(json.loads(question), pattern), ensure_ascii=False).encode()

    serve(make)
