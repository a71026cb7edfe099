"""All parts in one record, and the way in for somebody's own: `Parts.from_folder("my_llm")`.

A learner writes plain functions into plain files; `parts_folder.py` reads them. What is still a stub is lent, and the
run says so.

An own function that cannot do what the config asks for is an error that names the key, since silently training
something else would be worse; one for which the config has no place is reported as not used.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal

from ..backprop.parts import BackpropParts
from ..errors import ConfigError, quoted
from ..generation.parts import GenerationParts
from ..kernels import fuse
from ..model.attention import single_head_attention
from ..model.parts import ModelParts
from ..model.transformer import count_parameters
from ..parts_folder import read_folder
from ..report import Sentence
from ..seam import Function, Record
from ..text import batches, bpe
from ..weights import convert_gpt2_weights
from .accumulation import accumulate_gradients
from .by_hand import adamw_step_by_hand, clip_gradients_by_hand
from .clipping import clip_gradients
from .config import TrainConfig
from .flat_optimizer import fused_optimizer_step
from .loss import cross_entropy, evaluate_loss, head_loss
from .optimizers import adamw_step, decay_groups, muon_orthogonalize, optimizer_step
from .precision import loss_scale_update, mixed_precision_linear
from .schedule import learning_rate, wsd_learning_rate
from .train_step import train_step


@dataclass(frozen=True)
class TrainingParts(Record):
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
class Parts(ModelParts, BackpropParts, GenerationParts, TrainingParts):
    """Every part of the library in one record: what `Transformer`, `train` and `generate` take as `parts=`.

    `Parts(softmax=mine)` swaps one part; `Parts.from_folder("my_llm")` takes all that a folder holds.
    """

    lent: frozenset[str] = frozenset()  # stubs in the folder, for which the library's own stands in
    folder: str = ""  # where they were read from
    source_sha256: str = ""  # of the folder's own functions, so that a run can say whose they were
    elsewhere: frozenset[str] = field(default=frozenset(), repr=False)  # own parts that no run calls (count_pairs, …)
    suspects: tuple[str, ...] = field(default=(), repr=False)  # sentences about what is probably not as it was meant

    @classmethod
    def from_folder(cls, folder: str | Path) -> Parts:
        """The folder's own parts, joined with the library's. Raises ConfigError PARTS when it cannot be used."""
        found = read_folder(Path(folder), cls.defaults() | ELSEWHERE)
        fields = set(cls.names())
        if not (found.functions or found.stubs):
            raise ConfigError(
                "; ".join((f"there is no part in {quoted(str(folder))}", *found.suspects)),
                fix="give a function there the name of a part, or leave --parts out",
                code="PARTS",
            )
        own = {name: function for name, function in found.functions.items() if name in fields}
        return cls(
            **own,
            lent=frozenset(found.stubs),
            folder=str(folder),
            source_sha256=found.sha256,
            elsewhere=frozenset(found.functions) - fields,
            suspects=found.suspects,
        )

    def fused(self) -> Parts:
        """The record with fused joints, where they cover no own part."""
        fast = fuse(self)
        if self.own & ({"optimizer_step"} | self.covered("optimizer_step")):
            return fast
        return fast.with_functions(optimizer_step=fused_optimizer_step)

    def by_hand(self) -> Parts:
        """The record for gradients by hand: NumPy's optimizer, and no own torch part that training would not call."""
        library = {name: function for name, function in self.defaults().items() if name in TORCH_ALONE}
        own_numpy = {"adamw_step": adamw_step_by_hand, "clip_gradients": clip_gradients_by_hand}
        numpy = {name: function for name, function in own_numpy.items() if name not in self.own}
        return fuse(self.with_functions(**library, **numpy))

    def for_training(self, kind: Literal["fast", "plain", "numpy"]) -> Parts:
        """The record that `training.parts` asks for."""
        return {"fast": self.fused, "plain": lambda: self, "numpy": self.by_hand}[kind]()

    def not_used(self, config: TrainConfig) -> set[str]:
        """The own parts for which this config has no place."""
        return {name for name in self.own if not _has_place(name, config)} | set(self.elsewhere)

    def news(self, config: TrainConfig) -> Iterator[str]:
        """What is worth saying before these parts are used with this config: whose they are, and what looks odd."""
        if used := self.own - self.not_used(config):
            yield Sentence("own parts: {names}", names=", ".join(sorted(used)))
        if self.lent:
            yield Sentence("lent parts: {names}", names=", ".join(sorted(self.lent)))
        if idle := self.not_used(config):
            yield Sentence("not used with this config: {names}", names=", ".join(sorted(idle)))
        if config.training.parts != "numpy" and idle & set(BackpropParts.names()):
            yield Sentence("backward passes of your own run with --set training.parts=numpy")
        yield from self.suspects

    def check(self, config: TrainConfig) -> None:
        """Raise ConfigError PARTS naming every setting that an own part contradicts."""
        problems = list(_contradictions(self, config))
        if problems:
            keys = "; ".join(problems)
            raise ConfigError(
                f"parts and config contradict each other: {keys}",
                fix="change the settings named, or leave that part to the library",
                code="PARTS",
            )


