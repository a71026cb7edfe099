"""Packing documents into blocks, right or with one of the known mistakes."""

from __future__ import annotations

from collections.abc import Iterator

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference

Row = list[int]


@reference
def pack_documents(documents: list[list[int]], eos_id: int, block: int, *, wrong: Wrong = RIGHT) -> list[list[int]]:
    """Join documents, each followed by eos_id, and cut the row into full blocks; the rest is left out."""
    if "pack_documents-changes-documents" in wrong:
        for document in documents:
            document.append(eos_id)
        return _blocks([one for document in documents for one in document], eos_id, block, wrong)
    if "pack_documents-eos-is-0" in wrong:
        eos_id = 0
    if "pack_documents-eos-of-gpt2" in wrong:
        eos_id = 50256
    if "pack_documents-one-block-at-a-time" in wrong or "pack_documents-buffer-emptied" in wrong:
        return _buffered(documents, eos_id, block, wrong)
    if "pack_documents-last-document-lost" in wrong:
        documents = documents[:-1]
    if "pack_documents-empty-skipped" in wrong:
        documents = [document for document in documents if document]
    if "pack_documents-shortest-first" in wrong:
        documents = sorted(documents, key=len)
    if "pack_documents-each-by-itself" in wrong or "pack_documents-each-kept" in wrong:
        keep = frozenset({"pack_documents-rest-kept"}) if "pack_documents-each-kept" in wrong else wrong
        rows = [_joined([document], eos_id, block, wrong) for document in documents]
        return [full for row in rows for full in _blocks(row, eos_id, block, keep)]
    if "pack_documents-one-a-block" in wrong:
        rows = [[*document, eos_id][:block] for document in documents]
        return [row + [eos_id] * (block - len(row)) for row in rows]
    if "pack_documents-not-cut-inside" in wrong:
        return _whole_documents(documents, eos_id, block)
    if "pack_documents-eos-ends-blocks" in wrong and block > 1:
        row = [one for document in documents for one in document]
        return [[*full, eos_id] for full in _blocks(row, eos_id, block - 1, wrong)]
    return _blocks(_joined(documents, eos_id, block, wrong), eos_id, block, wrong)


def _joined(documents: list[Row], eos_id: int, block: int, wrong: Wrong) -> Row:
    """All documents in a row."""
    row: Row = []
    for document in documents:
        if "pack_documents-eos-before" in wrong or "pack_documents-eos-on-both-sides" in wrong:
            row.append(eos_id)
        if "pack_documents-appended" in wrong:
            row.append(document)  # pyright: ignore[reportArgumentType]
        else:
            row += document[: block - 1] if "pack_documents-documents-cut" in wrong else document
        if not ("pack_documents-eos-before" in wrong or "pack_documents-no-eos" in wrong):
            row.append(eos_id)
    if "pack_documents-eos-between" in wrong:
        return row[:-1]
    if "pack_documents-eos-at-the-end" in wrong:
        return [*(one for document in documents for one in document), eos_id]
    return row


