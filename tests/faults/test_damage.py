"""K2 to K8, P15: damage on the disk is found, named and stepped over; a file that is read never runs."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Run
from faults.harness import Heard, Tiny, checkpoint, copy_run, saved_steps, seeded, state_id

from groundup.canonical_json import canonical_json, parse_sealed
from groundup.errors import CheckpointError, GroundupError
from groundup.weights import checkpoint as checkpoint_module
from groundup.weights import load, load_tokenizer, newest_checkpoint
from groundup.weights.checkpoint import save_checkpoint
from groundup.weights.manifest import HASHED, MANIFEST

FILES = [*HASHED, MANIFEST]
CODES = {"CKPT_HASH", "CKPT_SIZE", "CKPT_FORMAT", "CKPT_NAME", "CKPT_VERSION"}


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two checkpoints, without waiting for the disk: a folder of checkpoints."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # power is not what is lost here
    folder = tmp_path / "run" / "checkpoints"
    for step in (1, 2):
        weights = {"wte": torch.full((5, 3), 0.1 * step), "ln_f.weight": torch.full((3,), float(step))}
        moments = {f"m.{name}": tensor / 3 for name, tensor in weights.items()}
        save_checkpoint(folder, step, weights, moments, {"step": step, "lr": 0.1}, "a" * 32, {"torch": "2"})
    return folder


def strike(pair: Path, name: str, content: bytes) -> tuple[int, str]:
    """Put other bytes into the newest checkpoint, load, and put all back: the step that was used, and the warning."""
    newest, heard = pair / "step-000000000002", Heard()
    original = (newest / name).read_bytes()
    (newest / name).write_bytes(content)
    try:
        step = newest_checkpoint(pair, heard).step
        moved = pair.parent / "bad" / newest.name
        if moved.exists():
            assert (moved / name).read_bytes() == content and name in (moved / "reason.txt").read_text()
            (moved / "reason.txt").unlink()
            moved.rename(newest)
    finally:
        if newest.exists():
            (newest / name).write_bytes(original)
    return step, " ".join(heard.warnings)


@pytest.mark.slow
def test_k2_4000_flipped_bits_are_found_named_and_stepped_over(pair: Path) -> None:
    originals = {name: (pair / "step-000000000002" / name).read_bytes() for name in FILES}
    with seeded("K2") as chance:
        for trial in range(4000):
            name = FILES[trial % 4]
            position = chance.randrange(8 * len(originals[name]))
            content = bytearray(originals[name])
            content[position // 8] ^= 1 << position % 8
            step, warning = strike(pair, name, bytes(content))
            assert step == 1, (name, position)
            assert name in warning and "[CKPT_" in warning and "moved to" in warning, (name, position, warning)
            if name != MANIFEST:
                assert "[CKPT_HASH]" in warning, (name, position, warning)
    assert newest_checkpoint(pair, Heard()).step == 2


@pytest.mark.slow
def test_k3_1500_cuts_are_found_named_and_stepped_over(pair: Path) -> None:
    originals = {name: (pair / "step-000000000002" / name).read_bytes() for name in FILES}
    with seeded("K3") as chance:
        for trial in range(1500):
            name = FILES[trial % 4]
            length = 0 if trial < 4 else chance.randrange(len(originals[name]))
            step, warning = strike(pair, name, originals[name][:length])
            assert step == 1, (name, length)
            assert name in warning and "[CKPT_SIZE]" in warning, (name, length, warning)


def test_k3_bytes_that_are_too_many_are_found(pair: Path) -> None:
    for name in FILES:
        original = (pair / "step-000000000002" / name).read_bytes()
        for more in (b"\0", b"\n", original):
            assert strike(pair, name, original + more)[0] == 1, (name, more[:1])


def test_k2_every_bit_of_a_manifest_counts(pair: Path) -> None:
    original = (pair / "step-000000000002" / MANIFEST).read_bytes()
    for position in range(8 * len(original)):
        content = bytearray(original)
        content[position // 8] ^= 1 << position % 8
        assert parse_sealed(bytes(content)) is None, position
    for length in range(len(original)):
        assert parse_sealed(original[:length]) is None, length


def test_k2_teeth_without_the_hash_a_flipped_weight_is_loaded(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_module, "_check_hash", lambda *_: None)
    original = (pair / "step-000000000002" / "model.safetensors").read_bytes()
    content = original[:-1] + bytes([original[-1] ^ 1])
    assert strike(pair, "model.safetensors", content)[0] == 2


def test_k2_teeth_without_its_own_hash_a_changed_manifest_is_believed(
    pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = (pair / "step-000000000002" / MANIFEST).read_bytes()
    content = original.replace(b'"torch":"2"', b'"torch":"3"')
    assert strike(pair, MANIFEST, content)[0] == 1
    monkeypatch.setattr("groundup.weights.manifest.parse_sealed", json.loads)
    assert strike(pair, MANIFEST, content)[0] == 2


@pytest.fixture(scope="module")
def trained(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A run of six steps, all of them kept."""
    run = tmp_path_factory.mktemp("trained") / "run"
    tiny.run(run, "checkpoint.keep=10", steps=6)
    yield run, state_id(run, 6)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "link"])
