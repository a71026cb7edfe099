"""All parts in one record, and the way in for somebody's own: `Parts.from_folder("my_llm")`.

A learner writes plain functions into plain files. Every top-level function that has the name of a part is taken,
however the files are split; a function that is still a stub (a docstring and nothing else) is lent, and the run says
so. Each file may say `from parts import softmax`: that is the folder's own softmax, or the library's for a stub.

An own function that cannot do what the config asks for is an error that names the key, since silently training
something else would be worse; one for which the config has no place is reported as not used.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import inspect
import sys
import types
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError, GroundupError
from ..generation.parts import GenerationParts
from ..kernels import fuse
from ..model import parts as model_parts
from ..model.attention import single_head_attention
from ..model.parts import Function, ModelParts
from ..model.transformer import count_parameters
from ..text import batches, bpe
from ..weights import convert_gpt2_weights
from .accumulation import accumulate_gradients
from .clipping import clip_gradients
from .config import TrainConfig
from .flat_optimizer import fused_optimizer_step
from .loss import cross_entropy, evaluate_loss, head_loss
from .optimizers import adamw_step, decay_groups, muon_orthogonalize, optimizer_step
from .precision import loss_scale_update, mixed_precision_linear
from .schedule import learning_rate, wsd_learning_rate
from .train_step import train_step


@dataclass(frozen=True)
class TrainingParts(model_parts.Record):
    """The parts that training calls; the defaults are those of this chapter."""

    next_token_windows: Function = batches.next_token_windows
    cross_entropy: Function = cross_entropy
    learning_rate: Function = learning_rate
    wsd_learning_rate: Function = wsd_learning_rate
    clip_gradients: Function = clip_gradients
    decay_groups: Function = decay_groups
    adamw_step: Function = adamw_step
    muon_orthogonalize: Function = muon_orthogonalize
    accumulate_gradients: Function = accumulate_gradients
    loss_scale_update: Function = loss_scale_update
    train_step: Function = train_step
    evaluate_loss: Function = evaluate_loss
    # joints
    head_loss: Function = head_loss
    optimizer_step: Function = optimizer_step


@dataclass(frozen=True)
class Parts(ModelParts, GenerationParts, TrainingParts):
    """Every part of the library in one record: what `Transformer`, `train` and `generate` take as `parts=`.

    `Parts(softmax=mine)` swaps one part; `Parts.from_folder("my_llm")` takes all that a folder holds.
    """

    lent: frozenset[str] = frozenset()  # stubs in the folder, for which the library's own stands in
    folder: str = ""  # where they were read from
    source_sha256: str = ""  # of the folder's own functions, so that a run can say whose they were
    elsewhere: frozenset[str] = field(default=frozenset(), repr=False)  # own parts that no run calls (count_pairs, …)

    @classmethod
    def from_folder(cls, folder: str | Path) -> Parts:
        """The folder's own parts, joined with the library's. Raises ConfigError PARTS when it cannot be read."""
        found = read_folder(Path(folder))
        fields = set(cls.names())
        own = {name: function for name, function in found.functions.items() if name in fields}
        return cls(
            **own,
            lent=frozenset(found.stubs),
            folder=str(folder),
            source_sha256=found.sha256,
            elsewhere=frozenset(found.functions) - fields,
        )

    def fused(self) -> Parts:
        """The record with fused joints, where they cover no own part."""
        fast = fuse(self)
        if self.own & ({"optimizer_step"} | self.covered("optimizer_step")):
            return fast
        return fast.with_functions(optimizer_step=fused_optimizer_step)

    def not_used(self, config: TrainConfig) -> set[str]:
        """The own parts for which this config has no place."""
        return {name for name in self.own if not _has_place(name, config)} | set(self.elsewhere)

    def check(self, config: TrainConfig) -> None:
        """Raise ConfigError PARTS naming every setting that an own part contradicts."""
        problems = list(_contradictions(self, config))
        if problems:
            keys = "; ".join(problems)
            raise ConfigError(
                f"own parts contradict the config: {keys}",
                fix="change the settings named, or leave that part to the library",
                code="PARTS",
            )


# The library's parts that no run calls, but that a learner's folder may hold; the others are fields of Parts.
ELSEWHERE: dict[str, Function] = {
    function.__name__: function
    for function in (
        bpe.count_pairs, bpe.merge_pair, bpe.train_bpe, bpe.bpe_encode, bpe.bpe_decode, bpe.encode_with_specials,
        bpe.pack_documents, batches.random_batch, single_head_attention, count_parameters, mixed_precision_linear,
        convert_gpt2_weights,
    )
}  # fmt: skip


def library_part(name: str) -> Function | None:
    """The library's own function of that name, or None where there is no such part."""
    return Parts.defaults().get(name) or ELSEWHERE.get(name)


