"""The tokenizer: the one door between text and token ids.

    tokenizer = Tokenizer.train(text, vocab_size=1024)
    ids = tokenizer.encode("First Citizen:")
    tokenizer.decode(ids)

It keeps one promise above all: the ids are those that Hugging Face `tokenizers` gives with the same tokenizer.json
(and `encode_special_tokens=True`), for every text. Special tokens, such as the one that ends a document, come only from
a caller who allows them; in a text from outside "<|endoftext|>" is thirteen ordinary characters.

Read next: `corpus.py`, where texts come from.
"""

from __future__ import annotations

import codecs
import contextlib
import functools
import hashlib
import os.path
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from pathlib import Path

from .. import files
from ..errors import ConfigError, TokenizerError, quoted
from ..report import SILENT, Report
from . import tokenizer_json
from .bpe import N_BYTES, Pair, split_at
from .fast_bpe import PieceCache, WordCache
from .patterns import PATTERNS, splitter
from .vocabulary import END_OF_TEXT, Vocabulary, gpt2_vocabulary, trained_vocabulary

KNOWN_NAMES = {"gpt2": gpt2_vocabulary}


class Tokenizer:
    """Byte-level BPE with a split pattern and special tokens. Make one with `train` or `load`."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._tokens = vocabulary.tokens
        ids = vocabulary.ordinary_ids()
        byte_ids = [ids[bytes([byte])] for byte in range(N_BYTES)]
        ranks = {
            (left, right): (rank, ids[self._tokens[left] + self._tokens[right]])
            for rank, (left, right) in enumerate(vocabulary.merges)
        }
        self._words = WordCache(PieceCache(byte_ids, ranks), splitter(vocabulary.pattern))

    @classmethod
    def train(
        cls,
        texts: Iterable[str] | str,
        vocab_size: int,
        pattern: str = "gpt2",
        specials: Iterable[str] = (END_OF_TEXT,),
        *,
        n_workers: int | None = None,
        report: Report = SILENT,
    ) -> Tokenizer:
        """Learn a vocabulary of vocab_size ids: the 256 bytes, then merges, then the special tokens.

        texts may be an iterator over more than the memory holds. n_workers: processes that count beside this one; None:
        one for each core, where the texts are large enough. There are fewer ids when no pair of tokens occurs twice any
        more. Raises ConfigError for a vocab_size that the bytes and special tokens exceed, an unknown pattern, or
        special tokens that cannot be told apart; TokenizerError TOK_TEXT as `encode`.
        """
        from .piece_counts import count_pieces

        specials = list(specials)
        require_trainable(vocab_size, pattern, specials)
        with surrogates_refused():
            found = count_pieces([texts] if isinstance(texts, str) else texts, pattern, n_workers, report=report)
        return cls.from_counts(found.counts, vocab_size, pattern, specials)

    @classmethod
    def from_counts(
        cls,
        pieces: Mapping[str, int],
        vocab_size: int,
        pattern: str = "gpt2",
        specials: Iterable[str] = (END_OF_TEXT,),
    ) -> Tokenizer:
        """The same from counts: how often each piece of the pattern occurs in the texts (`count_pieces`)."""
        from .bpe_training import learn_merges  # NumPy comes with it, and an encoder starts without

        specials = list(specials)
        require_trainable(vocab_size, pattern, specials)
        n_merges = vocab_size - N_BYTES - len(specials)
        vocabulary = trained_vocabulary(learn_merges(pieces, n_merges), specials, pattern)
        if problem := vocabulary.problem():
            raise ConfigError(problem, fix="choose special tokens that no text contains, such as <|endoftext|>")
        return cls(vocabulary)

    @classmethod
    def load(cls, where: str | Path) -> Tokenizer:
        """Read a tokenizer: a tokenizer.json, a folder or run directory that holds one, or the known name "gpt2".

        Raises TokenizerError: PATH for what is not there, otherwise as `tokenizer_json.read`.
        """
        path = Path(where)
        for candidate in (path, path / "tokenizer.json", path / "tokenizer" / "tokenizer.json"):
            if os.path.exists(candidate) and not os.path.isdir(candidate):
                return cls(tokenizer_json.read(candidate))
        there = os.path.exists(path)
        if str(where) in KNOWN_NAMES and not there:
            return cls(KNOWN_NAMES[str(where)]())
        raise TokenizerError(
            "there is no tokenizer.json in this folder" if there else "no such file or folder",
            where=quoted(str(where)),
            fix=f"give a folder with a tokenizer.json, a run directory, or a known name: {', '.join(KNOWN_NAMES)}",
            code="PATH",
            status=2,
        )

    def save(self, folder: str | Path) -> None:
        """Write FOLDER/tokenizer.json, durably."""
        files.write_text(Path(folder) / "tokenizer.json", self.to_json())

    def to_json(self) -> str:
        """The text of tokenizer.json, which `tokenizers.Tokenizer.from_str` reads too."""
        return tokenizer_json.to_json(self.vocabulary)

    def encode(self, text: str, allowed: Collection[str] = frozenset()) -> list[int]:
        """Turn text into ids. Special tokens are ordinary text unless `allowed` names them or is "all".

        Raises TokenizerError: TOK_TEXT for half a surrogate pair, which no file can hold; TOK_SPECIAL for an allowed
        token that there is not.
        """
        chosen = self._allowed_specials(allowed)
        ids: list[int] = []
        with surrogates_refused():
            for part in split_at(text, chosen):
                if part in chosen:
                    ids.append(self.specials[part])
                else:
                    ids.extend(self._words.encode(part))
        return ids

    def encode_batch(self, texts: Sequence[str], *, n_workers: int | None = None) -> list[list[int]]:
        """The ids of each text, as `encode` gives them: much text on all cores.

        n_workers: helper processes that encode; None: one for each core, where there is text enough. Raises
        TokenizerError as `encode`, and WorkerLost WORKER_LOST when a helper is gone.
        """
        from .encoders import encode_batch

        return encode_batch(self, texts, n_workers)

    def decode(self, ids: Iterable[int]) -> str:
        """Turn ids into text; bytes that are not UTF-8 become U+FFFD. Raises TokenizerError for an unknown id."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")

    def stream(self) -> StreamDecoder:
        """A decoder for ids that come one by one."""
        return StreamDecoder(self)

    def token_bytes(self, i: int) -> bytes:
        """What one id stands for: whole characters or a part of one. Raises TokenizerError for an unknown id."""
        if not 0 <= i < len(self._tokens):
            raise TokenizerError(
                f"there is no token {i}: ids go from 0 to {len(self._tokens) - 1}",
                fix="use the tokenizer that the model was trained with",
                code="TOK_ID",
                status=2,
            )
        return self._tokens[i]

    @property
    def vocab_size(self) -> int:
        """How many ids there are, special tokens included."""
        return len(self._tokens)

    @property
    def merges(self) -> list[Pair]:
        """The merges in the order in which they were learnt, as pairs of ids."""
        return list(self.vocabulary.merges)

    @property
    def specials(self) -> dict[str, int]:
        """The id of each special token."""
        return dict(self.vocabulary.specials)

    @property
    def end_of_text(self) -> int | None:
        """The id that ends a document, if there is one."""
        return self.vocabulary.specials.get(END_OF_TEXT)

    @functools.cached_property
    def sha256(self) -> str:
        """The hash of tokenizer.json as `to_json` writes it: equal for tokenizers that encode alike."""
        return hashlib.sha256(self.to_json().encode("utf-8")).hexdigest()

    def _allowed_specials(self, allowed: Collection[str]) -> list[str]:
        """The special tokens to look for, the longest first."""
        if not allowed:
            return []
        names = set(self.specials) if allowed == "all" else set(allowed)
        if unknown := names - set(self.specials):
            raise TokenizerError(
                f"{quoted(repr(min(unknown)))} is no special token of this tokenizer",
                fix=f"it has: {', '.join(self.specials) or 'none'}",
                code="TOK_SPECIAL",
                status=2,
            )
        return sorted(names, key=len, reverse=True)