def test_k2_to_k4_a_damaged_newest_checkpoint_costs_a_step_and_not_the_result(
    tiny: Tiny, trained: tuple[Path, str], tmp_path: Path, name: str, harm: str
) -> None:
    run, heard = copy_run(trained[0], tmp_path / "run", keep=[4, 5]), Heard()
    file = checkpoint(run, 5) / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.unlink()
    if harm == "link":
        file.symlink_to(checkpoint(run, 4) / name)
    elif harm != "remove":
        file.write_bytes(content if harm == "flip" else content[:-7])
    tiny.run(run, "checkpoint.keep=10", steps=6, resume=True, report=heard)
    assert heard.steps == [5, 6]
    assert state_id(run, 6) == trained[1]
    assert (run / "bad" / "step-000000000005" / "reason.txt").exists()
    assert name in heard.warnings[0]
    code = {"cut": "CKPT_SIZE", "remove": "CKPT_MISSING", "link": "CKPT_NAME", "flip": "CKPT_"}[harm]
    assert f"[{code}" in heard.warnings[0]


def test_k4_an_extra_file_is_ignored_and_said(tiny: Tiny, trained: tuple[Path, str], tmp_path: Path) -> None:
    run, heard = copy_run(trained[0], tmp_path / "run", keep=[4, 5]), Heard()
    shutil.copy(checkpoint(run, 4) / "model.safetensors", checkpoint(run, 5) / "model-2.safetensors")
    tiny.run(run, "checkpoint.keep=10", steps=6, resume=True, report=heard)
    assert heard.steps == [6] and state_id(run, 6) == trained[1]
    assert len(heard.warnings) == 1 and "model-2.safetensors" in heard.warnings[0]


def test_k5_a_run_whose_checkpoints_are_all_damaged_does_not_begin_again(
    tiny: Tiny, trained: tuple[Path, str], tmp_path: Path
) -> None:
    run = copy_run(trained[0], tmp_path / "run", keep=[3, 4, 5])
    for step in (3, 4, 5):
        file = checkpoint(run, step) / "optimizer.safetensors"
        file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    before = (run / "status.json").read_bytes()
    for n_lines in (3, 0):  # the second time nothing is left to look at, and still no fresh start
        with pytest.raises(CheckpointError) as caught:
            tiny.run(run, "checkpoint.keep=10", steps=6, resume=True)
        assert (caught.value.code, caught.value.status) == ("CKPT_NONE", 3)
        assert str(caught.value).count("[CKPT_HASH]") == n_lines
    assert saved_steps(run) == []
    assert sorted(path.name for path in (run / "bad").iterdir()) == [f"step-{step:012d}" for step in (3, 4, 5)]
    assert (run / "status.json").read_bytes() == before


