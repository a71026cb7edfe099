"""What `groundup learn payoff` and `groundup learn talk` show: what the learner's own parts can do by now."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .terminal import indented, n_columns, say, say_json, styled, table, visible

if TYPE_CHECKING:
    from ..path.payoffs.reversal import Reversal
    from ..path.workspace import Workspace
    from ..training import Parts
    from .main import Session

STATES_OF_OWN = ("own", "edges", "unchecked")


def show_payoff(stage: int, workspace: Workspace, text: Path | None, session: Session, as_json: bool) -> int:
    """What a stage's parts can do."""
    shows: dict[int, Callable[[Workspace, Path | None, Session, bool], int]] = {
        1: show_tokens, 2: show_reversals, 3: show_noise, 4: show_race, 5: show_voices,
    }  # fmt: skip
    return shows[stage](workspace, text, session, as_json)


def last_stage(workspace: Workspace) -> int:
    """The last stage with a part of the learner's own and a payoff; the second where there is none."""
    from ..path.catalog import catalog

    own = [part.stage for name, part in catalog().items() if workspace.state_of(name) in STATES_OF_OWN]
    return min(max([stage for stage in own if stage >= 1], default=2), 5)


def own_parts(workspace: Workspace, session: Session) -> Parts:
    """All parts, the learner's among them; what breaks from here on may be theirs."""
    from ..training import Parts

    parts = Parts.from_folder(workspace.folder)
    session.own_parts = tuple(sorted(parts.own))
    return parts


def functions(workspace: Workspace, session: Session, used: Sequence[str]) -> Callable[[str], Any]:
    """A part by its name, the learner's or a lent one. used: those that are about to run."""
    from ..path.lending import part_of

    session.own_parts = tuple(name for name in used if workspace.text_of_part(name))
    return part_of(str(workspace.folder / "parts.py"))


def say_whose(session: Session) -> None:
    """Which of the functions that are about to run are the learner's."""
    say(_("own parts: {own}; all others are lent").format(own=", ".join(session.own_parts) or _("none")))


def in_one_line(piece: str) -> str:
    """A token's text where a line's end would break the picture."""
    return visible(piece.replace("\n", "↵"))


# --- stage 1 ----------------------------------------------------------------------------------------------------------


def show_tokens(workspace: Workspace, text: Path | None, session: Session, as_json: bool) -> int:
    """The tokenizer on English, Chinese, and a text of one's own."""
    from ..path.payoffs.tokens import MERGES, SENTENCES, USED, first_bytes, learn_to_cut, texts
    from ..text.corpus import read_text

    own_text = {text.name: read_text(text)} if text is not None else {}
    sentences = SENTENCES | {name: first_bytes(whole, 160) for name, whole in own_text.items()}
    parts = functions(workspace, session, USED)
    if as_json:
        cuts = [learn_to_cut(parts, name, whole, sentences) for name, whole in texts(own_text).items()]
        say_json([dataclasses.asdict(cut) for cut in cuts])
        return 0
    say_whose(session)
    names = {"english": _("English"), "chinese": _("Chinese")}
    rows = [[_("learnt from"), *(_("bytes a token: {text}").format(text=names.get(key, key)) for key in sentences)]]
    for name, whole in texts(own_text).items():
        said = names.get(name, name)
        say("\n" + styled(_("{n} merges learnt from: {text}").format(n=MERGES, text=said), sys.stdout, bold=True))
        cut = learn_to_cut(parts, name, whole, sentences)
        say(_("{n} merges in {seconds:.1f} s; the longest tokens: {tokens}").format(
            n=cut.n_merges, seconds=cut.seconds, tokens=" ".join(f"⟨{in_one_line(token)}⟩" for token in cut.longest)
        ))  # fmt: skip
        for pieces in cut.pieces.values():
            say(indented("│".join(map(in_one_line, pieces))))
        if not cut.same:
            say(styled(_("Decoding does not give the sentence back: check bpe_decode."), sys.stdout, fg="red"))
        rows.append([said, *(f"{cut.bytes_per_token[key]:.2f}" for key in sentences)])
    say("\n" + table(rows))
    say(_("A tokenizer has pieces for what it has seen: of another script it is left with single bytes."))
    return 0


