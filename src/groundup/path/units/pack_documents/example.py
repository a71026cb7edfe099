"""The numbers of the text on packing."""

from __future__ import annotations

from typing import Any

from .pack_documents import pack_documents

N_DOCUMENTS, LENGTH, BLOCK = 1000, 100, 1024


def numbers() -> dict[str, Any]:
    """Three small documents, and the size of a larger corpus."""
    documents, eos_id, block = [[1, 2, 3], [4], [5, 6]], 9, 4
    row = [one for single in pack_documents(documents, eos_id, 1) for one in single]
    blocks = pack_documents(documents, eos_id, block)
    return {
        "row": spaced(row),
        "blocks": [spaced(full) for full in blocks],
        "rest": spaced(row[len(blocks) * block :]),
        "n_documents": N_DOCUMENTS,
        "length": LENGTH,
        "block": BLOCK,
        "ids": N_DOCUMENTS * (LENGTH + 1),
    }


def spaced(row: list[int]) -> str:
    """The ids side by side."""
    return " ".join(map(str, row))


def prediction() -> float:
    """How many blocks a thousand documents fill."""
    return len(pack_documents([[1] * LENGTH] * N_DOCUMENTS, 0, BLOCK))
