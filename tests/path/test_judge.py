"""The verdict on a file: whose fault it is, what was lent, what is worth saying of a part that is right."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from command_line import Run

from groundup.path.answer import Answer
from groundup.path.catalog import catalog
from groundup.path.check import check_file, check_function, opened
from groundup.path.diagnose import Suspects, diagnose
from groundup.path.observe import observe
from groundup.path.sandbox import Courtroom
from groundup.training.loss import cross_entropy

FIELDS = {
    "part", "passed", "core", "outcome", "mistakes", "remarks", "lent", "cases", "failed", "isolation", "seconds",
    "version",
}  # fmt: skip
SOFTMAX = (
    "def softmax(x, dim=-1):\n    top = x.detach().amax(dim, keepdim=True)\n"
    "    e = (x - top.masked_fill(top == -math.inf, 0)).exp()\n"
    "    return e / e.sum(dim, keepdim=True).clamp_min(1e-30)\n"
)
WEIGHTS = (
    "def attention_weights(q, k, mask=None):\n    s = q @ k.mT / math.sqrt(q.shape[-1])\n"
    "    if mask is not None:\n        s = s.masked_fill(~mask, -math.inf)\n    return softmax(s, -1)\n"
)
HEAD = "import math\nimport torch\n\n\n"


@pytest.fixture(scope="module")
def room() -> Iterator[Courtroom]:
    with opened(torch=True) as room:
        yield room


@pytest.fixture
def judged(tmp_path: Path, room: Courtroom):
    def judge(part: str, *pieces: str) -> Answer:
        file = tmp_path / "attention.py"
        file.write_text(HEAD + "\n\n".join(pieces))
        return check_file(part, file, seed=3, courtroom=room)

    return judge


def test_a_part_with_right_siblings_of_its_own_passes(judged) -> None:
    answer = judged("attention_weights", SOFTMAX, WEIGHTS)
    assert answer.passed
    assert answer.lent == ()


def test_a_sibling_that_is_wrong_is_blamed_and_its_mistake_named(judged) -> None:
    answer = judged("attention_weights", SOFTMAX.replace("e / e", "e * 1 + 0 * e"), WEIGHTS)
    assert not answer.passed
    assert answer.mistakes[0].what == "your attention_weights is right; your softmax is not"
    assert [mistake.id for mistake in answer.mistakes[1:]] == ["softmax-not-divided"]


def test_a_part_that_is_wrong_itself_is_not_excused_by_its_siblings(judged) -> None:
    answer = judged("attention_weights", SOFTMAX, WEIGHTS.replace("~mask", "mask"))
    assert [mistake.id for mistake in answer.mistakes] == ["attention_weights-mask-inverted"]
    assert answer.mistakes[0].sure


def test_a_stub_is_lent_and_said_to_be(judged) -> None:
    stub = 'def softmax(x, dim=-1):\n    """A stub."""\n    raise NotImplementedError\n'
    for pieces in ((stub, WEIGHTS), ("from parts import softmax\n", WEIGHTS)):
        answer = judged("attention_weights", *pieces)
        assert answer.passed
        assert answer.lent == ("softmax",)


def test_later_parts_and_the_judged_one_are_never_lent(judged) -> None:
    for name in ("attention_weights", "multi_head_attention"):
        answer = judged("attention_weights", f"from parts import {name} as theirs\n",
                        "def attention_weights(*a):\n    return theirs(*a)\n")  # fmt: skip
        assert not answer.passed
        assert answer.outcome == "error"


def test_what_is_borrowed_from_torch_is_a_remark(judged) -> None:
    borrowed = "def softmax(x, dim=-1):\n    return torch.softmax(x, dim).nan_to_num(0.0)\n"
    answer = judged("softmax", borrowed)
    assert answer.passed
    assert answer.remarks == ("borrowed from torch: softmax",)


def test_a_part_written_twice_is_a_remark(judged) -> None:
    answer = judged("softmax", "def softmax(x, dim=-1):\n    return x\n", SOFTMAX)
    assert answer.passed
    assert "more than once (lines 5, 9)" in answer.remarks[0]


def test_what_is_slow_is_a_remark(judged) -> None:
    slow = SOFTMAX + (
        "def attention_weights(q, k, mask=None):\n    lead = q.shape[:-2]\n"
        "    q, k = q.reshape(-1, *q.shape[-2:]), k.reshape(-1, *k.shape[-2:])\n    rows = []\n"
        "    for b in range(len(q)):\n        for t in range(q.shape[1]):\n"
        "            s = (k[b] @ q[b, t]) / math.sqrt(q.shape[-1])\n"
        "            if mask is not None:\n"
        "                m = mask.expand(*lead, q.shape[1], k.shape[1]).reshape(-1, q.shape[1], k.shape[1])[b, t]\n"
        "                s = s.masked_fill(~m, -math.inf)\n            rows.append(softmax(s))\n"
        "    return torch.stack(rows).reshape(*lead, q.shape[1], k.shape[1])\n"
    )
    answer = judged("attention_weights", slow)
    assert answer.passed, answer
    assert "slow" in answer.remarks[0]


def test_the_seed_draws_the_same_cases_again(tmp_path: Path, room: Courtroom) -> None:
    file = tmp_path / "attention.py"
    file.write_text(HEAD + "def softmax(x, dim=-1):\n    return x * 0 + 0.123\n")
    first, second, other = (check_file("softmax", file, seed=seed, courtroom=room) for seed in (5, 5, 6))
    assert first.mistakes == second.mistakes
    assert other.seed == 6


def test_a_function_object_is_judged_here_and_the_answer_says_so() -> None:
    answer = check_function("softmax", lambda x, dim=-1: x.softmax(dim).nan_to_num(0.0))
    assert answer.passed
    assert answer.isolation == "none"


def test_what_is_off_by_less_than_the_inputs_digits_names_the_property() -> None:
    def rounded(logits: torch.Tensor, targets: torch.Tensor, ignore_index: int = -100) -> torch.Tensor:
        return cross_entropy(logits, targets, ignore_index) * (1.001 if logits.dtype == torch.bfloat16 else 1.0)

    (found,) = check_function("cross_entropy", rounded, seed=1).mistakes
    assert found.id is None
    assert "bfloat16 is computed in" in found.what


@pytest.mark.usefixtures("english")
def test_the_answer_in_json_has_the_fixed_fields(tmp_path: Path, groundup: Run) -> None:
    file = tmp_path / "a b 注意.py"
    file.write_text(HEAD + SOFTMAX.replace("dim=-1", "dim=0"))
    outcome = groundup("check", "softmax", "--file", file, "--json")
    assert outcome.status == 1
    answer = outcome.json
    assert set(answer) >= FIELDS
    assert set(answer["mistakes"][0]) == {"id", "sure", "what", "why", "evidence", "hint"}
    assert answer["isolation"] == "basic"
    assert json.loads(json.dumps(answer)) == answer
    file.write_text(HEAD + SOFTMAX)
    assert groundup("check", "softmax", "--file", file, "--json").status == 0


def test_a_warm_verdict_takes_a_moment(judged) -> None:
    judged("softmax", SOFTMAX)
    start = time.monotonic()
    assert judged("softmax", SOFTMAX).passed
    assert time.monotonic() - start < 5  # half a second on a quiet machine; a limit that only a hang exceeds


def test_a_search_for_a_reason_that_finds_none_ends_in_time() -> None:
    def train_step(forward, params, batch, state, *, lr, max_norm):
        for param in params.values():
            param.data += lr * len(state)
        state[len(state)] = max_norm
        return {"loss": float(forward(batch[0], params).sum()), "grad_norm": 0.0}

    part = catalog()["train_step"]
    cases = part.cases(1)
    seen = [observe(train_step, case.calls) for case in cases]
    suspects = Suspects(part, cases, [observe(part.reference, case.calls) for case in cases])
    started = time.process_time()
    explanations, _whole = diagnose(suspects, seen, range(len(cases)), seconds=0.5)
    assert explanations == []
    assert time.process_time() - started < 10  # left alone it would go on for half a minute
