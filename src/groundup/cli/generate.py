"""`groundup generate`: let a trained model write."""

from __future__ import annotations

import sys
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config import raise_problems
from ..errors import ConfigError
from .models import Notes, open_model
from .terminal import argument_text, indented, is_terminal, read_stdin, say, say_json, styled, table, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..generation import Beam, Greedy, Sample
    from ..model import Transformer
    from ..text.tokenizer import Tokenizer

# Which options belong to which strategy; the names are those of the strategies' own settings.
SAMPLE_OPTIONS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
BEAM_OPTIONS = ("beams", "length_penalty", "n_best")
DEFAULT_TEMPERATURE = 0.8


@click.command()
@click.argument("model")
@click.argument("prompt", required=False)
@click.option(
    "--strategy", type=click.Choice(["sample", "greedy", "beam"]), help="How to choose tokens; sample unless given."
)
@click.option("--temperature", type=float, help="Below 1 safer, above 1 bolder, 0 greedy (0.8 unless given).")
@click.option("--top-k", type=int, help="Choose among the so many best tokens.")
@click.option("--top-p", type=float, help="Choose among the best tokens that together reach this probability.")
@click.option("--min-p", type=float, help="Drop tokens less likely than this part of the best one.")
@click.option("--repetition-penalty", type=float, help="Above 1: make tokens that were there already less likely.")
@click.option("--beams", type=int, help="With --strategy beam: how many texts to carry along.")
@click.option("--length-penalty", type=float, help="With --strategy beam: above 0 favours longer texts.")
@click.option("--n-best", type=int, help="With --strategy beam: how many of the texts to show.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed gives another text.")
@click.option("--max-tokens", type=click.IntRange(min=0), default=200, show_default=True, help="Stop after so many.")
@click.option("--stop", multiple=True, metavar="TEXT", help="Stop before this text; may be given several times.")
@click.option("--parts", "folder", type=Path, metavar="DIR", help="Run the model on your own parts.")
@click.option("--compare", "comparing", is_flag=True, help="Show the usual strategies side by side.")
@click.option("--truncate-left", is_flag=True, help="Cut off the beginning of a prompt that is too long.")
@click.option("--raw", is_flag=True, help="Write control characters to the terminal as they are.")
@click.option("--json", "as_json", is_flag=True, help="Write the answer as one line of JSON.")
def generate(model: str, prompt: str | None, strategy: str | None, raw: bool, as_json: bool, **options: Any) -> int:
    """Let a trained model write.

    MODEL is a run directory, one of its checkpoints, or a folder in Hugging Face's layout. PROMPT is what the text
    begins with; "-" reads it from stdin.
    """
    chosen = chosen_strategy(strategy, options)
    prompt = read_stdin() if prompt == "-" else argument_text("\n" if prompt is None else prompt, "the prompt")
    transformer, tokenizer = open_model(model, options["folder"])
    # A pipe gets the text as it is; a terminal would act on what the model wrote.
    shown = visible if is_terminal(sys.stdout) and not raw else str
    if options["comparing"]:
        return run_comparison(transformer, tokenizer, prompt, options=options, as_json=as_json, shown=shown)
    if (options["n_best"] or 1) > 1:
        return run_n_best(
            transformer, tokenizer, prompt, strategy=chosen, options=options, as_json=as_json, shown=shown
        )
    from ..generation import stream_text

    pieces = stream_text(
        transformer,
        tokenizer,
        prompt,
        chosen,
        max_tokens=options["max_tokens"],
        stop=[argument_text(text, "--stop") for text in options["stop"]],
        truncate_left=options["truncate_left"],
        report=Notes(),
    )
    if as_json:
        say_json({"prompt": prompt, "text": "".join(pieces), "strategy": described(chosen)})
        return 0
    say(styled(shown(prompt), sys.stdout, bold=True), newline=False)
    for piece in pieces:
        say(shown(piece), newline=False)
    say()
    return 0


