"""What a run reads: texts and their ids, or token shards.

Texts come from the package or from the user's own files, and are encoded when the run begins. Several documents become
one long line of ids with an end-of-text token after each, so that the model learns where a text ends; one document by
itself needs none. What is held out is never seen in training, and the tokenizer never sees it either.

Shards (`groundup prepare`) are ids already, and may be larger than the memory. They were made by one tokenizer, and the
run must have the same. Before the first step each is read once: an id that the vocabulary lacks, or a byte that is not
as it was written, is found here and not in the middle of the run.

Read next: `step.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch

from ..canonical_json import canonical_json
from ..errors import ConfigError, DataError, quoted
from ..text.batches import TokenIds
from ..text.corpus import packaged
from ..text.loader import Wanted
from ..text.shards import IdReader, ShardFolder, Split, is_shard_folder, open_shards
from ..text.sources import read_documents
from ..text.tokenizer import Tokenizer
from .config import DataSection, TrainConfig

TRAIN_FRACTION = 0.9  # where nothing is named to be held out

Check = Callable[[], None]


@dataclass(frozen=True)
class RunIds:
    """The ids to learn from, and those held out."""

    train: TokenIds
    val: TokenIds
    sha256: str  # of the data as they are now
    damage: DataError | None = None  # shards that are not as they were written
    folders: tuple[str, ...] = ()  # where the ids for training lie, if they are shards

    def wanted(self, config: TrainConfig) -> Wanted:
        """What a worker must know to read the run's batches."""
        data, training, length = config.data, config.training, config.model.context_length
        return Wanted(
            list(self.folders), "train", len(self.train), length, training.batch_size, training.seed, data.shuffle
        )


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

    def new_tokenizer(self, vocab_size: int, pattern: str) -> Tokenizer:
        """A tokenizer that learns from the training text."""
        return Tokenizer.train(self.train, vocab_size, pattern=pattern)

    def held_out_texts(self) -> list[str]:
        """The documents that are held out."""
        return self.val

    def ids(self, tokenizer: Tokenizer, check: Check = lambda: None) -> RunIds:
        """All texts encoded. check is called between the two parts, and may stop."""
        train = torch.tensor(encode_documents(tokenizer, self.train))
        check()
        return RunIds(train, torch.tensor(encode_documents(tokenizer, self.val)), self.sha256)


@dataclass(frozen=True)
class Shards:
    """The shards to learn from, and those held out; where none are, the last tenth is."""

    name: str
    train: list[ShardFolder]
    val: list[tuple[ShardFolder, Split]]

    def new_tokenizer(self, vocab_size: int, pattern: str) -> Tokenizer:
        """The tokenizer that the shards were made with, which lies beside them."""
        del vocab_size, pattern
        return Tokenizer.load(self.train[0].path)

    def ids(self, tokenizer: Tokenizer, check: Check = lambda: None) -> RunIds:
        """The ids where they lie, each shard read once and checked.

        Raises ConfigError TOK_MATCH for another tokenizer, DataError DATA_TOKEN for an id that it does not have.
        """
        parts: list[tuple[ShardFolder, Split]] = [*((folder, "train") for folder in self.train), *self.val]
        hashes: list[list[str]] = []
        damage: DataError | None = None
        for folder, split in parts:
            require_tokenizer(folder, tokenizer)
            for entry, found in folder.scan(split, check):
                hashes.append([split, found])
                if found != entry["sha256"]:
                    damage = damage or not_as_written(folder, str(entry["name"]), str(entry["sha256"]), found)
        train, val = self.parts()
        folders = tuple(str(folder.path.absolute()) for folder in self.train)
        return RunIds(train, val, hashlib.sha256(canonical_json(hashes)).hexdigest(), damage, folders)

    def parts(self) -> tuple[IdReader, IdReader]:
        """The ids for training, and those held out."""
        train = IdReader([array for folder in self.train for array in folder.ids("train").arrays])
        val = IdReader([array for folder, split in self.val for array in folder.ids(split).arrays])
        if len(val):
            return train, val
        cut = int(TRAIN_FRACTION * len(train))
        return train.part(0, cut), train.part(cut, len(train))

    def held_out_texts(self) -> list[str]:
        """The documents that are held out, decoded."""
        tokenizer, (_, val) = Tokenizer.load(self.train[0].path), self.parts()
        ids = val.read(0, len(val))
        ends = [*((ids == tokenizer.end_of_text).nonzero()[0] + 1).tolist(), len(ids)]
        documents = [ids[start:end] for start, end in pairwise([0, *ends]) if end > start]
        return [tokenizer.decode(i for i in document.tolist() if i != tokenizer.end_of_text) for document in documents]


def read_data(data: DataSection) -> Texts | Shards:
    """What `[data]` names, read or opened. Raises DataError, or ConfigError where texts and shards are mixed."""
    names = [*(data.train or ()), *(data.val or ())]
    are_shards = [is_shard_folder(name) for name in names]
    if not any(are_shards):
        return read_texts(data)
    if not all(are_shards):
        raise ConfigError(
            f"shards and texts are mixed: {quoted(names[are_shards.index(False)])} is no folder of shards",
            where="data.train and data.val",
            fix="prepare the texts too: groundup prepare",
        )
    train = [open_shards(name) for name in data.train or ()]
    if data.val is None:
        val: list[tuple[ShardFolder, Split]] = [(folder, "val") for folder in train]
    else:  # a folder may have been prepared to be held out as a whole
        held_out = [open_shards(name) for name in data.val]
        val = [(folder, "val" if folder.entries("val") else "train") for folder in held_out]
        own = {folder.path.resolve() for folder in train}
        if shared := [folder for folder, split in val if split == "train" and folder.path.resolve() in own]:
            raise ConfigError(
                f"{quoted(str(shared[0].path))} holds nothing out, and is to be learnt from",
                where="data.val",
                fix="leave data.val out: the last tenth is then held out",
            )
    return Shards(", ".join(data.train or ()), train, val)


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


def require_tokenizer(folder: ShardFolder, tokenizer: Tokenizer) -> None:
    """Raise ConfigError TOK_MATCH where shards were made with another tokenizer: their ids would mean nothing."""
    if folder.index["tokenizer_sha256"] != tokenizer.sha256:
        raise ConfigError(
            f"the shards were made with another tokenizer: its sha256 is {folder.index['tokenizer_sha256']}, "
            f"the run's {tokenizer.sha256}",
            where=quoted(str(folder.path)),
            fix="leave data.tokenizer out, or prepare the texts with the run's tokenizer",
            code="TOK_MATCH",
        )


def not_as_written(folder: ShardFolder, name: str, expected: str, found: str) -> DataError:
    """The error for a shard with other bytes than its index says."""
    return DataError(
        f"the shard is damaged: its sha256 should be {expected}, and is {found}",
        where=quoted(str(folder.path / Path(name))),
        fix="bring the file back from a copy, or prepare the texts again",
        code="DATA_HASH",
    )


def require_enough(n_tokens: int, context_length: int, name: str, what: str) -> None:
    """Raise DataError (DATA_SHORT) where a text does not fill one window."""
    if n_tokens < context_length + 1:
        raise DataError(
            f"the {what} text has {n_tokens:,} tokens, and one window takes {context_length + 1:,}",
            where=name,
            fix="use more text, or set a smaller model.context_length",
            code="DATA_SHORT",
        )
