"""`groundup generate`."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import pytest
from command_line import TINY, Run

from groundup.generation import (
    Beam,
    Contrastive,
    Sample,
    stream_text,
)
from groundup.text import packaged
from groundup.training import Parts
from groundup.weights import load, load_tokenizer

LENGTH = ("--max-tokens", 12)


def test_the_text_is_the_prompt_and_what_the_library_writes(trained: Path, groundup: Run) -> None:
    shown = groundup("generate", trained, "I had", "--temperature", 0.5, "--top-k", 9, "--seed", 3, *LENGTH)
    model, tokenizer = load(trained), load_tokenizer(trained)
    strategy = Sample(temperature=0.5, top_k=9, seed=3)
    assert shown.out == "I had" + "".join(stream_text(model, tokenizer, "I had", strategy, max_tokens=12)) + "\n"
    assert (shown.status, shown.err) == (0, "")


def test_the_same_seed_writes_the_same_and_another_something_else(trained: Path, groundup: Run) -> None:
    texts = [groundup("generate", trained, "I", "--seed", seed, *LENGTH).out for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_json_holds_the_text_without_the_prompt(trained: Path, groundup: Run) -> None:
    plain = groundup("generate", trained, "I had", "--strategy", "greedy", *LENGTH).out
    answer = groundup("generate", trained, "I had", "--strategy", "greedy", "--json", *LENGTH).json
    assert answer["prompt"] + answer["text"] + "\n" == plain
    assert answer["strategy"] == {"name": "greedy"}


def test_a_beam_gives_its_n_best_texts_with_their_scores(trained: Path, groundup: Run) -> None:
    words = ("--strategy", "beam", "--beams", 3, "--n-best", 2, *LENGTH)
    texts = groundup("generate", trained, "I", *words, "--json").json["texts"]
    assert len(texts) == 2
    assert texts[0]["score"] >= texts[1]["score"]
    shown = groundup("generate", trained, "I", *words).out
    assert shown.startswith(f"1. score {texts[0]['score']:.3f}\n")
    best = Beam(beams=3)
    found = "".join(stream_text(load(trained), load_tokenizer(trained), "I", best, max_tokens=12))
    assert texts[0]["text"] == found


def test_contrastive_search_and_typical_sampling_write_what_the_library_writes(trained: Path, groundup: Run) -> None:
    model, tokenizer = load(trained, parts=Parts().fused()), load_tokenizer(trained)
    for words, strategy in (
        (("--strategy", "contrastive", "--alpha", 0.4, "--top-k", 6), Contrastive(alpha=0.4, top_k=6)),
        (("--typical-p", 0.5, "--seed", 2), Sample(temperature=0.8, typical_p=0.5, seed=2)),
    ):
        shown = groundup("generate", trained, "I had", *words, *LENGTH)
        assert shown.out == "I had" + "".join(stream_text(model, tokenizer, "I had", strategy, max_tokens=12)) + "\n"


def test_a_bias_takes_ids_and_texts_that_are_one_token(trained: Path, groundup: Run) -> None:
    tokenizer = load_tokenizer(trained)
    (e,) = tokenizer.encode("e")
    for bias in ("e=1000", f"{e}=1000"):
        assert groundup("generate", trained, "I", "--logit-bias", bias, "--max-tokens", 4).out == "Ieeee\n"
    banned = [word for token in range(300) if token != e for word in ("--logit-bias", f"{token}=-inf")]
    answer = groundup("generate", trained, "I", *banned, "--json", "--max-tokens", 3).json
    assert answer["text"] == "eee"
    assert answer["strategy"]["logit_bias"][str(e - 1)] == float("-inf")


# Many prompts.


def test_every_line_of_a_file_gets_the_text_that_it_gets_alone(trained: Path, tmp_path: Path, groundup: Run) -> None:
    prompts = ["I had", "Mrs. Gis", "It was", "x", "The pic"]
    plain, lines = tmp_path / "prompts.txt", tmp_path / "prompts.jsonl"
    plain.write_text("\n\n".join(prompts) + "\r\n")
    lines.write_text("\n".join(json.dumps(p if i % 2 else {"prompt": p}) for i, p in enumerate(prompts)))
    words = ("--temperature", 0.7, "--seed", 3, *LENGTH)
    alone = [groundup("generate", trained, prompt, *words, "--json").json["text"] for prompt in prompts]
    for path, slots in ((plain, 2), (lines, 8)):
        answer = groundup("generate", trained, "--prompts", path, "--slots", slots, *words, "--json").json
        assert answer["texts"] == [{"prompt": p, "text": text} for p, text in zip(prompts, alone, strict=True)]
    shown = groundup("generate", trained, "--prompts", plain, *words).out
    assert shown.startswith("1.\n  I had")
    stop = alone[0][3:5]
    cut = groundup("generate", trained, "--prompts", plain, *words, "--stop", stop, "--json").json["texts"]
    assert cut[0]["text"] == alone[0][: alone[0].index(stop)]


@pytest.mark.parametrize(
    ("name", "content", "words", "said"),
    [
        ("p.jsonl", '"a"\n{"text": "b"}', [], "line 2 is no prompt"),
        ("p.jsonl", '"a"\n{', [], "line 2 is no prompt"),
        ("p.jsonl", '"a"\n"\\ud800"', [], "[CLI_PROMPT]\n  where: prompt 2"),
        (
            "p.txt",
            "I\n" + "I had always thought Jack Gisburn rather a cheap genius",
            [],
            "[CLI_LENGTH]\n  where: prompt 2",
        ),
        ("p.txt", " \n\n", [], "all its lines are blank [DATA_EMPTY]"),
        ("p.jsonl", "\n", [], "all its lines are blank [DATA_EMPTY]"),
        ("p.txt", "I", ["--slots", "1000000000"], "1<=x<=1024"),
        ("p.txt", "I", ["I had"], "PROMPT does nothing with --prompts"),
        ("p.txt", "I", ["--compare"], "--compare takes one prompt"),
        ("p.txt", "I", ["--strategy", "beam", "--n-best", "2"], "--n-best does nothing with --prompts"),
    ],
)
def test_prompts_that_cannot_be_are_named(
    name: str, content: str, words: list[str], said: str, trained: Path, tmp_path: Path, groundup: Run
) -> None:
    path = tmp_path / name
    path.write_text(content)
    shown = groundup("generate", trained, *words, "--prompts", path)
    assert (shown.status, shown.out) == (2, "")
    assert said in shown.err


def test_compare_shows_every_strategy_and_a_table(trained: Path, groundup: Run) -> None:
    shown = groundup("generate", trained, "I had", "--compare", "--max-tokens", 6).out
    assert shown.startswith("greedy\n  I had")
    rows = [line for line in shown.splitlines() if line.startswith(("greedy ", "beam 4 ", "top-p 0.9 "))]
    assert len(rows) == 3
    written = groundup("generate", trained, "I had", "--compare", "--max-tokens", 6, "--json").json["written"]
    assert written[0]["name"] == "greedy"
    assert {"text", "log_prob", "distinct_2", "tokens_per_second"} <= set(written[0])


def test_the_prompt_may_come_from_stdin(trained: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"I had\n")))
    assert groundup("generate", trained, "-", *LENGTH).out == groundup("generate", trained, "I had", *LENGTH).out


def test_stop_ends_the_text_before_it(trained: Path, groundup: Run) -> None:
    whole = groundup("generate", trained, "I had", "--json", *LENGTH).json["text"]
    stop = whole[4:6]
    cut = groundup("generate", trained, "I had", "--stop", stop, "--json", *LENGTH).json["text"]
    assert cut == whole[: whole.index(stop)]


def test_an_empty_prompt_begins_at_the_start_token(trained: Path, groundup: Run) -> None:
    assert groundup("generate", trained, "", *LENGTH).status == 0
    assert groundup("generate", trained, *LENGTH).out.startswith("\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--temperature", "-1"], "--temperature is -1"),
        (["--temperature", "nan"], "--temperature is "),
        (["--top-p", "0"], "--top-p is 0"),
        (["--top-k", "-5"], "--top-k is -5: use a whole number of at least 1"),
        (["--min-p", "2"], "--min-p is 2"),
        (["--repetition-penalty", "0"], "--repetition-penalty is 0"),
        (["--strategy", "beam", "--beams", "0"], "--beams is 0"),
        (["--strategy", "beam", "--beams", "2", "--n-best", "3"], "--n-best is 3"),
        (["--strategy", "greedy", "--top-k", "5"], "--top-k does nothing with --strategy greedy"),
        (
            ["--strategy", "greedy", "--logit-bias", "5=1"],
            "greedy: leave out --logit-bias, or use --strategy sample with --temperature 0",
        ),
        (["--beams", "5"], "--beams does nothing with --strategy sample: leave out --beams, or use --strategy beam"),
        (
            ["--alpha", "0.5"],
            "--alpha does nothing with --strategy sample: leave out --alpha, or use --strategy contrastive",
        ),
        (["--strategy", "contrastive", "--top-p", "0.5"], "--top-p does nothing with --strategy contrastive"),
        (["--strategy", "contrastive", "--alpha", "2"], "--alpha is 2"),
        (["--strategy", "contrastive", "--top-k", "0"], "--top-k is 0"),
        (["--typical-p", "0"], "--typical-p is 0"),
        (["--logit-bias", "5"], "--logit-bias 5 is not TOKEN=VALUE"),
        (["--logit-bias", "=5"], "--logit-bias =5 is not TOKEN=VALUE"),
        (["--logit-bias", "5=x"], "--logit-bias 5=x is not TOKEN=VALUE"),
        (["--logit-bias", "5=nan"], "--logit-bias of token 5 is nan"),
        (["--logit-bias", "xyz=1"], '--logit-bias: "xyz" is 3 tokens: '),
        (["--logit-bias", "9" * 5000 + "=1"], "--logit-bias names token 9999"),
        (["--logit-bias", "5=1e39"], "--logit-bias of token 5 is 1e+39: use a number, for example 5, of at most 1e+30"),
        (["--strategy", "beam", "--beams", str(2**70)], f"--beams is {2**70}: use a whole number from 1 to 1024"),
        (["--strategy", "beam", "--length-penalty", "1e308"], "--length-penalty is 1e+308: use a number from -10 to"),
        (["--strategy", "beam", "--length-penalty", "-1e308"], "--length-penalty is -1e+308: use a number from -10"),
        (
            ["--strategy", "greedy", "--typical-p", "0.5"],
            "--typical-p does nothing with --strategy greedy: leave out --typical-p, or use --strategy sample",
        ),
        (["--stop", ""], "a --stop text is empty"),
        (["--slots", str(2**70)], "1<=x<=1024"),
        (["--logit-bias", "300=1"], "--logit-bias names token 300: use 0 to 299"),
        (["--slots", "3"], "--slots does nothing with a single prompt"),
        (["--compare", "--alpha", "0.5"], "--alpha does nothing with --compare"),
        (["--compare", "--stop", "x"], "--stop does nothing with --compare"),
        (["--compare", "--strategy", "greedy"], "--strategy does nothing with --compare"),
        (["--compare", "--top-k", "5"], "--top-k does nothing with --compare"),
        (["--strategy", "bem"], "'bem' is not one of"),
    ],
)
def test_a_setting_that_cannot_be_names_its_flag(words: list[str], said: str, trained: Path, groundup: Run) -> None:
    shown = groundup("generate", trained, "I", *words)
    assert (shown.status, shown.out) == (2, "")
    one_line = re.sub(r" \[(CFG_VALUE|CLI_USAGE)\]", "", shown.err).replace(
        "\n  where: groundup generate\n  fix:   ", ": "
    )
    assert said in one_line


def test_a_tokenizer_that_does_not_fit_is_refused(trained: Path, tmp_path: Path, groundup: Run) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    story = tmp_path / "story.txt"
    story.write_text(packaged("the-verdict").train)
    assert (
        groundup("tokenizer", "train", story, "--vocab-size", 305, "--out", copy / "tokenizer", "--force").status == 0
    )
    shown = groundup("generate", copy, "I")
    assert shown.status == 2
    assert "[TOK_MATCH]" in shown.err


@pytest.mark.parametrize("kind", ["missing", "file", "empty folder"])
def test_what_is_no_model_is_said_so(kind: str, tmp_path: Path, groundup: Run) -> None:
    path = tmp_path / "x"
    if kind == "file":
        path.write_text("hello")
    if kind == "empty folder":
        path.mkdir()
    shown = groundup("generate", path, "I")
    assert (shown.status, shown.out) == (2, "")
    assert "fix:   give a run directory" in shown.err


def test_own_parts_run_the_model(trained: Path, tmp_path: Path, groundup: Run) -> None:
    folder = tmp_path / "my_llm"
    folder.mkdir()
    (folder / "own.py").write_text("def softmax(x, dim=-1):\n    return (x - x.logsumexp(dim, keepdim=True)).exp()\n")
    plain = groundup("generate", trained, "I had", "--strategy", "greedy", *LENGTH)
    own = groundup("generate", trained, "I had", "--strategy", "greedy", "--parts", folder, *LENGTH)
    assert own.out == plain.out
    assert own.err == "own parts: softmax\n"
    (folder / "own.py").write_text("def softmax(x, dim=-1):\n    return x * 0 + 1 / x.shape[dim]\n")
    wrong = groundup("generate", trained, "I had", "--strategy", "greedy", "--parts", folder, *LENGTH)
    assert wrong.status == 0


def test_own_parts_are_judged_by_what_generation_uses(trained: Path, tmp_path: Path, groundup: Run) -> None:
    (tmp_path / "own.py").write_text(
        "def greedy(logits):\n    return logits.argmax(-1)\n"
        "def softmax(x, dim=-1):\n    return x.softmax(dim)\n"
        "def learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):\n    return 1.0\n"
        "def count_pairs(ids):\n    return {}\n"
    )
    greedy = groundup("generate", trained, "I", "--strategy", "greedy", "--parts", tmp_path, *LENGTH)
    assert greedy.err == "own parts: greedy, softmax\nown parts that are not used here: count_pairs, learning_rate\n"
    drawn = groundup("generate", trained, "I", "--parts", tmp_path, *LENGTH)
    assert drawn.err == "own parts: softmax\nown parts that are not used here: count_pairs, greedy, learning_rate\n"
    compared = groundup("generate", trained, "I", "--parts", tmp_path, "--compare", "--max-tokens", 2)
    assert compared.err.startswith("own parts: greedy, softmax\n")


def test_a_run_that_was_trained_with_own_parts_says_so_when_they_are_missing(tmp_path: Path, groundup: Run) -> None:
    parts, run = tmp_path / "mine", tmp_path / "run"
    parts.mkdir()
    (parts / "own.py").write_text("def softmax(x, dim=-1):\n    return x.softmax(dim)\n")
    assert groundup("train", "first-gpt", "--run-dir", run, "--parts", parts, *TINY).status == 0
    checkpoint = next((run / "checkpoints").iterdir())
    for where in (run, checkpoint):
        shown = groundup("generate", where, "I", *LENGTH)
        assert (shown.status, shown.err.count("trained with somebody's own parts")) == (0, 1)
    assert "trained with somebody's own parts" in groundup("eval", run).err
    assert "trained with" not in groundup("generate", run, "I", "--parts", parts, *LENGTH).err
