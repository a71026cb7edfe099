"""A process with torch and groundup loaded that forks a child for each job it reads, one line of JSON for a batch.

A job: settings, run, log (a file), and what makes its life hard: `limits` (of setrlimit, by name), `hook` (an
address in text, called in the child with its log before it trains), `at` (a time to begin at). The child trains as
`groundup train --resume` would and ends with its exit status.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import groundup.training.run  # noqa: F401 -- loaded once, here
from groundup.errors import GroundupError, is_out_of_memory
from groundup.report import Report
from groundup.training import load_config, train


class Log(Report):
    """Writes each piece of news to a file with one call of the system."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.descriptor = os.open(job["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def say(self, word: str, what: object = "") -> None:
        os.write(self.descriptor, f"{word} {what}\n".encode())

    def phase(self, name: str) -> None:
        self.say("phase", name)

    def started(self, facts: Mapping[str, object]) -> None:
        self.say("started", facts["step"])

    def step(self, row: Mapping[str, float]) -> None:
        self.say("step", int(row["step"]))

    def saved(self, step: int, path: Path) -> None:
        self.say("saved", step)

    def warn(self, text: str) -> None:
        self.say("warning", text)

    def note(self, text: str) -> None:
        self.say("note", text)


def child(job: dict[str, Any]) -> int:
    """Train, and say how it ended."""
    log = Log(job)
    if job.get("hook"):
        module, _, name = job["hook"].partition(":")
        getattr(importlib.import_module(module), name)(log)
    for name, limit in job.get("limits", {}).items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    if "at" in job:  # several children begin at the same moment
        time.sleep(max(0.0, job["at"] - time.time()))
    try:
        train(load_config("first-gpt", job["settings"]), job["run"], resume=True, report=log)
    except GroundupError as error:
        log.say("error", f"{error.code} {error.what}")
        return error.status
    except BaseException as error:
        log.say("error", f"{'UNMAPPED_MEM' if is_out_of_memory(error) else 'BUG'} {error!r}")
        return 99
    log.say("done")
    return 0


def serve() -> None:
    """Fork, tell the process ids, wait when told to, tell the statuses; until there are no more jobs."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    answer("ready")
    while line := sys.stdin.readline():
        pids = []
        for job in json.loads(line):
            pid = os.fork()
            if pid == 0:
                os.dup2(os.open(os.devnull, os.O_RDWR), 0)
                os.dup2(os.open(os.devnull, os.O_RDWR), 1)
                os._exit(child(job))
            pids.append(pid)
        answer(pids)
        sys.stdin.readline()  # until it is waited for, an ended child keeps its process id: a kill hits no stranger
        statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        answer(statuses)


def answer(value: object) -> None:
    """One line to whoever asked."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
