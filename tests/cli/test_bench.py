"""`groundup bench`: small runs; the figures themselves mean nothing here."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from command_line import TINY, Run

from groundup.cli.bench import pages_of
from groundup.cli.benchmark import benchmark, measure
from groundup.text import packaged

SMALL = [word for word in TINY if not word.startswith(("training.steps", "evaluation."))]
SETTINGS = [word for setting in SMALL if setting != "--set" for word in ("--set", setting)]


def test_ways_are_measured_in_turns_and_compared_by_their_medians() -> None:
    order: list[str] = []
    speeds = {"a": iter([1.0, 9.0, 3.0]), "b": iter([1.0, 1.0, 1.5])}

    def way(name: str) -> float:
        order.append(name)
        return next(speeds[name])

    runs = measure({"a": lambda: way("a"), "b": lambda: way("b")}, 3)
    assert order == ["a", "b", "a", "b", "a", "b"]
    found = benchmark({"what": "test"}, runs, {"a_to_b": ("a", "b"), "a_to_c": ("a", "c")})
    assert found.median == {"a": 3.0, "b": 1.0}
    assert found.ratios == {"a_to_b": 3.0}
    assert found.spread == {"a": 2.667, "b": 0.5}


def test_on_a_terminal_one_sees_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("groundup.cli.models.is_terminal", lambda stream: True)
    measure({"a": lambda: 1.0}, 4)
    shown = capsys.readouterr()
    assert shown.err.split("\r") == ["", "  0%", " 25%", " 50%", " 75%", "    ", ""]
    assert shown.out == ""


def test_bench_tokenizer_writes_a_record(tmp_path: Path, groundup: Run) -> None:
    corpus, out = tmp_path / "story.txt", tmp_path / "record.toml"
    corpus.write_text(packaged("the-verdict").train[:2000])
    shown = groundup("bench", "tokenizer", "--corpus", corpus, "--vocab-size", 300, "--out", out)
    assert shown.status == 0, shown.err
    assert "train to readable" in shown.out
    record = tomllib.loads(out.read_text())
    assert record["about"]["what"] == "tokenizer"
    assert len(record["runs"]["train"]) == 3
    assert {"train_to_readable", "encode_to_tokenizers", "encode_bulk_to_tiktoken"} <= set(record["ratios"])
    assert record["ratios"]["encode_warm_to_words_alone"] > 0
    assert {"python", "groundup", "torch"} <= set(record["versions"])
    assert record["machine"]["cores"] >= 1


def test_bench_tokenizer_takes_a_known_vocabulary_and_another_pattern_and_does_without_peers(
    tmp_path: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    corpus = tmp_path / "story.txt"
    corpus.write_text(packaged("the-verdict").train[:2000])
    words = ["--tokenizer", "gpt2", "--pattern", "gpt4", "--vocab-size", 300]
    answer = groundup("bench", "tokenizer", "--corpus", corpus, *words, "--json").json
    assert (answer["about"]["tokenizer"], answer["about"]["pattern"]) == ("gpt2", "gpt4")
    assert {"encode_warm_to_words_alone", "encode_bulk_to_one_thread"} <= set(answer["ratios"])
    assert not any("tokenizers" in name or "tiktoken" in name for name in answer["ratios"])


def test_pages_are_the_text_again() -> None:
    text = packaged("the-verdict").train
    pages = pages_of(text)
    assert "".join(pages) == text
    assert len(pages) > 3 and all(len(page) < 8_000 for page in pages)


def test_bench_decode_compares_with_the_memory(groundup: Run) -> None:
    answer = groundup("bench", "decode", "--preset", "first-gpt", "--tokens", 8, "--json", *SETTINGS).json
    assert set(answer["ratios"]) == {"cached_to_uncached", "eight_texts_to_one", "cached_to_memory_limit"}


def test_bench_train_compares_fast_with_plain(groundup: Run) -> None:
    answer = groundup("bench", "train", "--preset", "first-gpt", "--steps", 3, "--json", *SETTINGS).json
    assert answer["about"]["unit"] == "tokens/s"
    assert answer["ratios"]["fast_to_plain"] > 0


def test_fewer_than_three_runs_are_no_benchmark(groundup: Run) -> None:
    shown = groundup("bench", "decode", "--runs", "2")
    assert shown.status == 2
    assert "--runs" in shown.err


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_corpus_that_cannot_be_read_is_said_so(kind: str, tmp_path: Path, groundup: Run) -> None:
    path = tmp_path if kind == "folder" else tmp_path / "nowhere"
    assert groundup("bench", "tokenizer", "--corpus", path).status == 2
