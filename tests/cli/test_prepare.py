"""`groundup prepare`."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import TINY, Run

from groundup.cli import prepare as module
from groundup.cli.prepare import PrepareBar, progress_line
from groundup.text import Tokenizer, packaged

TEXTS = packaged("the-verdict").train.split("\n\n")
COUNTS = {
    "documents": 12, "text_bytes": 30e6, "tokens": 9e6, "replaced": 0, "bytes": 10e6, "total_bytes": 40e6, "seconds": 10
}  # fmt: skip


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A tokenizer and some texts."""
    Tokenizer.train(TEXTS, 300).save(tmp_path / "tokenizer")
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    return tmp_path


def test_texts_are_prepared_and_trained_on(corpus: Path, groundup: Run) -> None:
    shown = groundup(
        "prepare", corpus / "texts.jsonl", "--tokenizer", corpus / "tokenizer", "--out", corpus / "out", "--workers", 1
    )
    assert shown.status == 0, shown.err
    assert shown.out.count("100%") == 1 and "MB/s" in shown.out and "time left" in shown.out
    assert f"written to {corpus / 'out'}" in shown.out
    command = next(line for line in shown.out.splitlines() if line.startswith("    groundup train "))
    assert "data.train" in command
    assert f"model.vocab_size={Tokenizer.load(corpus / 'tokenizer').vocab_size}" in command
    answer = groundup(
        "train", "first-gpt", "--set", module.setting(str(corpus / "out")), "--run-dir", corpus / "run", "--json", *TINY
    )
    assert answer.status == 0, answer.out
    assert answer.json["step"] == 4
    measured = groundup("eval", corpus / "run", "--json")
    assert measured.status == 0, measured.out


def test_with_json_stdout_is_the_result_alone(corpus: Path, groundup: Run) -> None:
    (corpus / "texts.txt").write_bytes(b"a\xffb c \xfe")
    shown = groundup(
        "prepare", corpus / "texts.txt", "--tokenizer", corpus / "tokenizer", "--out", corpus / "out", "--workers", 0,
        "--bad-bytes", "replace", "--val-fraction", 0, "--json",
    )  # fmt: skip
    answer = shown.json
    assert answer["train"] == {"documents": 1, "tokens": 11, "text_bytes": 11, "shards": 1}
    assert answer["val"]["documents"] == 0
    assert answer["replaced_bytes"] == 2
    assert "MB/s" in shown.err and "no UTF-8" in shown.err


def test_d1_and_d3_are_told_with_their_codes(corpus: Path, groundup: Run) -> None:
    words = ["--tokenizer", corpus / "tokenizer", "--out", corpus / "out", "--workers", 0, "--json"]
    for data, code in ((b"", "DATA_EMPTY"), (b"text \xff\xfe\x80 text", "DATA_UTF8")):
        (corpus / "a.txt").write_bytes(data)
        shown = groundup("prepare", corpus / "a.txt", *words)
        assert shown.status == 3
        assert shown.json["error"]["code"] == code
        if code == "DATA_UTF8":
            assert "offset 5 is 0xff" in shown.json["error"]["what"]


def test_what_is_not_there_is_a_wrong_request(corpus: Path, groundup: Run) -> None:
    for name in (corpus / "nothing.txt", f"{corpus}/*.nothing"):
        shown = groundup("prepare", name, "--tokenizer", corpus / "tokenizer", "--out", corpus / "out", "--json")
        assert (shown.status, shown.json["error"]["code"]) == (2, "PATH")
    shown = groundup("prepare", corpus / "texts.jsonl", "--tokenizer", "nobody", "--out", corpus / "out", "--json")
    assert (shown.status, shown.json["error"]["code"]) == (2, "PATH")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name is a text")