# The parts with which torch computes a loss and its gradients: with gradients by hand, no run calls them.
TORCH_ALONE = {*ModelParts.names(), "cross_entropy", "head_loss", "train_step"} - {"init_gpt"}

# The library's parts that no run calls, but that a learner's folder may hold; the others are fields of Parts.
ELSEWHERE: dict[str, Function] = {
    function.__name__: function
    for function in (
        bpe.count_pairs, bpe.merge_pair, bpe.train_bpe, bpe.bpe_encode, bpe.bpe_decode, bpe.encode_with_specials,
        bpe.pack_documents, batches.random_batch, single_head_attention, count_parameters, mixed_precision_linear,
        convert_gpt2_weights,
    )
}  # fmt: skip


# --- what goes wrong in an own part ---------------------------------------------------------------------------------


def fault_of_own_parts(error: BaseException, names: Collection[str]) -> ConfigError:
    """The error to tell of, where something broke while the own parts of these names were at work."""
    what = f"{type(error).__name__}: {quoted(str(error))}"
    if not (places := list(own_places(error.__traceback__))):
        # It came to light outside: a part that takes or gives something else than its callers expect.
        return ConfigError(
            f"with your own {', '.join(sorted(names))} it broke: {what}",
            fix="compare what your part takes and gives (arguments, shapes) with the library's own of that name",
            code="PARTS",
        )
    file, line, function = places[-1]
    is_late_import = isinstance(error, ModuleNotFoundError) and error.name == "parts"
    return ConfigError(
        f"your {function} failed: {what}",
        where=f"{file} line {line}",
        fix="move `from parts import …` to the top of the file"
        if is_late_import
        else "mend that line; --debug shows how the program came there",
        code="PARTS",
    )


def own_places(trace: TracebackType | None) -> Iterator[tuple[str, int, str]]:
    """(file, line, function) of each call of an own function that was under way, the outermost first."""
    while trace is not None:
        code = trace.tb_frame.f_code
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith("own_"):  # as parts_folder.py names the modules
            yield code.co_filename, trace.tb_lineno, code.co_name
        trace = trace.tb_next


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
    if training.parts == "numpy" and name in TORCH_ALONE:
        return False
    if training.parts != "numpy" and name in BackpropParts.names():
        return False
    return places.get(name, True)


def _contradictions(parts: Parts, config: TrainConfig) -> Iterator[str]:
    """Each setting that a composite part cannot follow, as PARTS fixes what that part does."""
    model, training = config.model, config.training
    wanted: dict[str, list[tuple[str, object, object]]] = {
        "multi_head_attention": [
            ("data.documents", config.data.documents, "cross"),
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
            ("data.documents", config.data.documents, "cross"),
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
    if training.parts == "numpy":
        yield from _beyond_numpy(config, wanted["gpt_forward"])
        return
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


def _beyond_numpy(config: TrainConfig, of_gpt: list[tuple[str, object, object]]) -> Iterator[str]:
    """Each setting that gradients by hand have no place for: what `backprop` describes is GPT-2 in NumPy."""
    model, training = config.model, config.training
    wanted = [
        *of_gpt,
        ("model.position", model.position, "learned"),
        ("model.dropout", model.dropout, 0.0),
        ("training.optimizer", training.optimizer, "adamw"),
        ("training.precision", training.precision, "float32"),
        ("training.compile", training.compile, False),
        ("training.device", "cpu" if training.device == "auto" else training.device, "cpu"),
    ]
    for key, value, needed in wanted:
        if value != needed:
            yield f"training.parts = 'numpy' needs {key} = {needed!r}, not {value!r}"