# --- stage 2 ----------------------------------------------------------------------------------------------------------


def show_reversals(workspace: Workspace, _text: Path | None, session: Session, as_json: bool) -> int:
    """A model of one layer learns to reverse words, and its twin without a mask."""
    from ..path.payoffs.reversal import learn_to_reverse, twin_of

    parts = own_parts(workspace, session)
    if as_json:
        both = {"yours": learn_to_reverse(parts), "twin": learn_to_reverse(twin_of(parts))}
        told = {name: {"loss": one.loss, "right": one.right} for name, one in both.items()}
        say_json({"own": sorted(parts.own)} | told)
        return 0
    say_whose(session)
    say(_("One layer learns to reverse words of 8 letters: abcdefgh|hgfedcba"))
    for name, chosen in ((_("yours"), parts), (_("its twin without a mask"), twin_of(parts))):
        say("\n" + styled(name, sys.stdout, bold=True))
        began = time.perf_counter()
        result = learn_to_reverse(chosen, note_step)
        show_reversal(result, chosen, time.perf_counter() - began)
    say("\n" + _("The twin's loss is as good: it reads the next character where it stands. A wrong mask trains too."))
    return 0


def note_step(step: int, loss: float) -> None:
    """A line for every fiftieth step."""
    if step % 50 == 0:
        say(_("  step {step}: loss {loss:.4f}").format(step=step, loss=loss))


def show_reversal(result: Reversal, parts: Parts, seconds: float) -> None:
    """How one model did, and where it looks."""
    from ..path.payoffs.reversal import attention_map, drawn

    say(_("loss on the reversed half {loss:.4f}, {seconds:.1f} s").format(loss=result.loss, seconds=seconds))
    say(_("words that it reverses when it has to write: {right:.0%}").format(right=result.right))
    for asked, written in result.words:
        say(f"  {asked} → {written}" + ("" if written == asked[::-1] else f"   ({asked[::-1]})"))
    say(_("what each written character takes from:"))
    for line in drawn(*attention_map(result, parts)):
        say(line)


# --- stage 3 ----------------------------------------------------------------------------------------------------------


def show_noise(workspace: Workspace, _text: Path | None, session: Session, as_json: bool) -> int:
    """GPT-2 at its real size, untrained."""
    from ..path.payoffs.noise import PROMPT, USED, untrained

    parts = functions(workspace, session, USED)
    if as_json:
        say_json(dataclasses.asdict(untrained(parts)))
        return 0
    say_whose(session)
    say(_("GPT-2 at its real size, with random weights, goes on with a prompt:"))
    say(f"\n  {PROMPT}", newline=False)
    noise = untrained(parts, lambda piece: say(visible(piece), newline=False))
    say("\n")
    facts = [
        [_("parameters by your count_parameters"), f"{noise.n_counted:,}"],
        [_("in what your init_gpt made"), f"{noise.n_parameters:,}"],
        [_("in GPT-2"), f"{noise.n_of_gpt2:,}"],
        [_("its loss on the prompt, in nats a token"), f"{noise.loss:.2f}"],
        [_("of pure guessing: ln 50257"), f"{noise.of_guessing:.2f}"],
        [_("seconds"), f"{noise.seconds:.1f}"],
    ]
    say(table(facts))
    say(_("Nothing is missing but learning: it knows no more than somebody who guesses."))
    return 0


# --- stage 4 ----------------------------------------------------------------------------------------------------------


