"""The counts of a text that was cut, and shared among processes, are those of the whole."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from groundup.report import Report
from groundup.text import packaged, piece_counts, pieces
from groundup.text.patterns import splitter
from groundup.text.piece_counts import FEW_BATCHES, count_pieces


class Heard(Report):
    def __init__(self) -> None:
        self.n_bytes = list[int]()

    def progress(self, name: str, done: int, total: int) -> None:
        assert name == "counting"
        self.n_bytes.append(done)


@pytest.mark.parametrize("n_workers", [0, 1, 3])
def test_any_number_of_processes_gives_the_same_counts(n_workers: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pieces, "PIECE", 1_000)
    monkeypatch.setattr(piece_counts, "BATCH", 20_000)
    documents = [packaged("the-verdict").train, packaged("chinese").train[:100_000], "", "one"]
    heard = Heard()
    found = count_pieces(iter(documents), "gpt4", n_workers, report=heard)

    assert found.counts == Counter(piece for text in documents for piece in splitter("gpt4")(text))
    assert found.n_bytes == sum(len(text.encode()) for text in documents) == heard.n_bytes[-1]
    assert len(heard.n_bytes) > 3
    assert found.n_dropped == 0


def test_texts_are_asked_for_one_by_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(piece_counts, "BATCH", 1)
    heard = Heard()
    ahead: list[int] = []

    def texts():
        for n in range(20):
            ahead.append(n - len(heard.n_bytes))
            yield "ab"

    count_pieces(texts(), "gpt2", 0, report=heard)
    assert max(ahead) <= FEW_BATCHES + 1


def test_of_too_many_pieces_the_rarest_are_dropped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(piece_counts, "BATCH", 1)
    texts = [f"common {n}" for n in range(1000)]
    found = count_pieces(texts, "gpt2", 0, max_pieces=100)
    assert found.counts["common"] == 1000
    assert len(found.counts) <= 100
    assert found.n_dropped == 1001 - len(found.counts)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the memory of a family is Linux's to tell")
def test_a_long_text_and_two_helpers_need_less_than_110_mb(tmp_path: Path):
    (tmp_path / "text.txt").write_text(packaged("shakespeare").train * 30)
    script = Path(__file__).parents[2] / "benchmarks" / "tokenizer_speed.py"
    command = [sys.executable, script, tmp_path / "text.txt", "--measure", "2"]
    shown = subprocess.run(command, capture_output=True, check=True)
    assert json.loads(shown.stdout)["MB"] < 110  # 87 here; 139 with parts four times as large
