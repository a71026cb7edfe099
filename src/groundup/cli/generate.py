"""`groundup generate`: let a trained model write."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ..config import raise_problems
from ..errors import ConfigError, DataError, quoted
from .models import Notes, open_model
from .terminal import (
    MOST_DIGITS,
    argument_text,
    indented,
    is_terminal,
    read_stdin,
    say,
    say_json,
    styled,
    table,
    visible,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..generation import AnyStrategy
    from ..model import Transformer
    from ..text.tokenizer import Tokenizer

# Which options belong to which strategy; the names are those of the strategies' own settings.
SAMPLE_OPTIONS = ("temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "logit_bias")
BEAM_OPTIONS = ("beams", "length_penalty", "n_best")
CONTRASTIVE_OPTIONS = ("alpha", "top_k")
GREEDY_TOO = ("repetition_penalty", "logit_bias")  # what also bends a choice without chance
DEFAULT_TEMPERATURE = 0.8


@click.command()
@click.argument("model")
@click.argument("prompt", required=False)
@click.option(
    "--strategy",
    type=click.Choice(["sample", "greedy", "beam", "contrastive"]),
    help="How to choose tokens; sample unless given.",
)
@click.option("--temperature", type=float, help="Below 1 safer, above 1 bolder, 0 greedy (0.8 unless given).")
@click.option("--top-k", type=int, help="Choose among the so many best tokens (contrastive: 4 unless given).")
@click.option("--top-p", type=float, help="Choose among the best tokens that together reach this probability.")
@click.option("--min-p", type=float, help="Drop tokens less likely than this part, 0 to 1, of the best one.")
@click.option(
    "--typical-p",
    type=float,
    help="Choose among the most typical tokens that reach this probability, 0 to 1 (all unless given).",
)
@click.option(
    "--logit-bias",
    multiple=True,
    metavar="TOKEN=VALUE",
    help="Add to the score of a token (an id, or a text that is one token); -inf rules it out.",
)
@click.option(
    "--alpha", type=float, help="With --strategy contrastive: how much novelty counts, 0 to 1 (0.6 unless given)."
)
@click.option("--repetition-penalty", type=float, help="Above 1: make tokens that were there already less likely.")
@click.option("--beams", type=int, help="With --strategy beam: how many texts to carry along (4 unless given).")
@click.option("--length-penalty", type=float, help="With --strategy beam: above 0 favours long texts (0 unless given).")
@click.option("--n-best", type=int, help="With --strategy beam: how many of the texts to show (1 unless given).")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed gives another text.")
@click.option("--max-tokens", type=click.IntRange(min=0), default=200, show_default=True, help="Stop after so many.")
@click.option(
    "--prompts",
    "prompts",
    type=Path,
    metavar="FILE",
    help='Continue every line of this file, several at once; of a .jsonl file the "prompt" of each line.',
)
@click.option("--slots", type=click.IntRange(1, 1024), help="With --prompts: how many at once (8 unless given).")
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
    options["logit_bias"] = options["logit_bias"] or None
    chosen = chosen_strategy(strategy, options)
    written = prompts_of(prompt, options)
    transformer, tokenizer = open_model(model, options["folder"], called_by(chosen, options["comparing"]))
    chosen = with_bias(chosen, options["logit_bias"] or (), tokenizer)
    # A pipe gets the text as it is; a terminal would act on what the model wrote.
    shown = visible if is_terminal(sys.stdout) and not raw else str
    if options["prompts"]:
        return run_batch(
            transformer, tokenizer, written, strategy=chosen, options=options, as_json=as_json, shown=shown
        )
    (prompt,) = written
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
        stop=stops(options),
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


def prompts_of(prompt: str | None, options: Mapping[str, Any]) -> list[str]:
    """What the texts begin with: the argument, stdin, or the lines of a file."""
    if options["prompts"] is None:
        refuse_idle(options, ("slots",), "a single prompt")
        return [read_stdin() if prompt == "-" else argument_text("\n" if prompt is None else prompt, "the prompt")]
    refuse_idle({"PROMPT": prompt, **options}, ("PROMPT", "n_best"), "--prompts")
    if options["comparing"]:
        raise ConfigError("--compare takes one prompt", where="groundup generate", fix="leave --prompts out")
    return read_prompts(options["prompts"])


def read_prompts(path: Path) -> list[str]:
    """A prompt a line; in a .jsonl file a string, or an object with a "prompt". Raises DataError, naming the line."""
    from ..strict_json import parse_json
    from ..text import read_text

    # Only "\n" ends a line: splitlines would also cut inside a text at U+2028.
    lines = [(number, line) for number, line in enumerate(read_text(path).split("\n"), start=1) if line.strip()]
    if not lines:
        raise DataError(
            "all its lines are blank", where=quoted(str(path)), fix="write prompts into it", code="DATA_EMPTY", status=2
        )
    if path.suffix != ".jsonl":
        return [line.removesuffix("\r") for _, line in lines]
    prompts: list[str] = []
    for number, line in lines:
        try:
            record = parse_json(line.encode())
        except ValueError as error:
            record = error
        match record:
            case str(text) | {"prompt": str(text)}:
                prompts.append(text)
            case _:
                raise DataError(
                    f"line {number:,} is no prompt",
                    where=quoted(str(path)),
                    fix='write a string, or an object such as {"prompt": "…"}, on each line',
                    code="DATA_JSON",
                    status=2,
                )
    return prompts


def stops(options: Mapping[str, Any]) -> list[str]:
    """The texts to stop before."""
    if "" in options["stop"]:
        raise ConfigError("a --stop text is empty", where="groundup generate", fix="leave it out", code="CLI_USAGE")
    return [argument_text(text, "--stop") for text in options["stop"]]


def called_by(chosen: AnyStrategy, comparing: bool) -> set[str]:
    """The parts that the strategies of this command call."""
    from ..generation import parts_called, standard_strategies

    strategies = standard_strategies().values() if comparing else [chosen]
    return {name for strategy in strategies for name in parts_called(strategy)}


def with_bias(chosen: AnyStrategy, biases: tuple[str, ...], tokenizer: Tokenizer) -> AnyStrategy:
    """The strategy with what --logit-bias adds. Raises ConfigError for what is no token or no number."""
    import dataclasses

    from ..generation import Sample

    if not biases or not isinstance(chosen, Sample):
        return chosen
    found: dict[int, float] = {}
    for bias in biases:
        token, equals, value = argument_text(bias, "--logit-bias").rpartition("=")
        number = float_of(value)
        if not equals or not token or number is None:
            refuse_bias(f"--logit-bias {quoted(bias)} is not TOKEN=VALUE", "write for example 42=-5, or ' the=-inf'")
        found[biased_token(token, tokenizer)] = number
    with problems_as_flags():
        return dataclasses.replace(chosen, logit_bias=found)


def biased_token(token: str, tokenizer: Tokenizer) -> int:
    """The id that --logit-bias names, by its number or by its text. Raises ConfigError where it is not one token."""
    if token.isascii() and token.isdecimal():
        # Python reads no number of thousands of digits.
        if len(token) > MOST_DIGITS or int(token) >= tokenizer.vocab_size:
            refuse_bias(f"--logit-bias names token {quoted(token)}", f"use 0 to {tokenizer.vocab_size - 1}")
        return int(token)
    ids = tokenizer.encode(token)
    if len(ids) != 1:
        refuse_bias(
            f'--logit-bias: "{quoted(token)}" is {len(ids)} tokens: {quoted(str(ids)[1:-1])}',
            "bias each of them by its id",
        )
    return ids[0]


def float_of(text: str) -> float | None:
    """The number that a text stands for, if any."""
    try:
        return float(text)
    except ValueError:
        return None


def refuse_bias(what: str, fix: str) -> NoReturn:
    """Raise the ConfigError for a --logit-bias that cannot be."""
    raise ConfigError(what, where="groundup generate", fix=fix)


def chosen_strategy(strategy: str | None, options: Mapping[str, Any]) -> AnyStrategy:
    """The strategy that the options describe. Raises ConfigError for values out of range and for idle options."""
    from ..generation import Beam, Contrastive, Greedy, Sample

    if options["comparing"]:
        given = {"strategy": strategy} | {name: value or None for name, value in options.items()}
        idle_names = ("strategy", *SAMPLE_OPTIONS, *BEAM_OPTIONS, "alpha", "stop", "truncate_left")
        refuse_idle(given, idle_names, "--compare, which shows the usual strategies")
    groups = {"sample": SAMPLE_OPTIONS, "beam": BEAM_OPTIONS, "contrastive": CONTRASTIVE_OPTIONS, "greedy": ()}
    chosen = strategy or "sample"
    for name, group in groups.items():
        for option in (option for option in group if option not in groups[chosen]):
            fix = f"leave out {as_flag(option)}, or use --strategy {name}"
            if chosen == "greedy" and option in GREEDY_TOO:
                fix += " with --temperature 0"
            refuse_idle(options, (option,), f"--strategy {chosen}", fix)
    settings: dict[str, Any] = {"temperature": DEFAULT_TEMPERATURE} if chosen == "sample" else {}
    settings |= {name: options[name] for name in groups[chosen] if options[name] is not None and name != "logit_bias"}
    with problems_as_flags():
        match chosen:
            case "greedy":
                return Greedy()
            case "beam":
                return Beam(**settings)
            case "contrastive":
                return Contrastive(**settings)
            case _:
                return Sample(**settings, seed=options["seed"])


@contextlib.contextmanager
def problems_as_flags() -> Generator[None]:
    """A strategy's faults, told by the names of the options."""
    try:
        yield
    except ConfigError as error:
        if not error.problems:
            raise
        raise_problems([], [as_flag(problem) for problem in error.problems], where="groundup generate")
        raise