def _blocks(row: Row, eos_id: int, block: int, wrong: Wrong) -> list[Row]:
    """The row in full blocks."""
    if "pack_documents-flat" in wrong:
        return row  # pyright: ignore[reportReturnType]
    if "pack_documents-one-row" in wrong:
        return row[: len(row) // block * block]  # pyright: ignore[reportReturnType]
    if "pack_documents-number-of-blocks" in wrong:
        block = max(1, len(row) // block)
    if "pack_documents-rest-at-the-front" in wrong:
        row = row[len(row) % block :]
    if "pack_documents-rest-padded" in wrong:
        row = row + [eos_id] * (-len(row) % block)
    if "pack_documents-rest-padded-with-0" in wrong:
        row = row + [0] * (-len(row) % block)
    length = stride = block
    if "pack_documents-overlap-of-one" in wrong:
        stride = max(1, block - 1)
    if "pack_documents-sliding" in wrong:
        stride = 1
    if "pack_documents-one-longer" in wrong:
        length = block + 1
    if "pack_documents-one-longer-apart" in wrong:
        length = stride = block + 1
    last = len(row) - length + 1
    if "pack_documents-last-block-lost" in wrong:
        last -= 1
    if "pack_documents-rest-kept" in wrong:
        last = len(row)
    if "pack_documents-with-targets" in wrong:
        starts = range(0, len(row) - block, block)
        return [(row[i : i + block], row[i + 1 : i + block + 1]) for i in starts]  # pyright: ignore[reportReturnType]
    if "pack_documents-dealt-out" in wrong:
        n_blocks = len(row) // block
        return [row[i : n_blocks * block : n_blocks] for i in range(n_blocks)]
    return [row[start : start + length] for start in range(0, last, stride)]


def _whole_documents(documents: list[Row], eos_id: int, block: int) -> list[Row]:
    """A document that does not fit any more begins a new block; the one before is filled up."""
    blocks: list[Row] = []
    now: Row = []
    for document in documents:
        ended = [*document, eos_id]
        if len(now) + len(ended) > block and now:
            blocks.append(now + [eos_id] * (block - len(now)))
            now = []
        now += ended
        while len(now) >= block:
            blocks.append(now[:block])
            now = now[block:]
    return blocks


def _buffered(documents: list[Row], eos_id: int, block: int, wrong: Wrong) -> list[Row]:
    """One document after another goes into a buffer, which is asked once a document whether it is full."""
    blocks: list[Row] = []
    buffer: Row = []
    for document in documents:
        buffer = [*buffer, *document, eos_id]
        if len(buffer) >= block:
            blocks.append(buffer[:block])
            buffer = [] if "pack_documents-buffer-emptied" in wrong else buffer[block:]
    return blocks


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then documents and blocks of many sizes."""
    after = "eos_id stands after each document, the last one too"
    yield case(after, [[1, 2]], 9, 3)
    yield case(after, [[1], [2]], 9, 4)
    yield case(after, [[1, 2, 3], [4], [5, 6]], 9, 3)
    full = "only full blocks, and the rest is left out"
    yield case(full, [[1, 2, 3, 4]], 9, 2)
    yield case(full, [[1, 2, 3, 4], [5, 6]], 9, 3)
    yield case(full, [[1, 2], [3]], 9, 6)
    yield case(full, [[1, 2, 3, 4, 5, 6, 7]], 9, 4)
    across = "blocks go on from one document into the next"
    yield case(across, [[1, 2, 3], [4, 5, 6]], 9, 4)
    yield case(across, [[1], [2], [3], [4]], 9, 3)
    yield case(across, [[1, 2, 3, 4, 5], [6], [7, 8, 9]], 10, 2)
    for lengths, block in (
        ((3, 5, 2), 4), ((7, 1, 4, 6), 5), ((2, 2, 2, 2), 3), ((10,), 4), ((4, 4, 4), 5), ((1, 9, 3, 8), 6),
        ((5, 3, 6, 1, 2, 4), 8), ((12, 15), 7), ((6, 2, 9), 1), ((30, 20, 25), 16), ((3, 3, 3, 3, 3), 4),
    ):  # fmt: skip
        yield case("documents and blocks of any size", _documents(draw, lengths), 50256, block)
    for block in (2, 3, 4, 6, 12):
        yield case("a row that the blocks fill exactly", _documents(draw, (4, 2, 3)), 0, block)
    yield edge("an empty document is an eos_id by itself", [[1], [], [2]], 9, 5)
    yield edge("an empty document is an eos_id by itself", [[], []], 9, 2)
    yield edge("without documents there are no blocks", [], 9, 4)
    yield edge("arguments by their names", [[1, 2, 3]], eos_id=9, block=2)


def _documents(draw: Draw, lengths: tuple[int, ...]) -> list[Row]:
    """Documents of these lengths, in which no id comes twice."""
    left = draw.sample(range(1, 50000), sum(lengths))
    return [[left.pop() for _ in range(length)] for length in lengths]