def require_trainable(vocab_size: int, pattern: str, specials: Sequence[str]) -> None:
    """Raise ConfigError for a request that no text can fulfil."""
    if vocab_size < N_BYTES + len(specials):
        raise ConfigError(
            f"vocab_size is {vocab_size}, and bytes and special tokens alone are {N_BYTES + len(specials)}",
            fix="use a larger one, for example 1024",
        )
    if pattern not in PATTERNS:
        raise ConfigError(f"pattern is {quoted(repr(pattern))}", fix=f"use one of: {', '.join(PATTERNS)}")
    if len(set(specials)) < len(specials):
        raise ConfigError("a special token is given twice", fix="give each special token once")


class StreamDecoder:
    """Decodes ids as they come and never shows half a character. Put together, its texts are decode(ids)."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        # The incremental decoder keeps the first bytes of a character until the rest is there.
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, i: int) -> str:
        """The text that one more id completes; empty in the middle of a character."""
        return self._decoder.decode(self._tokenizer.token_bytes(i))

    def finish(self) -> str:
        """What is left at the end: nothing, or U+FFFD for a character that was never completed."""
        return self._decoder.decode(b"", final=True)


@contextlib.contextmanager
def surrogates_refused() -> Generator[None]:
    """Turn Python's complaint about half a surrogate pair, which a str can hold and UTF-8 cannot, into ours."""
    try:
        yield
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise TokenizerError(
            f"U+{ord(half):04X} is half a surrogate pair, not a character",
            where=f"the text {quoted(error.object, 80)}",
            fix="decode the text as UTF-8 first",
            code="TOK_TEXT",
            status=2,
        ) from error