def chosen_strategy(strategy: str | None, options: Mapping[str, Any]) -> Greedy | Sample | Beam:
    """The strategy that the options describe. Raises ConfigError for values out of range and for idle options."""
    from ..generation import Beam, Greedy, Sample

    if options["comparing"]:
        given = {"strategy": strategy} | {name: value or None for name, value in options.items()}
        idle_names = ("strategy", *SAMPLE_OPTIONS, *BEAM_OPTIONS, "stop", "truncate_left")
        refuse_idle(given, idle_names, "--compare, which shows the usual strategies")
    given = {name: value for name, value in options.items() if value is not None}
    try:
        match strategy:
            case "greedy":
                refuse_idle(options, (*SAMPLE_OPTIONS, *BEAM_OPTIONS), "--strategy greedy")
                return Greedy()
            case "beam":
                refuse_idle(options, SAMPLE_OPTIONS, "--strategy beam")
                return Beam(**{name: given[name] for name in BEAM_OPTIONS if name in given})
            case _:
                refuse_idle(options, BEAM_OPTIONS, "--strategy sample", "add --strategy beam, or leave it out")
                settings: dict[str, Any] = {name: given[name] for name in SAMPLE_OPTIONS if name in given}
                settings.setdefault("temperature", DEFAULT_TEMPERATURE)
                return Sample(**settings, seed=options["seed"])
    except ConfigError as error:
        if not error.problems:
            raise
        raise_problems([], [as_flag(problem) for problem in error.problems], where="groundup generate")
        raise


def refuse_idle(options: Mapping[str, Any], names: tuple[str, ...], chosen: str, fix: str = "leave it out") -> None:
    """Raise ConfigError for an option that would do nothing: somebody expects it to do something."""
    for name in names:
        if options[name] is not None:
            flag = f"--{name.replace('_', '-')}"
            what = f"{flag} does nothing with {chosen}"
            raise ConfigError(what, where="groundup generate", fix=fix, code="CLI_USAGE")


def as_flag(problem: str) -> str:
    """A strategy's sentence about one of its settings, with the name of the option: top_k becomes --top-k."""
    name, space, rest = problem.partition(" ")
    return f"--{name.replace('_', '-')}{space}{rest}"


def described(strategy: Greedy | Sample | Beam) -> dict[str, object]:
    """A strategy and its settings, for programs."""
    import dataclasses

    settings = {name: value for name, value in dataclasses.asdict(strategy).items() if name != "filters"}
    return {"name": type(strategy).__name__.lower(), **settings}


def run_n_best(
    model: Transformer,
    tokenizer: Tokenizer,
    prompt: str,
    *,
    strategy: Any,
    options: Mapping[str, Any],
    as_json: bool,
    shown: Callable[[str], str],
) -> int:
    """The best texts of a beam, each with its score."""
    from ..generation import beam_decode, before_stop, encode_prompt

    ids = encode_prompt(model, tokenizer, prompt, truncate_left=options["truncate_left"], report=Notes())
    found = beam_decode(
        model,
        ids,
        strategy,
        max_tokens=options["max_tokens"],
        eos_id=tokenizer.end_of_text,
        vocab_size=tokenizer.vocab_size,
    )
    texts: list[dict[str, Any]] = []
    for new, score in found:
        text = tokenizer.decode(token for token in new if token != tokenizer.end_of_text)
        texts.append({"text": "".join(before_stop([text], options["stop"])), "score": score})
    if as_json:
        say_json({"prompt": prompt, "texts": texts, "strategy": described(strategy)})
        return 0
    for number, found_text in enumerate(texts, start=1):
        title = f"{number}. {_('score')} {found_text['score']:.3f}"
        say(f"{styled(title, sys.stdout, bold=True)}\n{indented(shown(prompt + found_text['text']))}\n")
    return 0


def run_comparison(
    model: Transformer,
    tokenizer: Tokenizer,
    prompt: str,
    *,
    options: Mapping[str, Any],
    as_json: bool,
    shown: Callable[[str], str],
) -> int:
    """Each strategy's text as soon as it is written, and a table of what the texts are like."""
    import dataclasses

    from ..generation import Written, compare

    written: list[Written] = []
    for one in compare(model, tokenizer, prompt, max_tokens=options["max_tokens"], seed=options["seed"]):
        written.append(one)
        if not as_json:
            say(f"{styled(one.name, sys.stdout, bold=True)}\n{indented(shown(prompt + one.text).strip())}\n")
    if as_json:
        say_json({"prompt": prompt, "written": [dataclasses.asdict(one) for one in written]})
        return 0
    head = [
        "",
        _("log-probability a token"),
        _("different tokens"),
        _("different pairs"),
        _("repeated"),
        _("tokens/s"),
    ]
    rows = [
        [
            one.name,
            f"{one.mean_log_prob:.2f}",
            f"{one.distinct_1:.0%}",
            f"{one.distinct_2:.0%}",
            f"{one.repeated_4:.0%}",
            f"{one.tokens_per_second:,.0f}",
        ]
        for one in written
    ]
    say(table([head, *rows]))
    say(_("What the model finds most likely repeats itself; what surprises it is varied. Good text lies between."))
    return 0