def show_race(workspace: Workspace, _text: Path | None, session: Session, as_json: bool) -> int:
    """`first-gpt` with the learner's parts and with the library's."""
    from ..path.payoffs.race import STEPS, race
    from .view import say_curve, view_for

    parts = own_parts(workspace, session)
    if not as_json:
        say_whose(session)
        say(_("first-gpt trains for {n} steps with your parts, then with the library's.").format(n=STEPS))
    with view_for(session, as_json) as view:
        result = race(workspace.folder, parts, report=view)
    if as_json:
        told = {key: getattr(result, key) for key in ("apart", "same_weights", "speed")}
        say_json(told | {"run_dir": str(result.run_dir), "picture": str(result.picture)})
        return 0
    say_curve(result.yours, result.library)
    if result.same_weights:
        say(_("The two runs are the same, to the last bit of the last weight."))
    else:
        say(_("`·` is the library's line where it is not yours. The losses are never further apart than {apart:.2g}.")
            .format(apart=result.apart))  # fmt: skip
    say(_("Your parts run at {speed:.0%} of the speed of the library's plain ones.").format(speed=result.speed))
    say(_("both curves as a picture: {path}").format(path=result.picture))
    return 0


# --- stage 5 ----------------------------------------------------------------------------------------------------------


def show_voices(workspace: Workspace, _text: Path | None, session: Session, as_json: bool) -> int:
    """One model by each strategy, and the tree of a beam."""
    from ..generation import compare, encode_prompt
    from ..path.payoffs.talk import PROMPT
    from ..path.payoffs.voices import beam_tree, last_model, voices

    parts = own_parts(workspace, session)
    where, model, tokenizer = last_model(workspace.folder, parts)
    written: list[Any] = []
    if not as_json:
        say_whose(session)
    for one in compare(model, tokenizer, PROMPT, voices(), max_tokens=40, parts=parts):
        written.append(one)
        if not as_json:
            say(f"\n{styled(one.name, sys.stdout, bold=True)}")
            say(indented(visible((PROMPT + one.text).strip())))
    tree = beam_tree(model, encode_prompt(model, tokenizer, PROMPT), tokenizer.vocab_size, parts)
    if as_json:
        say_json({"model": str(where), "written": [dataclasses.asdict(one) for one in written],
                  "tree": dataclasses.asdict(tree)})  # fmt: skip
        return 0
    say("\n" + styled(_("every text that a beam of 3 kept alive; the winner in bold"), sys.stdout, bold=True))
    show_tree(tree, lambda token: tokenizer.decode([token]))
    return 0


def show_tree(tree: Any, decode: Callable[[int], str]) -> None:
    """The tree of a beam, a line for each token."""
    from ..path.payoffs.voices import drawn_tree

    for branches, text, node in drawn_tree(tree, decode):
        shown = styled(f"⟨{in_one_line(text)}⟩", sys.stdout, bold=node.best, dim=not node.best)
        say(f"  {branches}{shown} {node.score:.2f}" + (" ←" if node.best and not node.children else ""))


# --- all along --------------------------------------------------------------------------------------------------------


def show_talk(workspace: Workspace, prompt: str, seed: int, session: Session, as_json: bool) -> int:
    """A small trained model writes, and how much of it runs through the learner's code."""
    from ..path.catalog import catalog
    from ..path.payoffs.talk import Multiplications, passed_parts, shipped, talk

    passed = {name for name in catalog() if workspace.state_of(name) == "own"}
    parts = passed_parts(workspace.folder, passed)
    session.own_parts = tuple(sorted(parts.own))
    model, tokenizer = shipped(parts)
    counts = Multiplications()
    pieces: list[str] = []
    if not as_json:
        say(f"\n{styled(visible(prompt), sys.stdout, bold=True)}", newline=False)
    for piece in talk(model, tokenizer, prompt, counts, seed):
        pieces.append(piece)
        if not as_json:
            say(visible(piece), newline=False)
    by_part = {name: n / counts.total for name, n in counts.by_part.most_common()}
    if as_json:
        say_json({"text": prompt + "".join(pieces), "share": counts.share, "by_part": by_part,
                  "own": sorted(parts.own)})  # fmt: skip
        return 0
    say("\n")
    say(_("{share:.0%} of its multiplications now run through your code.").format(share=counts.share))
    longest = max(10, n_columns() - 50)
    for name, share in by_part.items():
        say(f"  {name:32} {share:6.1%} {'█' * round(share * longest)}")
    if not by_part:
        say(_("The first part that passes will be heard here: groundup learn"))
    return 0
