"""`groundup eval`: how well a model predicts text that it has not seen."""

from __future__ import annotations

from gettext import gettext as _
from pathlib import Path

import click

from ..errors import ConfigError, DataError
from .models import Notes, open_model
from .terminal import say, say_json, table


@click.command()
@click.argument("model")
@click.option(
    "--text", "paths", multiple=True, type=Path, metavar="FILE", help="Measure on this text; may be repeated."
)
@click.option("--json", "as_json", is_flag=True, help="Write the answer as one line of JSON.")
def evaluate(model: str, paths: tuple[Path, ...], as_json: bool) -> int:
    """Measure a model on a text: bits per byte and perplexity.

    MODEL is a run directory, one of its checkpoints, or a folder in Hugging Face's layout. Without --text a run is
    measured on the text that was held out when it was trained.
    """
    from ..evaluation import bits_per_byte, evaluate_text, perplexity
    from ..text.sources import read_documents

    documents = [document for path in paths for document in read_documents(path)] if paths else held_out(Path(model))
    transformer, tokenizer = open_model(model)
    documents = [document for document in documents if len(tokenizer.encode(document)) > 1]
    if not documents:
        raise DataError("no text has two tokens or more", fix="measure on a longer text", code="DATA_SHORT")
    found = [evaluate_text(transformer, tokenizer, document, report=Notes()) for document in documents]
    nats, tokens, n_bytes = (sum(getattr(one, name) for one in found) for name in ("nats", "tokens", "bytes"))
    answer = {
        "bits_per_byte": bits_per_byte(nats, n_bytes),
        "perplexity": perplexity(nats, tokens),
        "tokens": tokens,
        "bytes": n_bytes,
        "documents": len(found),
    }
    if as_json:
        say_json({"model": model, "text": [str(path) for path in paths] or "held out", **answer})
        return 0
    say(
        table(
            [
                [_("bits per byte"), f"{answer['bits_per_byte']:.4f}"],
                [_("perplexity of a token"), f"{answer['perplexity']:.2f}"],
                [_("tokens predicted"), f"{tokens:,}"],
                [_("their bytes"), f"{n_bytes:,}"],
            ]
        )
    )
    return 0


def held_out(model: Path) -> list[str]:
    """The held-out text of a run, given its folder or one of its checkpoints. Raises ConfigError if it is no run."""
    from ..config import build, read_toml
    from ..training import TrainConfig
    from ..training.data import read_texts
    from ..weights import read_model_config

    for folder in (model, model.absolute().parent.parent):
        path = folder / "config.toml"
        if path.is_file():
            return read_texts(build(TrainConfig, read_toml(path), str(path)).data).val
    read_model_config(model)  # where there is no model at all, that is what to say
    raise ConfigError(
        "this is no run, so there is no held-out text",
        where=str(model),
        fix="name a text with --text FILE",
        code="CLI_TEXT",
    )
