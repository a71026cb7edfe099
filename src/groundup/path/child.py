"""The process in which a learner's code runs: it is asked with values and answers with values, and judges nothing.

Whatever the code does here, it does to this process alone: the expected results, the comparison and the verdict are
elsewhere. So there is no "passed" that could be forged, and patching `torch.equal` changes nothing.

    server    imports torch once, and forks a child whenever it is asked to (Linux)
    child     is confined, loads the learner's file, and answers call after call
    stand-in  what `import groundup` gives here: its functions may be named, but whoever calls one has not written it

Elsewhere than on Linux there is no safe fork, and each child is a fresh process.

Read next: `sandbox.py`.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import functools
import importlib.abc
import importlib.machinery
import io
import os
import signal
import socket
import sys
import traceback
import types
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ..parts_folder import Modules, functions_in, importable
from ..processes import die_with_parent
from ..seam import Function
from .case import Call
from .deferred import put_off, torch_if_there
from .lending import functions_of
from .observe import message_of, observe, seconds_of
from .reference import noted, taking_notes
from .wire import WireError, pack, read_frame, unpack

CPU_SECONDS = 12
MORE_MEMORY = 1 << 30  # beyond what the process has when it is confined
FILE_BYTES, OPEN_FILES = 16 << 20, 64
PR_SET_CHILD_SUBREAPER = 36


# --- the server -------------------------------------------------------------------------------------------------------


def serve(control_fd: int, parent: int) -> None:
    """Fork a child for each request on the control socket, and say how it ended, until nobody asks any more."""
    die_with_parent(parent)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=control_fd)
    control.sendall(b"r")
    while True:
        word, fds, _flags, _address = socket.recv_fds(control, 1, 3)
        if not word:
            return
        server, child = os.getpid(), os.fork()
        if child == 0:
            control.close()
            die_with_parent(server)
            run_child(*fds)
        for fd in fds:
            os.close(fd)
        control.sendall(child.to_bytes(8, "little"))
        _pid, status = os.waitpid(child, 0)
        _end_strays(child)
        control.sendall(status.to_bytes(8, "little"))


def _end_strays(child: int) -> None:
    """Kill whatever the child has left behind, also what has left its session: orphans become ours."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            for pid in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            os.waitpid(-1, 0)


def serve_once() -> None:
    """A child in a fresh process of its own, where there is no safe fork: its pipes are stdin, stdout and stderr."""
    run_child(0, 1, 2)


# --- the child --------------------------------------------------------------------------------------------------------


def run_child(questions: int, answers: int, output: int) -> None:
    """The whole life of a child; never returns. The three are file descriptors."""
    status = 1
    try:
        asked, told = _settle(questions, answers, output)
        first = read_frame(asked)
        if first is not None:
            nonce, _number, setting = unpack(first)
            _confine(setting["scratch"])
            Child(nonce, asked, told).run(setting)
            status = 0
    except BaseException:
        with contextlib.suppress(BaseException):
            traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
        os._exit(status)


