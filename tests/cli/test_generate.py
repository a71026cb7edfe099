"""`groundup generate`."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from command_line import Run

from groundup.generation import Beam, Sample, stream_text
from groundup.text import packaged
from groundup.weights import load, load_tokenizer

LENGTH = ("--max-tokens", 12)


def test_the_text_is_the_prompt_and_what_the_library_writes(trained: Path, groundup: Run) -> None:
    shown = groundup("generate", trained, "I had", "--temperature", 0.5, "--top-k", 9, "--seed", 3, *LENGTH)
    model, tokenizer = load(trained), load_tokenizer(trained)
    strategy = Sample(temperature=0.5, top_k=9, seed=3)
    assert shown.out == "I had" + "".join(stream_text(model, tokenizer, "I had", strategy, max_tokens=12)) + "\n"
    assert (shown.status, shown.err) == (0, "")


def test_the_same_seed_writes_the_same_and_another_something_else(trained: Path, groundup: Run) -> None:
    texts = [groundup("generate", trained, "I", "--seed", seed, *LENGTH).out for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_json_holds_the_text_without_the_prompt(trained: Path, groundup: Run) -> None:
    plain = groundup("generate", trained, "I had", "--strategy", "greedy", *LENGTH).out
    answer = groundup("generate", trained, "I had", "--strategy", "greedy", "--json", *LENGTH).json
    assert answer["prompt"] + answer["text"] + "\n" == plain
    assert answer["strategy"] == {"name": "greedy"}


def test_a_beam_gives_its_n_best_texts_with_their_scores(trained: Path, groundup: Run) -> None:
    words = ("--strategy", "beam", "--beams", 3, "--n-best", 2, *LENGTH)
    texts = groundup("generate", trained, "I", *words, "--json").json["texts"]
    assert len(texts) == 2
    assert texts[0]["score"] >= texts[1]["score"]
    shown = groundup("generate", trained, "I", *words).out
    assert shown.startswith(f"1. score {texts[0]['score']:.3f}\n")
    best = Beam(beams=3)
    found = "".join(stream_text(load(trained), load_tokenizer(trained), "I", best, max_tokens=12))
    assert texts[0]["text"] == found


def test_compare_shows_every_strategy_and_a_table(trained: Path, groundup: Run) -> None:
    shown = groundup("generate", trained, "I had", "--compare", "--max-tokens", 6).out
    assert shown.startswith("greedy\n  I had")
    rows = [line for line in shown.splitlines() if line.startswith(("greedy ", "beam 4 ", "top-p 0.9 "))]
    assert len(rows) == 3
    written = groundup("generate", trained, "I had", "--compare", "--max-tokens", 6, "--json").json["written"]
    assert written[0]["name"] == "greedy"
    assert {"text", "log_prob", "distinct_2", "tokens_per_second"} <= set(written[0])


def test_the_prompt_may_come_from_stdin(trained: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"I had\n")))
    assert groundup("generate", trained, "-", *LENGTH).out == groundup("generate", trained, "I had", *LENGTH).out


def test_stop_ends_the_text_before_it(trained: Path, groundup: Run) -> None:
    whole = groundup("generate", trained, "I had", "--json", *LENGTH).json["text"]
    stop = whole[4:6]
    cut = groundup("generate", trained, "I had", "--stop", stop, "--json", *LENGTH).json["text"]
    assert cut == whole[: whole.index(stop)]


def test_an_empty_prompt_begins_at_the_start_token(trained: Path, groundup: Run) -> None:
    assert groundup("generate", trained, "", *LENGTH).status == 0
    assert groundup("generate", trained, *LENGTH).out.startswith("\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--temperature", "-1"], "--temperature is -1"),
        (["--temperature", "nan"], "--temperature is "),
        (["--top-p", "0"], "--top-p is 0"),
        (["--top-k", "-5"], "--top-k is -5: use a whole number of at least 1"),
        (["--min-p", "2"], "--min-p is 2"),
        (["--repetition-penalty", "0"], "--repetition-penalty is 0"),
        (["--strategy", "beam", "--beams", "0"], "--beams is 0"),
        (["--strategy", "beam", "--beams", "2", "--n-best", "3"], "--n-best is 3"),
        (["--strategy", "greedy", "--top-k", "5"], "--top-k does nothing with --strategy greedy"),
        (["--beams", "5"], "--beams does nothing with --strategy sample"),
        (["--compare", "--stop", "x"], "--stop does nothing with --compare"),
        (["--compare", "--strategy", "greedy"], "--strategy does nothing with --compare"),
        (["--compare", "--top-k", "5"], "--top-k does nothing with --compare"),
        (["--strategy", "bem"], "'bem' is not one of"),
    ],
)
def test_a_setting_that_cannot_be_names_its_flag(words: list[str], said: str, trained: Path, groundup: Run) -> None:
    shown = groundup("generate", trained, "I", *words)
    assert (shown.status, shown.out) == (2, "")
    one_line = shown.err.replace(" [CFG_VALUE]", "").replace("\n  where: groundup generate\n  fix:   ", ": ")
    assert said in one_line


def test_a_prompt_that_is_no_text_is_refused(trained: Path, groundup: Run) -> None:
    shown = groundup("generate", trained, b"\xff".decode("utf-8", "surrogateescape"))
    assert shown.status == 2
    assert "[CLI_PROMPT]" in shown.err


def test_a_prompt_longer_than_the_context_is_refused_or_cut(trained: Path, groundup: Run) -> None:
    prompt = "I had always thought Jack Gisburn rather a cheap genius, though a good fellow enough."
    shown = groundup("generate", trained, prompt, *LENGTH)
    assert shown.status == 2
    assert "[CLI_LENGTH]" in shown.err
    assert "16" in shown.err
    cut = groundup("generate", trained, prompt, "--truncate-left", *LENGTH)
    assert cut.status == 0
    assert "only the last 16 are read" in cut.err


def test_a_tokenizer_that_does_not_fit_is_refused(trained: Path, tmp_path: Path, groundup: Run) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    story = tmp_path / "story.txt"
    story.write_text(packaged("the-verdict").train)
    assert groundup("tokenizer", "train", story, "--vocab-size", 305, "--out", copy / "tokenizer").status == 0
    shown = groundup("generate", copy, "I")
    assert shown.status == 2
    assert "[TOK_MATCH]" in shown.err


@pytest.mark.parametrize("kind", ["missing", "file", "empty folder"])
def test_what_is_no_model_is_said_so(kind: str, tmp_path: Path, groundup: Run) -> None:
    path = tmp_path / "x"
    if kind == "file":
        path.write_text("hello")
    if kind == "empty folder":
        path.mkdir()
    shown = groundup("generate", path, "I")
    assert (shown.status, shown.out) == (2, "")
    assert "fix:   give a run directory" in shown.err


def test_own_parts_run_the_model(trained: Path, tmp_path: Path, groundup: Run) -> None:
    folder = tmp_path / "my_llm"
    folder.mkdir()
    (folder / "own.py").write_text("def softmax(x, dim=-1):\n    return (x - x.logsumexp(dim, keepdim=True)).exp()\n")
    plain = groundup("generate", trained, "I had", "--strategy", "greedy", *LENGTH)
    own = groundup("generate", trained, "I had", "--strategy", "greedy", "--parts", folder, *LENGTH)
    assert own.out == plain.out
    assert own.err == "own parts: softmax\n"
    (folder / "own.py").write_text("def softmax(x, dim=-1):\n    return x * 0 + 1 / x.shape[dim]\n")
    wrong = groundup("generate", trained, "I had", "--strategy", "greedy", "--parts", folder, *LENGTH)
    assert wrong.status == 0
