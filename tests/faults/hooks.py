"""What makes a child of the fork server slow, poor or unlucky. Each takes the child's log."""

from __future__ import annotations

import resource
import subprocess
import time
from pathlib import Path
from typing import Any

import torch

from groundup.training import loop
from groundup.training import run as run_module
from groundup.weights import checkpoint

LONG = 60.0  # longer than any test waits


def slow_steps(log: Any) -> None:
    """Each step takes a hundredth of a second more."""
    take_step = loop.take_step

    def slowly(*arguments: Any) -> Any:
        time.sleep(0.01)
        return take_step(*arguments)

    loop.take_step = slowly


def slow_tokenizer(log: Any) -> None:
    """The tokenizer takes a second."""
    _slow(log, run_module, "_tokenizer", 1.0)


def slow_model(log: Any) -> None:
    """The model takes for ever: only the deadline ends it, or a check that comes before the first step."""
    _slow(log, run_module, "new_state", 1.0)


def slow_evaluation(log: Any) -> None:
    """Each batch of the held-out text takes a second."""
    bits = loop.held_out_bits

    def slowly(state: Any, ids: Any, tokenizer: Any, check: Any) -> float:
        log.say("slow", "evaluation")
        for _ in range(100):
            time.sleep(0.02)
            check()
        return bits(state, ids, tokenizer, check)

    loop.held_out_bits = slowly


def slow_sample(log: Any) -> None:
    """Each piece of a sample takes a second."""
    stream = loop.stream_text

    def slowly(*arguments: Any, **keywords: Any) -> Any:
        log.say("slow", "sample")
        for piece in stream(*arguments, **keywords):
            time.sleep(0.5)
            yield piece

    loop.stream_text = slowly


def slow_save(log: Any) -> None:
    """The third save hangs in the middle."""
    real = checkpoint.make_manifest

    def slowly(entries: Any, step: int, *rest: Any) -> Any:
        if step == 3:
            log.say("slow", "save")
            _hang()
        return real(entries, step, *rest)

    checkpoint.make_manifest = slowly


def slow_after_save(log: Any) -> None:
    """After the third save the removal of older ones hangs."""
    real = loop.prune

    def slowly(folder: Path, *rest: Any) -> Any:
        if (folder / "step-000000000003").exists():
            log.say("slow", "prune")
            _hang()
        return real(folder, *rest)

    loop.prune = slowly


def little_memory_in_step(log: Any) -> None:
    """In the third step a tensor is asked for that is larger than what the process may have."""
    take_step = loop.take_step

    def hungry(state: Any, *arguments: Any) -> Any:
        if state.step == 2:
            _limit(log, 64 << 20)
            torch.zeros(1 << 28)
        return take_step(state, *arguments)

    loop.take_step = hungry


def little_memory_for_model(log: Any) -> None:
    """There is no memory for the weights: Python's own error this time."""
    new_state = run_module.new_state

    def hungry(*arguments: Any) -> Any:
        _limit(log, 64 << 20)
        return bytearray(1 << 30), new_state(*arguments)

    run_module.new_state = hungry


def _limit(log: Any, n_bytes: int) -> None:
    """Give the process so much more address space than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + n_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    log.say("limit", limit)


def _slow(log: Any, module: Any, name: str, seconds: float) -> None:
    real = getattr(module, name)

    def slowly(*arguments: Any, **keywords: Any) -> Any:
        log.say("slow", name)
        time.sleep(seconds)
        return real(*arguments, **keywords)

    setattr(module, name, slowly)


def _hang() -> None:
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        time.sleep(0.01)


def mounted(log: Any) -> None:
    """A small disk of its own, at log.job["disk"]."""
    _mount(log, f"size={log.job['size']}")


def grown(log: Any) -> None:
    """The same disk, with room again."""
    _mount(log, "remount,size=64m")


def read_only(log: Any) -> None:
    """A disk of its own that takes no writes."""
    _mount(log, f"ro,size={log.job['size']}")


def _mount(log: Any, options: str) -> None:
    checkpoint.SPARE_BYTES = 0  # the reserve would refuse every save on disks as small as these
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", log.job["disk"]], check=True, capture_output=True)
