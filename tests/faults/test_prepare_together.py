"""`groundup prepare` beside itself: of several in one folder, one works."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from groundup.text import packaged
from groundup.text.shards import SPLITS, open_shards

COMMAND = [sys.executable, "-m", "groundup"]


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_of_three_jobs_in_one_folder_one_works_and_the_others_say_so(tmp_path: Path) -> None:
    text = tmp_path / "text.jsonl"
    text.write_text("".join(json.dumps({"text": part}) + "\n" for part in packaged("shakespeare").train.split("\n\n")))
    words = [*COMMAND, "prepare", text, "--tokenizer", "gpt2", "--workers", "1", "--shard-tokens", "50000", "--json"]
    subprocess.run([*words, "--out", tmp_path / "alone"], capture_output=True, check=True)
    jobs = [
        subprocess.Popen([*words, "--out", tmp_path / "out"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    told = [job.communicate(timeout=60) for job in jobs]
    statuses = sorted(job.returncode for job in jobs)
    codes = {json.loads(out)["error"]["code"] for (out, _), job in zip(told, jobs, strict=True) if job.returncode}
    # Who comes while another works is told so; who comes after it finds finished shards.
    assert statuses[0] == 0 and set(statuses[1:]) <= {2, 3}
    assert codes <= {"OUT_LOCKED", "OUT_EXISTS"}
    assert not any("Traceback" in err for _, err in told)
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "alone")
    shards = open_shards(tmp_path / "out")
    assert sum(len(shards.entries(split)) for split in SPLITS) > 3