# --- reading a folder ---------------------------------------------------------------------------------------------


@dataclass
class Folder:
    """What a folder of parts holds."""

    functions: dict[str, Function]
    stubs: set[str]
    sha256: str


def read_folder(folder: Path) -> Folder:
    """Load every .py file of a folder, and take the functions that have a part's name."""
    if not folder.is_dir():
        raise ConfigError(
            f"{folder} is no folder of parts", fix="name the folder that holds your .py files", code="PATH"
        )
    paths = sorted(path for path in folder.glob("*.py") if path.name != "parts.py")
    where: dict[str, Path] = {}
    stubs: set[str] = set()
    for path in paths:
        for definition in _definitions(path):
            if library_part(definition.name) is None:
                continue
            if definition.name in where:
                raise ConfigError(
                    f"{definition.name} is written twice",
                    where=f"{where[definition.name]} and {path}",
                    fix="keep one of the two",
                    code="PARTS",
                )
            where[definition.name] = path
            if is_stub(definition):
                stubs.add(definition.name)
    with _importable(folder, where, stubs) as modules:
        for path in paths:
            modules.load(path)
    functions = {name: getattr(modules.loaded[path], name) for name, path in where.items() if name not in stubs}
    text = "".join(path.read_text("utf-8") for path in paths)
    return Folder(functions, stubs, hashlib.sha256(text.encode()).hexdigest())


def _definitions(path: Path) -> list[ast.FunctionDef]:
    try:
        tree = ast.parse(path.read_text("utf-8"), filename=str(path))
    except (SyntaxError, ValueError) as error:
        line = f" line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigError(f"{path.name} is not valid Python: {error}", where=f"{path}{line}", code="PARTS") from error
    return [node for node in tree.body if isinstance(node, ast.FunctionDef)]


def is_stub(definition: ast.FunctionDef) -> bool:
    """Whether a function still does nothing: a docstring, `...`, `pass` or `raise NotImplementedError`."""

    def is_empty(statement: ast.stmt) -> bool:
        match statement:
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                return True
            case ast.Raise(exc=ast.Name(id=name) | ast.Call(func=ast.Name(id=name))):
                return name == "NotImplementedError"
            case _:
                return False

    return all(is_empty(statement) for statement in definition.body)


class _Modules:
    """The folder's modules while they are being loaded, and `parts`, through which they find each other."""

    def __init__(self, where: dict[str, Path], stubs: set[str]) -> None:
        self.where, self.stubs = where, stubs
        self.loaded: dict[Path, types.ModuleType] = {}

    def load(self, path: Path) -> types.ModuleType:
        """Run a file once, under its own name so that tracebacks and pickles of its names make sense."""
        if path not in self.loaded:
            spec = importlib.util.spec_from_file_location(f"own_{path.stem}", path)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            self.loaded[path] = module
            try:
                spec.loader.exec_module(module)
            except GroundupError:
                raise
            except BaseException as error:  # somebody's file may fail in any way: say where, and stop
                if isinstance(error, KeyboardInterrupt):
                    raise
                line = next(
                    (f" line {t.tb_lineno}" for t in _frames(error) if t.tb_frame.f_code.co_filename == str(path)), ""
                )
                raise ConfigError(
                    f"{path.name} fails when it is loaded: {type(error).__name__}: {error}",
                    where=f"{path}{line}",
                    fix="run the file by itself and mend it",
                    code="PARTS",
                ) from error
        return self.loaded[path]

    def part(self, name: str) -> Function:
        """What `from parts import name` gives: own, or lent. An own one is found when it is called, not before."""
        library = library_part(name)
        if library is None:
            raise AttributeError(name)
        if name not in self.where or name in self.stubs:
            return library
        path = self.where[name]

        def lazily(*arguments: object, **keywords: object) -> object:
            return getattr(self.load(path), name)(*arguments, **keywords)

        lazily.__name__ = lazily.__qualname__ = name
        return lazily


def _frames(error: BaseException) -> Iterator[types.TracebackType]:
    frame = error.__traceback__
    while frame is not None:
        yield frame
        frame = frame.tb_next