@pytest.mark.parametrize(
    ("name", "is_printed"), [(b"a 'b'", True), ("文件".encode(), True), (b"a\xff", False), (b"a\nb", False)]
)
def test_the_next_command_is_right_or_left_out(name: bytes, is_printed: bool, corpus: Path, groundup: Run) -> None:
    out = corpus / os.fsdecode(name)
    words = ["prepare", corpus / "texts.jsonl", "--tokenizer", corpus / "tokenizer", "--workers", 0, "--out", out]
    shown = groundup(*words)
    assert shown.status == 0, shown.err
    commands = [line for line in shown.out.splitlines() if "groundup train" in line]
    assert bool(commands) == is_printed
    assert ("simpler name" in shown.out) != is_printed
    for command in commands:
        answer = groundup(*shlex.split(command)[1:], "--run-dir", corpus / "run", "--json", *TINY)
        assert answer.status == 0, answer.out


def test_a_shard_has_ten_thousand_tokens_or_more(corpus: Path, groundup: Run) -> None:
    words = ["prepare", corpus / "texts.jsonl", "--tokenizer", corpus / "tokenizer", "--out", corpus / "out"]
    shown = groundup(*words, "--shard-tokens", 9_999)
    assert shown.status == 2 and "--shard-tokens" in shown.err and "10000" in shown.err
    assert not (corpus / "out").exists()


def test_a_full_disk_is_told_with_advice_for_this_command(
    corpus: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groundup.files.shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    words = ["--tokenizer", corpus / "tokenizer", "--out", corpus / "out", "--workers", 0, "--json"]
    error = groundup("prepare", corpus / "texts.jsonl", *words).json["error"]
    assert error["code"] == "DISK_FULL"
    assert "--run-dir" not in error["fix"]


def test_stdin_is_prepared_as_what_the_format_says(
    corpus: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, n_documents in (("text", 1), ("jsonl", len([text for text in TEXTS if text]))):
        stdin = io.TextIOWrapper(io.BytesIO((corpus / "texts.jsonl").read_bytes()))
        monkeypatch.setattr(sys, "stdin", stdin)
        answer = groundup(
            "prepare", "-", "--format", kind, "--tokenizer", corpus / "tokenizer", "--out", corpus / kind,
            "--workers", 0, "--val-fraction", 0, "--json",
        ).json  # fmt: skip
        assert answer["train"]["documents"] == n_documents


def test_leftovers_of_another_job_are_refused(corpus: Path, groundup: Run) -> None:
    words = ["prepare", corpus / "texts.jsonl", "--tokenizer", corpus / "tokenizer", "--out", corpus / "out"]
    assert groundup(*words, "--workers", 0).status == 0
    shown = groundup(*words, "--workers", 0)
    assert shown.status == 2 and "OUT_EXISTS" in shown.err


def test_preparing_does_without_torch_and_the_optional_packages(corpus: Path) -> None:
    code = """
import sys
for name in ("torch", "pyarrow", "zstandard", "fsspec"):
    sys.modules[name] = None
from groundup.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
    words = ["prepare", corpus / "texts.jsonl", "--tokenizer", corpus / "tokenizer", "--out", corpus / "out"]
    shown = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr


def test_the_line_of_progress_tells_rate_and_time_left() -> None:
    assert progress_line(COUNTS) == "25%  12 documents, 9,000,000 tokens  3.0 MB/s  time left 0:30"
    assert progress_line(COUNTS | {"total_bytes": 0, "bytes": 0}).startswith("…  12 documents")


def test_the_bar_on_a_terminal_takes_the_same_news() -> None:
    with PrepareBar() as bar:
        bar.prepared(COUNTS)
        bar.prepared(COUNTS | {"total_bytes": 0, "bytes": 0})
    assert bar.counts["documents"] == 12


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_130_and_the_same_command_goes_on(corpus: Path, number: int) -> None:
    (corpus / "texts.jsonl").write_text((corpus / "texts.jsonl").read_text() * 300)
    command = [
        sys.executable, "-m", "groundup", "prepare", corpus / "texts.jsonl", "--tokenizer", corpus / "tokenizer",
        "--out", corpus / "out", "--shard-tokens", "10000", "--workers", "2", "--json",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not list((corpus / "out").glob("train-*.bin")) and time.monotonic() < end:
        time.sleep(0.02)
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130, err
    assert json.loads(out)["error"]["code"] == "INTERRUPTED"
    assert "Traceback" not in err
    done = len(list((corpus / "out").glob("train-*.bin")))
    assert done and not (corpus / "out" / "index.json").exists()
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(again.stdout)["train"]["shards"] > done
