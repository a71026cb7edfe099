"""`groundup export`: a model in the form that everybody else reads."""

from __future__ import annotations

import sys
from gettext import gettext as _
from pathlib import Path

import click

from .models import open_model
from .terminal import indented, say, say_json, styled, table

LOADING = """\
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained({folder!r})
tokenizer = AutoTokenizer.from_pretrained({folder!r})"""


@click.command()
@click.argument("model")
@click.option("--out", type=Path, required=True, metavar="DIR", help="A new folder for the files.")
@click.option("--json", "as_json", is_flag=True, help="Write the answer as one line of JSON.")
def export(model: str, out: Path, as_json: bool) -> int:
    """Write a model in Hugging Face's layout: config.json, model.safetensors, tokenizer.json.

    MODEL is a run directory, one of its checkpoints, or a folder in that layout. transformers, vLLM and llama.cpp's
    converter read what is written.
    """
    from ..weights import save

    transformer, tokenizer = open_model(model)
    save(transformer, tokenizer, out)
    sizes = {path.name: path.stat().st_size for path in sorted(out.iterdir())}
    if as_json:
        say_json({"out": str(out), "files": sizes})
        return 0
    say(f"{out}:\n{indented(table([[name, f'{size:,}'] for name, size in sizes.items()]))}")
    say(f"\n{styled(_('to load it with transformers:'), sys.stdout, bold=True)}")
    say(indented(LOADING.format(folder=str(out))))
    return 0
