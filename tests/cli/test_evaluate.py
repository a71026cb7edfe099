"""`groundup eval`."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Run

from groundup.evaluation import evaluate_text
from groundup.text import packaged
from groundup.weights import load, load_tokenizer

GPT2 = Path(__file__).parents[1] / "data" / "reference" / "gpt2"


def test_a_run_is_measured_on_its_own_held_out_text(trained: Path, groundup: Run) -> None:
    answer = groundup("eval", trained, "--json").json
    found = evaluate_text(load(trained), load_tokenizer(trained), packaged("the-verdict").val)
    assert answer["bits_per_byte"] == pytest.approx(found.bits_per_byte, rel=1e-5)
    assert (answer["tokens"], answer["bytes"]) == (found.tokens, found.bytes)


def test_the_figures_are_shown_to_people(trained: Path, groundup: Run) -> None:
    lines = groundup("eval", trained).out.splitlines()
    assert [line.rsplit("  ", 1)[0].strip() for line in lines] == [
        "bits per byte",
        "perplexity of a token",
        "tokens predicted",
        "their bytes",
    ]


def test_a_checkpoint_of_a_run_is_measured_like_the_run(trained: Path, groundup: Run) -> None:
    newest = max((trained / "checkpoints").iterdir())
    of_run, of_checkpoint = (groundup("eval", where, "--json").json for where in (trained, newest))
    assert of_run["bits_per_byte"] == of_checkpoint["bits_per_byte"]


def test_texts_of_ones_own_are_added_up(trained: Path, tmp_path: Path, groundup: Run) -> None:
    story, lines = tmp_path / "a.txt", tmp_path / "b.jsonl"
    story.write_text("I had always thought.")
    lines.write_text('{"text": "Jack Gisburn"}\n{"text": "x"}\n')
    answer = groundup("eval", trained, "--text", story, "--text", lines, "--json").json
    assert answer["documents"] == 2
    alone = groundup("eval", trained, "--text", story, "--json").json
    assert answer["tokens"] > alone["tokens"]


@pytest.mark.parametrize(
    ("text", "code", "status"), [(None, "PATH", 2), (b"", "DATA_EMPTY", 3), (b"\xff\xfe\x00", "DATA_UTF8", 3)]
)
def test_a_text_that_cannot_be_read_is_one_clear_line(
    text: bytes | None, code: str, status: int, trained: Path, *, tmp_path: Path, groundup: Run
) -> None:
    path = tmp_path / "text"
    if text is not None:
        path.write_bytes(text)
    shown = groundup("eval", trained, "--text", path)
    assert (shown.status, shown.out) == (status, "")
    assert f"[{code}]" in shown.err


def test_a_text_of_one_token_is_too_short(trained: Path, tmp_path: Path, groundup: Run) -> None:
    (tmp_path / "x").write_text("I")
    assert "[DATA_SHORT]" in groundup("eval", trained, "--text", tmp_path / "x").err


def test_what_is_no_run_needs_a_text(groundup: Run) -> None:
    shown = groundup("eval", GPT2)
    assert shown.status == 2
    assert "name a text with --text FILE" in shown.err


def test_what_is_no_model_is_said_so(tmp_path: Path, groundup: Run) -> None:
    assert "[PATH_KIND]" in groundup("eval", tmp_path).err
    assert "[PATH]" in groundup("eval", tmp_path / "nowhere").err
