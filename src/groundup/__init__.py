"""Build a large language model from the ground up, part by part; then use it.

    import groundup as gu

    result = gu.train(gu.load_config("first-gpt"))
    for token in gu.generate(result.model, result.tokenizer.encode("ROMEO:"), gu.Sample(temperature=0.8)): ...

The reading order, from the ground floor to the roof. A module uses only what stands above it in this list, so whoever
reads in this order never meets anything unexplained.

    errors                      what can go wrong, and how it is said
    config                      settings: files, flags, checks
    report                      how a stage tells its news
    files                       writing so that a power cut loses nothing
    strict_json                 JSON without surprises
    canonical_json              JSON that proves itself
    randomness                  a generator of its own for every use
    seam                        how a part gets into a model
    parts_folder                a folder of somebody's own parts
    processes                   what they need to know of each other

    text.bpe                    byte-pair encoding as the book writes it
    text.patterns               where a text may be cut
    text.pieces                 long texts in pieces that encode as the whole
    text.workers                helper processes
    text.piece_counts           which pieces a corpus has, and how often
    text.bpe_training           the same merges, fast
    text.fast_bpe               the same ids, fast
    text.vocabulary             tokens, merges and the alphabet of bytes
    text.tokenizer_json         the file of a tokenizer
    text.tokenizer              text to ids and back
    text.corpus                 texts to learn from
    text.sources                files of any size, piece by piece
    text.encoders               text to ids on several cores
    text.shards                 ids on the disk
    text.shard_writer           what is finished stays finished
    text.prepare                texts to shards
    text.order                  a shuffled order that is not stored
    text.batches                windows as batches
    text.loader                 batches read ahead
    text                        (the chapter)

    model.config                what tells models apart
    model.embedding             a row for each token
    model.position              where a token stands
    model.linear                a weighted sum
    model.dropout               switching features off at random
    model.attention             looking at the tokens before
    model.norm                  keeping activations in hand
    model.feedforward           thinking about each token
    model.block                 attention and feed-forward, added to the stream
    model.transformer           the whole model
    model.memory                what a model weighs
    model.parts                 the chapter's record of parts
    model                       (the chapter)

    backprop.linear             three gradients of a weighted sum
    backprop.attention          how blame finds its way back
    backprop.norm               the backward pass that people get wrong
    backprop.feedforward        through a bend
    backprop.embedding          a row learns from each of its uses
    backprop.block              two plus signs
    backprop.loss               where every gradient begins
    backprop.transformer        from the loss back to every parameter
    backprop.optimizer          a step along them
    backprop.gradient_check     is a backward pass right?
    backprop.parts              the chapter's record of parts
    backprop.trace              the gradient on its way back
    backprop                    (the chapter)

    kernels.gelu                GPT-2's bend
    kernels.linear              fused beside plain
    kernels.attention
    kernels.position
    kernels.norm
    kernels.feedforward
    kernels.loss
    kernels                     (the chapter)

    generation.filters          reshaping the scores of the next token
    generation.decode           the loop that writes
    generation.beam             several texts at once
    generation.parts
    generation.cache            keys and values of the past
    generation.strategies       greedy, sample, beam
    generation.contrastive      likely, and new
    generation.engine           the decoder that everybody uses
    generation.slots            several texts at once
    generation.stream           tokens to text as they come
    generation.compare          strategies side by side
    generation                  (the chapter)

    weights.safetensors_file    reading and writing tensors
    weights.manifest            the hashes of a checkpoint's files
    weights.checkpoint          a training state that survives anything
    weights.gpt2                GPT-2's names and layout
    weights.families            the name maps of the others
    weights.huggingface_config  their configs
    weights.memory              whether it fits
    weights.huggingface         the layout that everybody reads
    weights.load                a model from wherever it is
    weights                     (the chapter)

    evaluation.bits_per_byte    how surprised a model is by a text
    evaluation                  (the chapter)

    training.config             everything that decides a run
    training.loss               how wrong the scores are
    training.schedule           the learning rate, step by step
    training.clipping           no batch may throw the model far
    training.accumulation       a large batch on a small machine
    training.side_by_side       each core takes a part of the batch
    training.precision          fewer bits where they are enough
    training.optimizers         from a gradient to a step
    training.flat_optimizer     the same, fast
    training.train_step         the book's step
    training.by_hand            gradients from the chapter backprop
    training.parts              all parts in one record
    training.data               the texts of a run
    training.memory             whether a run fits
    training.state              all that a resume needs
    training.step               one step
    training.diagnose           where a number first went bad
    training.run_directory      a run's folder
    training.metrics            a line for each step
    training.signals            stopping when asked
    training.loop               step after step
    training.curve              the picture of a run
    training.run                from a config to a trained model
    training                    (the chapter)

    insight.findings            everything that a doctor can say
    insight.evidence            reading what may be damaged
    insight.learning            what the curve tells
    insight.doctor              what ails a run
    insight                     (the chapter)

    path.case                   what a part is called with
    path.deferred               torch, put off until it is used
    path.wire                   values as bytes
    path.stubs                  the functions that some parts are given
    path.observe                everything of a call that can be looked at
    path.reference              a part with its mistakes as switches
    path.units                  (the units, in the order of path.toml)
    path.words                  what is said, in two languages
    path.catalog                the list of parts
    path.lending                the library's version for who has none
    path.child                  the process in which a learner's code runs
    path.sandbox                the judge's end of it
    path.compare                are two results the same?
    path.evidence               the smallest input that shows it
    path.raised                 what an error usually means
    path.diagnose               trying every known mistake
    path.replay                 the first inner value that differs
    path.answer                 a verdict
    path.source                 what a file says before it runs
    path.verdict                is it right, and if not, why?
    path.judge                  whose fault is it?
    path.texts                  the text of a unit
    path.book_adapters          the book's classes as parts
    path.book                   a reader's notebook
    path.workspace              a learner's files
    path.check                  am I right?
    path.payoffs.tokens         your tokenizer cuts two scripts
    path.payoffs.reversal       your attention reverses words
    path.payoffs.noise          your GPT-2 writes noise
    path.payoffs.race           your training beside the library's
    path.payoffs.talk           a small model writes with your parts
    path.payoffs.voices         one model, every way of choosing
    path.payoffs                (what own parts can do)
    path.placement              where to begin
    path.session                a sitting
    path                        (the chapter)

    cli.terminal                words and colours on a screen
    cli.language                English or Chinese
    cli.groups                  commands that help
    cli.main                    the door
    cli.models                  opening a model for a command
    cli.tokenizer               groundup tokenizer
    cli.prepare                 groundup prepare
    cli.view                    the live view of training
    cli.train                   groundup train
    cli.generate                groundup generate
    cli.evaluate                groundup eval
    cli.export                  groundup export
    cli.check                   groundup check
    cli.keys                    single keys
    cli.sitting                 a sitting at the path
    cli.payoff                  groundup learn payoff, talk
    cli.placement               groundup learn placement
    cli.learn                   groundup learn
    cli.doctor                  groundup doctor
    cli.benchmark               the record of a measurement
    cli.bench                   groundup bench
    cli                         (the chapter)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import GroundupError
    from .generation import Beam, Contrastive, Greedy, Sample, generate, generate_batch
    from .model import ModelConfig, Transformer
    from .path import check
    from .text.tokenizer import Tokenizer
    from .training import Parts, TrainConfig, load_config, train
    from .weights import load, load_tokenizer, save

__version__ = "0.1.0"

# Every name is imported when it is first used: `import groundup` itself loads no torch.
_ADDRESSES = {
    "Beam": "generation",
    "Contrastive": "generation",
    "Greedy": "generation",
    "GroundupError": "errors",
    "ModelConfig": "model",
    "Parts": "training",
    "Sample": "generation",
    "Tokenizer": "text.tokenizer",
    "TrainConfig": "training",
    "Transformer": "model",
    "check": "path",
    "generate": "generation",
    "generate_batch": "generation",
    "load": "weights",
    "load_config": "training",
    "load_tokenizer": "weights",
    "save": "weights",
    "train": "training",
}

__all__ = [
    "Beam",
    "Contrastive",
    "Greedy",
    "GroundupError",
    "ModelConfig",
    "Parts",
    "Sample",
    "Tokenizer",
    "TrainConfig",
    "Transformer",
    "check",
    "generate",
    "generate_batch",
    "load",
    "load_config",
    "load_tokenizer",
    "save",
    "train",
]


def __getattr__(name: str) -> object:
    """Import a public name from its chapter when it is asked for."""
    if name not in _ADDRESSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_ADDRESSES[name]}", __name__), name)


def __dir__() -> list[str]:
    """The public names too, whether or not they were used yet."""
    return sorted({*globals(), *__all__})