def refuse_idle(options: Mapping[str, Any], names: tuple[str, ...], chosen: str, fix: str = "leave it out") -> None:
    """Raise ConfigError for an option that would do nothing: somebody expects it to do something."""
    for name in names:
        if options[name] is not None:
            what = f"{name if name.isupper() else as_flag(name)} does nothing with {chosen}"
            raise ConfigError(what, where="groundup generate", fix=fix, code="CLI_USAGE")


def as_flag(problem: str) -> str:
    """A strategy's setting, or its sentence about one, with the name of the option: top_k becomes --top-k."""
    name, space, rest = problem.partition(" ")
    return f"--{name.replace('_', '-')}{space}{rest}"


def described(strategy: Any) -> dict[str, object]:
    """A strategy and its settings, for programs."""
    import dataclasses

    settings = {name: value for name, value in dataclasses.asdict(strategy).items() if name != "filters"}
    if not settings.get("logit_bias", True):
        del settings["logit_bias"]
    return {"name": type(strategy).__name__.lower(), **settings}


def run_batch(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: list[str],
    *,
    strategy: AnyStrategy,
    options: Mapping[str, Any],
    as_json: bool,
    shown: Callable[[str], str],
) -> int:
    """A text for every prompt, in their order."""
    from ..generation import write_texts

    given = {name: options[name] for name in ("max_tokens", "truncate_left")}
    given |= {"slots": options["slots"]} if options["slots"] else {}
    texts = write_texts(model, tokenizer, prompts, strategy, stop=stops(options), report=Notes(), **given)
    if as_json:
        pairs = [{"prompt": prompt, "text": text} for prompt, text in zip(prompts, texts, strict=True)]
        say_json({"texts": pairs, "strategy": described(strategy)})
        return 0
    for number, (prompt, text) in enumerate(zip(prompts, texts, strict=True), start=1):
        say(f"{styled(f'{number}.', sys.stdout, bold=True)}\n{indented(shown(prompt + text))}\n")
    return 0


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
        texts.append({"text": "".join(before_stop([text], stops(options))), "score": score})
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
    head = ["", _("log-probability a token"), _("different tokens"), _("different pairs"), _("repeated"), _("tokens/s")]
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