@contextlib.contextmanager
def _importable(folder: Path, where: dict[str, Path], stubs: set[str]) -> Generator[_Modules]:
    """While the block runs, files may `from parts import …` and import their neighbours."""
    modules = _Modules(where, stubs)
    stand_in = types.ModuleType("parts", "The parts of this folder: own where written, otherwise lent.")
    stand_in.__getattr__ = modules.part  # pyright: ignore[reportAttributeAccessIssue] -- PEP 562, set from outside
    before = sys.modules.get("parts")
    sys.modules["parts"] = stand_in
    sys.path.append(str(folder.resolve()))  # last: a file named like a package never hides it
    try:
        yield modules
    finally:
        sys.path.remove(str(folder.resolve()))
        if before is None:
            del sys.modules["parts"]
        else:
            sys.modules["parts"] = before


# --- what a config has a place for --------------------------------------------------------------------------------


def _has_place(name: str, config: TrainConfig) -> bool:
    """Whether a run with this config calls the part."""
    model, training = config.model, config.training
    shares_heads = model.kv_heads != model.n_heads
    places = {
        "embed": model.position in ("learned", "sinusoidal"),
        "sinusoidal_positions": model.position == "sinusoidal",
        "rope": model.position == "rope",
        "layer_norm": model.norm == "layer",
        "rms_norm": model.norm == "rms" or model.qk_norm,
        "gelu": model.feed_forward in ("gelu", "geglu"),
        "feed_forward": model.feed_forward == "gelu",
        "swiglu": model.feed_forward == "swiglu",
        "dropout": model.dropout > 0,
        "causal_mask": model.window is None,
        "sliding_window_mask": model.window is not None,
        "grouped_query_attention": shares_heads,
        "init_gpt": model.is_gpt2,
        "learning_rate": training.schedule == "cosine",
        "wsd_learning_rate": training.schedule == "wsd",
        "muon_orthogonalize": training.optimizer == "muon",
        "loss_scale_update": training.precision == "float16",
        "beam_step": False,  # a run's samples are drawn, not searched
        "beam_search": False,
        "greedy": False,
        "repetition_penalty": False,
        "top_p_filter": False,
        "min_p_filter": False,
    }
    return places.get(name, True)


def _contradictions(parts: Parts, config: TrainConfig) -> Iterator[str]:
    """Each setting that an own composite part cannot follow, as PARTS fixes what that part does."""
    model, training = config.model, config.training
    wanted: dict[str, list[tuple[str, object, object]]] = {
        "multi_head_attention": [
            ("model.n_kv_heads", model.kv_heads, model.n_heads),
            ("model.qk_norm", model.qk_norm, False),
            ("model.window", model.window, None),
        ],
        "transformer_block": [
            ("model.norm", model.norm, "layer"),
            ("model.norm_eps", model.norm_eps or 1e-5, 1e-5),  # what layer_norm takes when it is told nothing
            ("model.feed_forward", model.feed_forward, "gelu"),
        ],
        "gpt_forward": [
            ("model.logit_soft_cap", model.logit_soft_cap, None),
            ("model.embedding_norm", model.embedding_norm, False),
        ],
        "train_step": [
            ("training.optimizer", training.optimizer, "adamw"),
            ("training.weight_decay", training.weight_decay, 0.1),
            ("training.beta1", training.beta1, 0.9),
            ("training.beta2", training.beta2, 0.95),
            ("training.precision", training.precision, "bfloat16" if training.precision == "bfloat16" else "float32"),
            ("training.micro_batch_size", training.micro_batch_size or training.batch_size, training.batch_size),
        ],
    }
    wanted["transformer_block"] += wanted["multi_head_attention"]
    wanted["gpt_forward"] += wanted["transformer_block"]
    for name in wanted.keys() & parts.own:
        for key, value, needed in wanted[name]:
            if value != needed:
                yield f"own {name} needs {key} = {needed!r}, not {value!r}"
        if name == "gpt_forward" and model.position != "learned":
            yield f"own gpt_forward needs model.position = 'learned', not {model.position!r}"
        elif name != "train_step" and model.position == "rope":
            yield f"own {name} has no place for model.position = 'rope'"
        if (
            name != "train_step"
            and model.dropout > 0
            and "dropout" not in inspect.signature(parts.chosen[name]).parameters
        ):
            yield f"own {name} takes no dropout: it needs model.dropout = 0, not {model.dropout}"