def _settle(questions: int, answers: int, output: int) -> tuple[BinaryIO, BinaryIO]:
    """Put the pipes where learner's code does not stumble over them; nothing to read on stdin, all output in a pipe."""
    asked, told = os.fdopen(os.dup(questions), "rb"), os.fdopen(os.dup(answers), "wb")
    os.dup2(output, 1)
    os.dup2(output, 2)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    if os.name == "posix":
        os.setsid()
        keep = {0, 1, 2, asked.fileno(), told.fileno()}
        for fd in range(3, 256):
            if fd not in keep:
                with contextlib.suppress(OSError):
                    os.close(fd)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 -- for the life of the process
    for name, fd in (("stdout", 1), ("stderr", 2)):
        stream = io.TextIOWrapper(
            os.fdopen(fd, "wb", 0, closefd=False), "utf-8", "backslashreplace", write_through=True
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    faulthandler.enable(2)
    return asked, told


def _confine(scratch: str) -> None:
    """Limits on what the process may use. They stop accidents, and whoever does not try hard: isolation is "basic"."""
    os.chdir(scratch)
    os.environ.clear()
    os.environ |= {"HOME": scratch, "TMPDIR": scratch, "PATH": os.defpath, "OMP_NUM_THREADS": "1"}
    if torch := torch_if_there():
        torch.set_num_threads(1)
    if os.name != "posix":
        return
    import resource

    size = 0
    with contextlib.suppress(OSError):
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for name, value in (
        ("RLIMIT_CPU", CPU_SECONDS),
        ("RLIMIT_FSIZE", FILE_BYTES),
        ("RLIMIT_NOFILE", OPEN_FILES),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_AS", max(size, 1 << 30) + MORE_MEMORY if size else resource.RLIM_INFINITY),
    ):
        with contextlib.suppress(ValueError, OSError):
            limit = getattr(resource, name)
            hard = resource.getrlimit(limit)[1]
            lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(limit, (lowest, lowest))


class Child:
    """Answers the judge's frames. Every answer carries the nonce of the question, so that no other frame passes."""

    def __init__(self, nonce: str, asked: BinaryIO, told: BinaryIO) -> None:
        self.nonce, self.asked, self.told = nonce, asked, told
        self.file = Path()
        self.stand_in = StandIn()

    def run(self, setting: Mapping[str, Any]) -> None:
        """Load the file, then answer questions until there are no more; a last frame says that the end is a clean one.

        A question is a list of calls to be observed, or ("notes", calls) to see what their inner parts were given and
        gave, or ("seconds", call) to have it timed.
        """
        self.file = Path(setting["file"])
        if not setting["torch"]:
            put_off()
        self.stand_in = stand_in_for_groundup()
        part, lent = setting["part"], functions_of(setting["lent"])
        found = [one for path in setting["files"] for one in functions_in(Path(path)).values()]
        own = {definition.name: definition for definition in found if not definition.is_stub}
        if setting["siblings"] == "lent":
            own = {name: definition for name, definition in own.items() if name == part or name not in lent}
        with importable(self.file.parent, own, lent) as modules:
            modules.not_lent = setting["names"]
            modules.after_load = functools.partial(_seat, modules, part, setting["names"])
            function = self._load(modules, part)
            if function is None:
                return
            number = 0
            while (frame := read_frame(self.asked)) is not None:
                _nonce, number, question = unpack(frame)
                self._tell(number, self._answer(function, question))
        self._tell(number + 1, {"end": True})

    def _answer(self, function: Function, question: Any) -> Any:
        match question:
            case [Call(), *_]:
                self.stand_in.called = ""
                with _watching() as names:
                    several = observe(function, question, self._line_of)
                return [seen | {"library": self.stand_in.called, "ready_made": sorted(names)} for seen in several]
            case "notes", [*calls]:
                with taking_notes() as notes:
                    observe(function, calls)
                return [(name, _plain(arguments), _plain(result)) for name, arguments, result in notes]
            case "seconds", Call() as call:
                return seconds_of(function, call)
            case _:
                return None

    def _load(self, modules: Modules, part: str) -> Function | None:
        """The learner's function; None where there is none, which has then been told."""
        try:
            function = getattr(modules.load(self.file), part, None)
        except BaseException as error:
            cause = error.__cause__ or error
            self._tell(0, {
                "loaded": False,
                "error": {
                    "classes": [kind.__name__ for kind in type(cause).__mro__[:-1]],
                    "message": message_of(cause),
                    "line": self._line_of(cause),
                },
            })  # fmt: skip
            return None
        self._tell(0, {"loaded": callable(function), "error": None})
        return function if callable(function) else None

    def _tell(self, number: int, value: Any) -> None:
        try:
            frame = pack(self.nonce, number, value)
        except WireError as error:
            frame = pack(self.nonce, number, {"too_large": str(error)})
        self.told.write(frame)
        self.told.flush()

    def _line_of(self, error: BaseException) -> int:
        """The innermost line of the learner's file at which an error happened."""
        if isinstance(error, SyntaxError) and error.filename == str(self.file):
            return error.lineno or 0
        lines = [
            line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == str(self.file)
        ]
        return lines[-1] if lines else 0


def _seat(modules: Modules, part: str, names: list[str], module: types.ModuleType) -> None:
    """In a file that was loaded, have all parts but the judged one take notes; what is a stub there is own or lent."""
    for name in names:
        function = getattr(module, name, None)
        is_here = name in modules.own and str(modules.own[name].path) == module.__file__
        if not is_here and (name in modules.own or name in modules.library):
            function = modules.part(name)
        if name != part and callable(function):
            setattr(module, name, noted(name, function))


@contextlib.contextmanager
def _watching() -> Generator[set[str]]:
    """The names of torch's functions that are called while the block runs."""
    names: set[str] = set()
    if torch_if_there() is None:
        yield names
        return
    mode = sys.modules["torch.overrides"].TorchFunctionMode

    class Watching(mode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            names.add(getattr(func, "__name__", ""))
            return func(*args, **(kwargs or {}))

    with Watching():
        yield names


def _plain(value: Any) -> Any:
    """Without history, so that it can travel."""
    match value:
        case list() | tuple():
            return [_plain(item) for item in value]
        case _ if hasattr(value, "detach"):
            return value.detach()
        case _:
            return value


# --- what `import groundup` gives -------------------------------------------------------------------------------------


class CallsLibrary(Exception):
    """A learner's code has called the library instead of doing it itself."""


class StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `groundup` and everything in it, as modules of which any name is a function that must not be called."""

    called = ""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """Importlib's question."""
        if fullname.partition(".")[0] != "groundup":
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: Any) -> types.ModuleType:
        """A module that has every name."""
        module = types.ModuleType(spec.name)

        def name_in_it(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)

            def forbidden(*_arguments: Any, **_keywords: Any) -> Any:
                self.called = f"{spec.name}.{name}"
                raise CallsLibrary(self.called)

            forbidden.__name__ = name
            return forbidden

        module.__getattr__ = name_in_it  # pyright: ignore[reportAttributeAccessIssue] -- PEP 562, set from outside
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """There is nothing to run."""


def stand_in_for_groundup() -> StandIn:
    """From here on, whoever imports groundup in this process gets the stand-in."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "groundup"]:
        del sys.modules[name]
    finder = StandIn()
    sys.meta_path.insert(0, finder)
    return finder
