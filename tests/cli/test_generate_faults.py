"""`groundup generate` with strange input and strange numbers (rows I1 to I5 and N5)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from command_line import Run

from groundup.cli import generate as cli_generate
from groundup.generation import (
    NextLogits,
    Sample,
    contrastive,
    engine,
    strategies,
    stream,
    stream_text,
)
from groundup.weights import load, load_tokenizer

LENGTH = ("--max-tokens", 12)


@pytest.mark.parametrize(
    ("prompt", "status"),
    [
        *(("", 0), ("I", 0), (" ", 0), ("\n", 0), ("\x00", 0), ("a\x00b", 0), ("\x7f", 0)),
        *((b"\xff".decode("utf-8", "surrogateescape"), 2), ("\ud800", 2), ("I \udfff had", 2)),
    ],
    ids=ascii,
)
def test_i1_a_strange_prompt_generates_or_is_refused_in_one_line(
    prompt: str, status: int, trained: Path, groundup: Run
) -> None:
    shown = groundup("generate", trained, prompt, *LENGTH)
    assert shown.status == status
    assert "Traceback" not in shown.err
    assert "[CLI_PROMPT]" in shown.err if status else shown.out.startswith(prompt)


def test_i1_teeth_an_unchecked_surrogate_would_get_through_to_the_tokenizer(
    trained: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(cli_generate, "argument_text", lambda text, what: seen.append(text) or text)
    shown = groundup("generate", trained, "\ud800", *LENGTH)
    assert seen == ["\ud800"]
    assert "[CLI_PROMPT]" in shown.err  # the second guard, of encode_prompt
    monkeypatch.setattr(stream, "TokenizerError", ZeroDivisionError)
    assert "[CLI_PROMPT]" not in groundup("generate", trained, "\ud800", *LENGTH).err


LONG = "I had always thought Jack Gisburn rather a cheap genius, though a good fellow enough. " * 4


def test_i2_a_prompt_longer_than_the_context_is_refused_with_both_numbers_or_cut_and_told(
    trained: Path, groundup: Run
) -> None:
    n_tokens = len(load_tokenizer(trained).encode(LONG))
    assert n_tokens > 10 * 16
    shown = groundup("generate", trained, LONG, *LENGTH)
    assert (shown.status, shown.out) == (2, "")
    assert f"has {n_tokens} tokens, and the model's context holds 16 [CLI_LENGTH]" in shown.err
    cut = groundup("generate", trained, LONG, "--truncate-left", *LENGTH)
    assert cut.status == 0
    assert f"the prompt has {n_tokens} tokens: only the last 16 are read" in cut.err


def test_i2_teeth_without_the_check_a_long_prompt_would_be_read_in_part_without_a_word(
    trained: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "checked_prompt", lambda ids, model, **_: ids)
    monkeypatch.setattr(engine, "checked_prompt", lambda ids, model, **_: ids)
    shown = groundup("generate", trained, LONG, *LENGTH)
    assert (shown.status, shown.err) == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        *(("--temperature", "-1"), ("--temperature", "nan"), ("--temperature", "inf"), ("--top-p", "0")),
        *(("--top-p", "1.01"), ("--top-p", "nan"), ("--top-k", "-5"), ("--top-k", "0"), ("--min-p", "-0.1")),
        *(("--typical-p", "2"), ("--repetition-penalty", "-1"), ("--max-tokens", "-1")),
    ],
)
def test_i3_a_value_out_of_range_names_its_flag_and_its_range(
    words: tuple[str, str], trained: Path, groundup: Run
) -> None:
    shown = groundup("generate", trained, "I", *words)
    assert (shown.status, shown.out) == (2, "")
    assert words[0] in shown.err
    assert re.search(r"from \d|above \d|at least \d|x>=0", shown.err)


def test_i3_teeth_without_the_check_the_value_would_reach_torch(
    trained: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sample, "problems", lambda self: iter(()))
    assert groundup("generate", trained, "I", "--top-k", "-5", *LENGTH).status == 3


def forced(monkeypatch: pytest.MonkeyPatch, tokens: list[int]) -> None:
    """Let every strategy choose these tokens, one after the other."""
    waiting = iter(tokens)
    monkeypatch.setattr(Sample, "choose", lambda self, logits, ids, parts=None: next(waiting))


def bytes_of(text: bytes, trained: Path) -> list[int]:
    """A token for each byte."""
    tokenizer = load_tokenizer(trained)
    of_byte = {tokenizer.token_bytes(i): i for i in range(256)}
    return [of_byte[bytes([byte])] for byte in text]


def test_i4_a_character_cut_at_the_end_is_shown_as_one_replacement(
    trained: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced(monkeypatch, bytes_of(b"ok \xf0\x9f", trained))
    shown = groundup("generate", trained, "I", "--max-tokens", 5)
    assert (shown.status, shown.out) == (0, "Iok \ufffd\n")
    pieces: list[str] = []
    forced(monkeypatch, bytes_of("ok \U0001f600".encode()[:-1], trained))
    pieces.extend(stream_text(load(trained), load_tokenizer(trained), "I", Sample(), max_tokens=6))
    assert [piece for piece in pieces if piece] == ["o", "k", " ", "\ufffd"]  # nothing half, and once at the end


def test_i4_teeth_decoding_token_by_token_would_show_halves(trained: Path) -> None:
    tokenizer = load_tokenizer(trained)
    assert "".join(tokenizer.decode([i]) for i in bytes_of(b"\xf0\x9f", trained)) == "\ufffd\ufffd"


ESCAPE = "\x1b]0;owned\x07"


def test_i5_escapes_are_written_out_on_a_terminal_and_raw_where_asked_for_or_to_a_pipe(
    trained: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = bytes_of(ESCAPE.encode(), trained)
    words = ("generate", trained, "I", "--max-tokens", len(tokens))
    forced(monkeypatch, tokens)
    assert groundup(*words).out == f"I{ESCAPE}\n"  # a pipe
    monkeypatch.setattr(cli_generate, "is_terminal", lambda stream: True)
    forced(monkeypatch, tokens)
    assert groundup(*words).out == "I\\x1b]0;owned\\x07\n"
    forced(monkeypatch, tokens)
    assert ESCAPE in groundup(*words, "--raw").out
    forced(monkeypatch, tokens)
    monkeypatch.setattr(cli_generate, "visible", str)  # teeth: without it the terminal would have obeyed
    assert ESCAPE in groundup(*words).out


WAYS = (
    *((), ("--strategy", "greedy"), ("--temperature", 0), ("--strategy", "beam"), ("--strategy", "contrastive")),
    ("--top-k", 5, "--top-p", 0.9, "--typical-p", 0.9),
)


@pytest.mark.parametrize("words", WAYS, ids=str)
def test_n5_scores_that_are_no_numbers_are_an_error_of_ours(
    words: tuple[object, ...], trained: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "NextLogits", broken(float("nan")))
    monkeypatch.setattr(contrastive.Lookahead, "begin", lambda self, ids: torch.full((300,), float("nan")))
    shown = groundup("generate", trained, "I", *words, *LENGTH)
    assert shown.status == 3
    assert "[NUM_LOGITS]" in shown.err
    assert "Traceback" not in shown.err and "probability tensor" not in shown.err
    monkeypatch.setattr(engine, "NextLogits", broken(float("-inf")))
    monkeypatch.setattr(contrastive.Lookahead, "begin", lambda self, ids: torch.full((300,), float("-inf")))
    assert "[NUM_LOGITS]" in groundup("generate", trained, "I", *words, *LENGTH).err


def broken(value: float) -> type:
    """A model whose scores are all this value."""

    class Broken(NextLogits):
        def of_each(self, texts):
            return torch.full_like(super().of_each(texts), value)

    return Broken


def test_n5_a_temperature_near_zero_is_greedy_by_rule(trained: Path, groundup: Run) -> None:
    greedy = groundup("generate", trained, "I", "--strategy", "greedy", *LENGTH).out
    assert groundup("generate", trained, "I", "--temperature", "1e-30", "--top-k", 3, *LENGTH).out == greedy


def test_n5_teeth_without_the_rule_dividing_would_leave_no_numbers(
    trained: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strategies, "COLDEST", 0.0)
    shown = groundup("generate", trained, "I", "--temperature", "1e-45", *LENGTH)
    assert (shown.status, "[NUM_LOGITS]" in shown.err) == (3, True)
    monkeypatch.undo()
    monkeypatch.setattr(strategies, "finite_logits", lambda logits, position: logits)
    monkeypatch.setattr(engine, "NextLogits", broken(float("nan")))
    assert (
        groundup("generate", trained, "I", "--strategy", "greedy", *LENGTH).status == 0
    )  # nonsense, and no word of it
