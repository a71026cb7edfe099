"""What a run reads: its texts, and their ids.

Texts come from the package or from the user's own files. Several documents become one long line of ids with an
end-of-text token after each, so that the model learns where a text ends; one document by itself needs none. What is
held out is never seen in training, and the tokenizer never sees it either.

Read next: `step.py`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ..errors import DataError
from ..text.corpus import packaged
from ..text.sources import read_documents
from ..text.tokenizer import Tokenizer
from .config import DataSection

TRAIN_FRACTION = 0.9  # where nothing is named to be held out


@dataclass(frozen=True)
class Texts:
    """The documents to learn from, and those held out."""

    name: str
    train: list[str]
    val: list[str]

    @property
    def sha256(self) -> str:
        """Of all documents in their order."""
        digest = hashlib.sha256()
        for document in [*self.train, "", *self.val]:
            digest.update(f"{len(document)}\n{document}".encode())
        return digest.hexdigest()


def read_texts(data: DataSection) -> Texts:
    """The texts that `[data]` names. Raises DataError for files that cannot be read."""
    if data.train is None:
        corpus = packaged(data.corpus)
        return Texts(data.corpus, [corpus.train], [corpus.val])
    name = ", ".join(data.train)
    train = [document for path in data.train for document in read_documents(path)]
    if data.val is not None:
        return Texts(name, train, [document for path in data.val for document in read_documents(path)])
    if len(train) == 1:
        cut = int(TRAIN_FRACTION * len(train[0]))
        train, val = [train[0][:cut]], [train[0][cut:]]
    else:
        n_train = min(len(train) - 1, round(TRAIN_FRACTION * len(train)))
        train, val = train[:n_train], train[n_train:]
    return Texts(name, train, val)


def encode_documents(tokenizer: Tokenizer, documents: list[str]) -> list[int]:
    """The ids of all documents in a row, with the end-of-text token after each where there are several."""
    if len(documents) == 1:
        return tokenizer.encode(documents[0])
    ids: list[int] = []
    for document in documents:
        ids += tokenizer.encode(document)
        ids += [] if tokenizer.end_of_text is None else [tokenizer.end_of_text]
    return ids


def count_bytes(tokenizer: Tokenizer, ids: list[int]) -> int:
    """How many bytes of text some ids stand for; the end of a text is none."""
    return sum(len(tokenizer.token_bytes(i)) for i in ids if i != tokenizer.end_of_text)


def require_enough(n_tokens: int, context_length: int, texts: Texts, what: str) -> None:
    """Raise DataError (DATA_SHORT) where a text does not fill one window."""
    if n_tokens < context_length + 1:
        raise DataError(
            f"the {what} text has {n_tokens:,} tokens, and one window takes {context_length + 1:,}",
            where=texts.name,
            fix="use more text, or set a smaller model.context_length",
            code="DATA_SHORT",
        )
