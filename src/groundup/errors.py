"""One family of errors, each made of three things: what was wrong, where, and what to do about it.

An error is part of the product: the person who reads it is in the middle of something and wants to go on. So every
error carries a sentence that names the fault with the value found, the place it was found in, and the next thing to
try. A short stable code (`CFG_KEY`, `CKPT_HASH`) stands at the end of the first line, in `status.json` and in the
output of `--json`: programs match the code, people read the words.

    error: training.max_lr is -1 [CFG_VALUE]
      where: --set training.max_lr=-1
      fix:   use a number above 0, for example 3e-4

Exit statuses: 2 when the request was wrong, 3 when it was right but could not be done (a damaged file, a full disk).
Only a face (the command line, the server) turns an error into text and a status; the library raises and never prints.
"""

from __future__ import annotations

REQUEST_WRONG = 2
COULD_NOT = 3
INTERRUPTED = 130


class GroundupError(Exception):
    """Something a user can mend. `str(error)` is the whole message, over up to three lines."""

    code = "ERROR"
    status = COULD_NOT

    def __init__(self, what: str, *, where: str = "", fix: str = "", code: str = "", status: int | None = None) -> None:
        what, where, fix = (_encodable(text) for text in (what, where, fix))
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix
        self.code = code or type(self).code
        self.status = type(self).status if status is None else status

    def __str__(self) -> str:
        lines = [f"{self.what} [{self.code}]"]
        lines += [f"  where: {self.where}"] if self.where else []
        lines += [f"  fix:   {self.fix}"] if self.fix else []
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """The error as a program reads it: for `--json` and status.json."""
        return {"code": self.code, "what": self.what, "where": self.where, "fix": self.fix, "status": self.status}


class ConfigError(GroundupError, ValueError):
    """A setting or a flag that cannot be: an unknown key, a value out of range, two that contradict each other."""

    code = "CFG_VALUE"
    status = REQUEST_WRONG
    problems: tuple[str, ...] = ()  # every fault of a config by itself, so that sections can be reported together


class ShapeError(GroundupError, ValueError):
    """A tensor or an id list of a shape that the function cannot take."""

    code = "SHAPE"
    status = REQUEST_WRONG


class DataError(GroundupError):
    """A text or token file that is missing, empty, too short, not text, or damaged."""

    code = "DATA"


class TokenizerError(GroundupError):
    """A tokenizer file that is damaged, or a tokenizer that does not fit its model."""

    code = "TOK"


class WeightsError(GroundupError):
    """Model weights that are missing, of an unknown form, or do not fit their config."""

    code = "WEIGHTS"


class CheckpointError(GroundupError):
    """A checkpoint that failed its check, or none that passes."""

    code = "CKPT"


class StorageError(GroundupError):
    """The disk said no: full, read-only, or failing."""

    code = "DISK"


class BusyError(GroundupError):
    """Somebody else is using it: a run directory in training."""

    code = "RUN_LOCKED"


class DivergedError(GroundupError):
    """A loss, gradient or weight that is no longer a finite number."""

    code = "NUM_LOSS"


class Interrupted(GroundupError):
    """Somebody asked the work to stop, and it stopped where that was safe."""

    code = "INTERRUPTED"
    status = INTERRUPTED


def _encodable(text: str) -> str:
    r"""The text with bytes of a path that are no UTF-8 written out (`\udcff`), so that any file and screen takes it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, the CPU's allocator or the GPU's had no more."""
    texts = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error).lower() for text in texts)
    )


def out_of_memory(error: BaseException, doing: str = "") -> GroundupError:
    """The error for memory that ran out, with what was being done."""
    return GroundupError(
        "there is not enough memory" + (f" ({doing})" if doing else ""),
        where=quoted(next(iter(str(error).splitlines()), "") or type(error).__name__),
        fix="use a smaller training.micro_batch_size, model.context_length or model, or a machine with more memory",
        code="MEM",
    )


def quoted(text: str, limit: int = 200) -> str:
    """User input inside a message: control characters escaped, at most `limit` characters."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