def forge(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest and give it a right hash again."""
    manifest = json.loads((path / MANIFEST).read_bytes())
    change(manifest)
    del manifest["self"]
    manifest["self"] = hashlib.sha256(canonical_json(manifest)).hexdigest()
    (path / MANIFEST).write_bytes(canonical_json(manifest))


def test_k6_a_newer_format_stops_and_stays_where_it_is(tiny: Tiny, trained: tuple[Path, str], tmp_path: Path) -> None:
    run = copy_run(trained[0], tmp_path / "run", keep=[4, 5])
    forge(checkpoint(run, 5), lambda manifest: manifest.update(version=99))
    with pytest.raises(CheckpointError, match="written by a newer groundup") as caught:
        tiny.run(run, "checkpoint.keep=10", steps=6, resume=True)
    assert (caught.value.code, caught.value.status) == ("CKPT_VERSION", 3)
    assert saved_steps(run) == [4, 5] and not (run / "bad").exists()


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "..", "state.json\0", "model-2.safetensors"])
def test_k7_a_manifest_that_names_a_file_elsewhere_is_not_followed(
    tiny: Tiny, trained: tuple[Path, str], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, heard = copy_run(trained[0], tmp_path / "run", keep=[4, 5]), Heard()
    (run / "checkpoints" / "x").write_bytes((checkpoint(run, 5) / "state.json").read_bytes())
    forge(checkpoint(run, 5), lambda m: m["files"].update({name: m["files"].pop("state.json")}))
    opened, real = [], os.open
    monkeypatch.setattr(
        os, "open", lambda path, *rest, **more: (opened.append(str(path)), real(path, *rest, **more))[1]
    )
    tiny.run(run, "checkpoint.keep=10", steps=6, resume=True, report=heard)
    assert heard.steps == [5, 6] and state_id(run, 6) == trained[1]
    assert "[CKPT_NAME]" in heard.warnings[0]
    assert not {str(run / "checkpoints" / "x"), "/etc/passwd"} & set(opened)


# --- files that would run -----------------------------------------------------------------------------------------


class Trap:
    """Makes a folder when a pickle of it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.marker),)


def traps(marker: Path, tmp_path: Path) -> list[bytes]:
    """The forms that a pickle comes in: torch's two, and Python's, also behind a safetensors header."""
    contents = [pickle.dumps(Trap(marker), protocol) for protocol in (0, 2, 5)]
    for zipped in (True, False):
        torch.save({"wte": Trap(marker)}, tmp_path / "trap.pt", _use_new_zipfile_serialization=zipped)
        contents.append((tmp_path / "trap.pt").read_bytes())
    return [*contents, (len(contents[0])).to_bytes(8, "little") + contents[0]]


@pytest.mark.parametrize("name", FILES)
def test_k8_a_pickle_in_a_checkpoint_never_runs(
    tiny: Tiny, trained: tuple[Path, str], tmp_path: Path, name: str
) -> None:
    marker = tmp_path / "marker"
    for number, content in enumerate(traps(marker, tmp_path)):
        for forged in (False, True) if name != MANIFEST else (False,):
            run, heard = copy_run(trained[0], tmp_path / f"run-{number}-{forged}", keep=[4, 5]), Heard()
            (checkpoint(run, 5) / name).write_bytes(content)
            if forged:  # as somebody would who wants it to be loaded
                entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                forge(checkpoint(run, 5), lambda m, entry=entry: m["files"][name].update(entry))
            assert newest_checkpoint(run / "checkpoints", heard).step == 4
            if forged or name.endswith("safetensors"):
                assert "[CKPT_FORMAT]" in heard.warnings[0] or "[CKPT_SIZE]" in heard.warnings[0]
            assert not marker.exists()


