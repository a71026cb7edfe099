"""Wrong implementations of pack_documents as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
def pack_documents(documents, eos_id, block):
    stream = []
    for d in documents:
        stream.append(d)
        stream.append(eos_id)
    return [stream[i:i + block] for i in range(0, len(stream) - block + 1, block)]
""",
        "append instead of extend",
    ),
]
