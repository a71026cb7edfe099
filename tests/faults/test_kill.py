"""K1, P1, P3, R1, R3, R5: kills, signals and races at random moments; what was saved is there, and goes on exactly."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from faults.harness import (
    MUON,
    ForkServer,
    Tiny,
    command,
    command_environment,
    copy_run,
    job,
    leftovers,
    saved_steps,
    seeded,
    state_id,
    status,
    words,
)

from groundup.report import SILENT
from groundup.weights.checkpoint import newest_checkpoint

STEPS = 12


def wait_until(happened: Any, seconds: float = 60) -> None:
    """Look for an event until it is there."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.001)


def require_saved(run: Path, log: Path) -> int:
    """The newest checkpoint passes its check and is no older than the last one that was reported."""
    reported = max((int(step) for step in words(log, "saved")), default=0)
    found = newest_checkpoint(run / "checkpoints", SILENT).step if saved_steps(run) else 0
    assert found >= reported, f"{reported} was reported as saved, {found} was found"
    return found


@pytest.fixture(scope="module")
def seconds(tiny: Tiny, server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> float:
    """What a child takes from its start to its end here and now: moments for a kill are drawn from it."""
    folder, found = tmp_path_factory.mktemp("seconds"), []
    for trial in range(3):
        start = time.monotonic()
        assert server.run(job(tiny, folder / f"run-{trial}", folder / "log", "checkpoint.keep=1", steps=STEPS)) == [0]
        found.append(time.monotonic() - start)
    return min(max(found), 2.0)


@pytest.fixture(scope="module")
def whole(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The state after an uninterrupted run."""
    run = tmp_path_factory.mktemp("whole") / "run"
    tiny.run(run, steps=STEPS)
    return state_id(run, STEPS)


@pytest.mark.slow
def test_k1_280_kills_at_random_moments_lose_no_checkpoint(
    tiny: Tiny, server: ForkServer, tmp_path: Path, whole: str, seconds: float
) -> None:
    with seeded("K1") as chance:
        number, n_finished, n_found = 0, 0, 0
        for _ in range(280):
            run, log = tmp_path / f"run-{number}", tmp_path / f"log-{number}"
            # keep=1: every save also removes a checkpoint.
            (pid,) = server.start(job(tiny, run, log, "checkpoint.keep=1", steps=STEPS))
            time.sleep(chance.uniform(0.0, seconds))
            os.kill(pid, signal.SIGKILL)  # a zombie until the server has waited for it: the id is still its own
            (ended,) = server.wait()
            assert ended in (0, -9), log.read_text()
            n_found += require_saved(run, log) > 0 if run.exists() else 0
            if ended == 0 or saved_steps(run)[-1:] == [STEPS]:
                assert server.run(job(tiny, run, log, "checkpoint.keep=1", steps=STEPS)) == [0]
                assert state_id(run, STEPS) == whole
                assert leftovers(run) == []
                number, n_finished = number + 1, n_finished + 1
        assert n_finished >= 5 and n_found >= 100, "the kills came too early to mean anything"


@pytest.mark.slow
def test_k1_20_kills_of_the_real_command_lose_no_checkpoint(tiny: Tiny, tmp_path: Path, whole: str) -> None:
    run, n_kills = tmp_path / "run", 0
    with seeded("K1 command") as chance:
        while n_kills < 20:
            before = saved_steps(run)[-1:]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            child = subprocess.Popen(command(tiny, run, steps=STEPS), env=command_environment(), **quiet)
            # Importing torch takes longer than the run: wait for a save of this child, then for a random moment.
            wait_until(
                lambda child=child, run=run, before=before: child.poll() is not None or saved_steps(run)[-1:] > before
            )
            time.sleep(chance.uniform(0, 0.15))
            child.send_signal(signal.SIGKILL)
            n_kills += child.wait() == -signal.SIGKILL
            if saved_steps(run):
                newest = newest_checkpoint(run / "checkpoints", SILENT).step
                assert newest >= (before or [0])[0]
            if saved_steps(run)[-1:] == [STEPS]:
                assert state_id(run, STEPS) == whole
                run = tmp_path / f"run-{n_kills}-{len(list(tmp_path.iterdir()))}"


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), MUON], ids=["adamw", "muon, dropout and micro-batches"])
def test_p3_a_resume_from_every_step_of_40_ends_in_the_same_state(
    tiny: Tiny, tmp_path: Path, more: tuple[str, ...]
) -> None:
    settings = ("checkpoint.keep=100", "evaluation.every=7", *more)
    tiny.run(tmp_path / "whole", *settings, steps=40)
    expected = state_id(tmp_path / "whole", 40)
    assert saved_steps(tmp_path / "whole") == list(range(1, 41))
    for step in range(1, 40, 3 if more else 1):
        run = copy_run(tmp_path / "whole", tmp_path / f"from-{step}", keep=[step])
        tiny.run(run, *settings, "checkpoint.every=40", steps=40, resume=True)
        assert state_id(run, 40) == expected, f"resumed after step {step}"


def test_p3_teeth_a_state_that_forgets_its_moments_ends_elsewhere(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.run(tmp_path / "whole", "checkpoint.keep=100", steps=6)
    run = copy_run(tmp_path / "whole", tmp_path / "run", keep=[3])
    monkeypatch.setattr("groundup.training.flat_optimizer.FlatOptimizer.load", lambda *_: None)
    tiny.run(run, steps=6, resume=True)
    assert state_id(run, 6) != state_id(tmp_path / "whole", 6)


# --- signals ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_r1_40_sigterms_at_random_moments_save_and_go_on_exactly(
    tiny: Tiny, server: ForkServer, tmp_path: Path, whole: str
) -> None:
    seldom = ("checkpoint.every=100", "evaluation.every=3", "evaluation.samples_every=4")
    reference = tmp_path / "reference"
    tiny.run(reference, *seldom, steps=STEPS)
    n_stopped = 0
    with seeded("R1") as chance:
        for trial in range(40):
            run, log = tmp_path / f"run-{trial}", tmp_path / f"log-{trial}"
            (pid,) = server.start(job(tiny, run, log, *seldom, steps=STEPS, hook="faults.hooks:slow_steps"))
            wait_until(lambda log=log: words(log, "phase"))
            wait_until(lambda pid=pid: catches(pid, signal.SIGTERM))
            time.sleep(chance.uniform(0, 0.2))
            os.kill(pid, signal.SIGTERM)
            start = time.monotonic()
            (ended,) = server.wait()
            assert time.monotonic() - start < 10
            assert ended in (0, 130), log.read_text()
            if ended == 130:
                n_stopped += 1
                step = int((words(log, "step") or ["0"])[-1])
                assert (status(run)["state"], status(run)["step"], status(run)["exit_status"]) == (
                    "interrupted",
                    step,
                    130,
                )
                assert status(run)["saved"] == (step > 0)
                assert saved_steps(run) == ([step] if step else [])
            assert server.run(job(tiny, run, log, *seldom, steps=STEPS)) == [0]
            assert state_id(run, STEPS) == state_id(reference, STEPS)
    assert n_stopped >= 20


def catches(pid: int, number: int) -> bool:
    """Whether a process has its handler in place (or is gone)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return True
    state = next(line for line in lines if line.startswith("State:"))
    caught = int(next(line for line in lines if line.startswith("SigCgt:")).split()[1], 16)
    return "Z" in state or bool(caught >> (number - 1) & 1)


@pytest.mark.parametrize(
    ("phase", "hook", "saved"),
    [
        ("tokenizer", "slow_tokenizer", False),
        ("model", "slow_model", False),
        ("evaluation", "slow_evaluation", True),
        ("sample", "slow_sample", True),
    ],
)
def test_r2_a_signal_in_any_phase_is_heeded(
    tiny: Tiny, server: ForkServer, tmp_path: Path, phase: str, hook: str, saved: bool
) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    often = ("evaluation.every=3", "evaluation.samples_every=3", "checkpoint.every=100")
    (pid,) = server.start(job(tiny, run, log, *often, hook=f"faults.hooks:{hook}"))
    wait_until(lambda: words(log, "slow"))
    os.kill(pid, signal.SIGTERM)
    start = time.monotonic()
    assert server.wait() == [130]
    assert time.monotonic() - start < 10
    assert status(run)["saved"] is saved
    if not saved:
        assert "nothing to save yet" in status(run)["error"]["what"]
    tiny.run(tmp_path / "whole", *often)
    assert server.run(job(tiny, run, log, *often)) == [0]
    assert state_id(run, 12) == state_id(tmp_path / "whole", 12)


def test_r2_teeth_an_evaluation_that_is_not_made_up_for_changes_the_state(
    tiny: Tiny, server: ForkServer, tmp_path: Path
) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    often = ("evaluation.every=12", "checkpoint.every=100")
    (pid,) = server.start(job(tiny, run, log, *often, hook="faults.hooks:slow_evaluation"))
    wait_until(lambda: words(log, "slow"))
    os.kill(pid, signal.SIGTERM)
    assert server.wait() == [130]
    tiny.run(tmp_path / "whole", *often)
    assert state_id(run, 12) != state_id(tmp_path / "whole", 12)  # stopped before the measurement
    assert server.run(job(tiny, run, log, *often)) == [0]
    assert state_id(run, 12) == state_id(tmp_path / "whole", 12)


@pytest.mark.parametrize("when", ["slow_save", "slow_after_save"])
def test_r3_a_second_ctrl_c_ends_at_once_and_says_what_is_saved(
    tiny: Tiny, server: ForkServer, tmp_path: Path, when: str
) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    assert server.run(job(tiny, run, log, steps=2)) == [0]
    (pid,) = server.start(job(tiny, run, log, hook=f"faults.hooks:{when}"))
    wait_until(lambda: words(log, "slow"))
    os.kill(pid, signal.SIGINT)
    time.sleep(0.1)
    os.kill(pid, signal.SIGINT)
    start = time.monotonic()
    assert server.wait() == [130]
    assert time.monotonic() - start < 3
    found = status(run)
    assert (found["state"], found["step"], found["exit_status"]) == ("interrupted", 3, 130)
    assert found["saved"] is (when == "slow_after_save")
    assert found["saved_step"] == (3 if when == "slow_after_save" else 2)
    assert newest_checkpoint(run / "checkpoints", SILENT).step == found["saved_step"]
    assert bool(leftovers(run)) is (when == "slow_save")  # the half-written save is still there, and goes at the start
    assert server.run(job(tiny, run, log)) == [0]
    assert leftovers(run) == []


@pytest.mark.slow
@pytest.mark.parametrize("as_json", [True, False])
def test_r3_two_early_ctrl_cs_end_the_command_with_130(tiny: Tiny, tmp_path: Path, as_json: bool) -> None:
    """While torch is being imported there is nothing to save; the answer is the same as later."""
    words = [*command(tiny, tmp_path / "run"), *(["--json"] if as_json else [])]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # Behind a shell's "&" Ctrl-C is switched off, and stays so.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    child = subprocess.Popen(words, env=command_environment(), preexec_fn=heed, **pipes)  # noqa: PLW1509 -- no thread here holds a lock
    wait_until(lambda: catches(child.pid, signal.SIGTERM))
    for _ in range(2):
        child.send_signal(signal.SIGINT)
        time.sleep(0.1)
    out, err = child.communicate(timeout=30)
    assert child.returncode == 130
    if as_json:
        assert json.loads(out)["error"]["code"] == "INTERRUPTED"
    else:
        assert b"[INTERRUPTED]" in err
    assert b"Traceback" not in err


@pytest.mark.slow
def test_r3_with_json_a_second_ctrl_c_still_answers(tiny: Tiny, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = [*command(tiny, run, "checkpoint.every=100000", steps=100000), "--json"]
    child = subprocess.Popen(words, env=command_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    wait_until(
        lambda: (run / "status.json").exists() and status(run)["state"] == "running" and (run / "run.json").exists()
    )
    # Stopped, so that it can act on the first one only when the second one is there too.
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=30)
    assert child.returncode == 130
    answer = json.loads(out)["error"]
    assert (answer["code"], answer["status"]) == ("INTERRUPTED", 130)


# --- two at once --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_r5_of_two_runs_in_one_folder_exactly_one_trains_50_times(
    tiny: Tiny, server: ForkServer, tmp_path: Path
) -> None:
    for trial in range(50):
        run, logs = tmp_path / f"run-{trial}", [tmp_path / f"log-{trial}-{i}" for i in range(2)]
        at = time.time() + 0.05
        jobs = [job(tiny, run, log, steps=6, at=at, hook="faults.hooks:slow_steps") for log in logs]
        pids = server.start(*jobs)
        statuses = server.wait()
        assert sorted(statuses) == [0, 3], [log.read_text() for log in logs]
        winner, loser = (pids[statuses.index(value)] for value in (0, 3))
        (error,) = words(logs[statuses.index(3)], "error")
        assert error.startswith("RUN_LOCKED") and f"(pid {winner} on " in error and " since 20" in error, (error, loser)
        assert words(logs[statuses.index(0)], "step") == [str(step) for step in range(1, 7)]
        assert words(logs[statuses.index(3)], "step") == []


# --- memory -------------------------------------------------------------------------------------------------------


def test_r6_memory_that_runs_out_is_said_with_what_was_done(tiny: Tiny, server: ForkServer, tmp_path: Path) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    assert server.run(job(tiny, run, log, steps=2)) == [0]
    before = state_id(run, 2)
    assert server.run(job(tiny, run, log, steps=6, hook="faults.hooks:little_memory_in_step")) == [3]
    (error,) = words(log, "error")
    assert error.startswith("MEM there is not enough memory (step 3)")
    assert (status(run)["state"], status(run)["error"]["code"]) == ("failed", "MEM")
    assert "micro_batch_size" in status(run)["error"]["fix"] and "context" in status(run)["error"]["fix"]
    assert saved_steps(run)[-1] == 2 and state_id(run, 2) == before
    assert server.run(job(tiny, run, log, steps=6)) == [0]


def test_r6_memory_that_is_not_there_for_the_model_is_said(tiny: Tiny, server: ForkServer, tmp_path: Path) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    assert server.run(job(tiny, run, log, hook="faults.hooks:little_memory_for_model")) == [3]
    (error,) = words(log, "error")
    assert error.startswith("MEM there is not enough memory (preparing")


def test_r6_every_allocators_words_are_understood() -> None:
    import torch

    from groundup.errors import is_out_of_memory

    for error in (
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you"),
    ):
        assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert is_out_of_memory(caught.value)