@pytest.mark.parametrize(
    "name", ["run.json", "config.toml", "metrics.jsonl", "status.json", "tokenizer/tokenizer.json", "lock"]
)
def test_p15_a_pickle_anywhere_in_a_run_never_runs(
    tiny: Tiny, trained: tuple[Path, str], tmp_path: Path, name: str
) -> None:
    marker = tmp_path / "marker"
    for number, content in enumerate(traps(marker, tmp_path)):
        run = copy_run(trained[0], tmp_path / f"run-{number}", keep=[4, 5])
        (run / name).write_bytes(content)
        for act in (
            lambda run=run: tiny.run(run, "checkpoint.keep=10", steps=6, resume=True),
            lambda run=run: load(run),
            lambda run=run: load_tokenizer(run),
        ):
            try:
                act()
            except GroundupError as error:
                assert error.status in (2, 3)
            assert not marker.exists()


@pytest.mark.parametrize("name", ["model.pt", "pytorch_model.bin", "model.ckpt", "model.safetensors"])
def test_p15_a_pickle_given_as_a_model_is_refused_unopened(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "marker"
    for content in traps(marker, tmp_path):
        (tmp_path / name).write_bytes(content)
        for where in (tmp_path / name, tmp_path):
            with pytest.raises(GroundupError) as caught:
                load(where)
            assert caught.value.status in (2, 3)
            assert not marker.exists()


def test_p15_teeth_the_trap_works(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    pickle.loads(traps(marker, tmp_path)[0])  # noqa: S301 -- that it runs is the point
    assert marker.exists()


def test_random_bytes_in_place_of_any_file_are_an_error_of_ours(
    tiny: Tiny, trained: tuple[Path, str], tmp_path: Path
) -> None:
    with seeded("bytes") as chance:
        for number in range(12):
            run = copy_run(trained[0], tmp_path / f"run-{number}", keep=[4, 5])
            files = [path for path in run.rglob("*") if path.is_file()]
            victim = random.Random(chance.random()).choice(files)
            victim.write_bytes(chance.randbytes(chance.randrange(400)))
            try:
                tiny.run(run, "checkpoint.keep=10", steps=6, resume=True)
            except GroundupError as error:
                assert error.code != "BUG", victim


def test_a_hundred_and_fifty_damaged_runs_get_an_answer_of_the_doctor_in_json(
    tiny: Tiny, tmp_path: Path, groundup: Run
) -> None:
    """Each with one to four files damaged, cut, emptied, removed or replaced, or a folder in a file's place."""
    tiny.run(tmp_path / "whole", steps=4)
    for seed in range(150):
        draw, run = random.Random(seed), tmp_path / "run"
        shutil.copytree(tmp_path / "whole", run)
        for _ in range(draw.randint(1, 4)):
            spoil(draw.choice([path for path in sorted(run.rglob("*")) if os.path.lexists(path)]), draw)
        shown = groundup("doctor", run, "--json")
        if shown.status == 2:  # nothing is left that looks like a run
            assert shown.json["error"]["code"] in ("PATH", "PATH_KIND"), seed
        else:
            assert shown.status == (1 if shown.json["sick"] else 0), seed
            assert set(shown.json) == {"run", "sick", "findings"}, seed
        assert "Traceback" not in shown.err, seed
        shutil.rmtree(run)


def spoil(path: Path, draw: random.Random) -> None:
    """Damage one file in some way, or remove a folder."""
    if path.is_dir():
        shutil.rmtree(path)
        if draw.random() < 0.5:
            path.write_bytes(draw.randbytes(50))
        return
    data = bytearray(path.read_bytes())
    match draw.randrange(8):
        case 0 if data:
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        case 1:
            data = data[: draw.randrange(len(data) + 1)]
        case 2:
            data = bytearray(draw.randbytes(draw.randrange(300)))
        case 3:
            data = data.replace(b"1", b"1" * 400, 1)
        case 4:
            data = data.replace(b":", b': -1.7e308, "x": ', draw.randint(1, 3))
        case 5:
            data += draw.choice([b"\0" * 100, b"\xff\xfe", b"{}\n", b"[" * 50_000])
        case 6:
            path.unlink()
            draw.choice([path.mkdir, lambda: path.symlink_to(path), lambda: os.mkfifo(path), lambda: None])()
            return
        case _:
            data = data.replace(b"true", b"null").replace(b"[", b"{", 1)
    path.write_bytes(data)
