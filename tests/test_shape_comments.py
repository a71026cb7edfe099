"""Every shape comment is compared with the tensor that it speaks of: one that lies, or that nothing checks, fails.

The calls that are followed stand in `shape_calls.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from shape_calls import CALLS, ids, tensor
from shape_comments import SIZES, Call, follow, read_source
from torch import Tensor

import groundup

# A unit's reference has the shapes of the library's part, which is followed, and with a mistake switched on other ones.
UNITS = Path(groundup.__file__).parent / "path" / "units"
SOURCES = [path for path in sorted(Path(groundup.__file__).parent.rglob("*.py")) if UNITS not in path.parents]


followed = functools.cache(follow)  # a call trains a model: once is enough


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_no_shape_comment_lies(call: Call) -> None:
    assert sorted(set(followed(call).lies)) == []


def test_every_shape_comment_is_compared_with_a_value() -> None:
    compared = {place for call in CALLS for place in followed(call).compared}
    sources = [read_source(str(path)) for path in SOURCES]
    unchecked = [c.place for source in sources for c in source.comments.values() if c.place not in compared]
    assert unchecked == [], "add a call to shape_calls.py"


def test_every_shape_comment_can_be_checked() -> None:
    assert [problem for path in SOURCES for problem in read_source(str(path)).problems] == []


def test_sizes_products_and_quotients_all_differ() -> None:
    sizes = [1, *SIZES.values(), SIZES["H"] * SIZES["D"], SIZES["G"] * SIZES["D"], SIZES["D"] // 2, SIZES["C"] // 2]
    assert len(set(sizes)) == len(sizes)


def lying_assignment(x: Tensor) -> Tensor:
    y = x.mT  # (B, T, C)
    return y.mT


def lying_return(x: Tensor) -> Tensor:
    return x.mT  # (B, T, C)


def lying_pair(x: Tensor) -> Tensor:
    y, z = x, x.mT  # (B, T, C)
    return y @ z


def lying_last_statement(x: Tensor) -> None:
    x.extra = x.mT  # (B, T, C)


def lying_block(x: Tensor) -> Tensor:
    with torch.no_grad():
        return x.sum(-1)  # (B, T, C)


def lying_loop(x: Tensor) -> Tensor:
    for _ in range(2):
        x = x.mT  # (B, C, T) once only
    return x


def lying_list(x: Tensor) -> list[Tensor]:
    rows = [x[0], x]  # (T, C)
    return rows


def lying_many_lines(x: Tensor) -> Tensor:
    y = torch.cat(  # (B, T, C)
        [x, x],
        dim=-1,
    )
    return y


def lying_generator(x: Tensor) -> Iterator[Tensor]:
    yield x  # (B, T, C)
    yield x[0]  # (B, T, C)


def lying_count(x: Tensor) -> tuple[Tensor, Tensor]:
    return x, x  # (B, T, C), (B, T, C), (B,)


def lying_letter(x: Tensor) -> Tensor:
    return x  # (B, T, Q)


LIARS = [
    *(lying_assignment, lying_return, lying_pair, lying_last_statement, lying_block, lying_loop, lying_list),
    *(lying_many_lines, lying_count, lying_letter),
]


@pytest.mark.parametrize("liar", LIARS, ids=lambda liar: liar.__name__)
def test_a_comment_that_lies_is_caught(liar: Callable[[Tensor], object]) -> None:
    (lie,) = follow(Call(lambda: liar(tensor("BTC")), liar)).lies
    assert "test_shape_comments.py:" in lie


def test_a_generator_that_lies_is_caught() -> None:
    (lie,) = follow(Call(lambda: list(lying_generator(tensor("BTC"))), lying_generator)).lies
    assert "says (B, T, C), but the result is (5, 20) (B = 2, C = 20, T = 5)" in lie


@dataclass
class LyingFields:
    inputs: Tensor  # (B, T)
    targets: Tensor  # (B, T)


def test_a_field_that_lies_is_caught() -> None:
    (lie,) = follow(Call(lambda: LyingFields(inputs=ids("BT"), targets=ids("T")), LyingFields)).lies
    assert "says (B, T), but targets is (5,)" in lie


def truthful(x: Tensor) -> Tensor:
    half, other = x.chunk(2, dim=-1)  # (B, T, C/2) and words
    total = x.sum()  # ()
    mean = total.item() / x.numel()  # ()
    both = torch.cat([half, other], dim=-1)  # (…, C)
    flat = both.flatten()  # (B*T*C,)
    pieces = [half, other]  # (…, C/2)
    numbers, twice = [1.0] * 5, [[1.0] * 5] * 2  # (T,), (B, T)
    column = both[..., :1]  # (B, T, 1)
    nothing = None if mean < 9 else x  # (H,) this call has nothing to show for it
    del flat, pieces, numbers, twice, column, nothing
    return both  # (B, T, C)


def test_comments_that_speak_the_truth_pass_and_are_counted() -> None:
    findings = follow(Call(lambda: truthful(tensor("BTC")), truthful))
    assert findings.lies == []
    assert len(findings.compared) == 9


def test_a_statement_that_fails_has_made_nothing() -> None:
    def careful(x: Tensor) -> Tensor:
        try:
            y = x.view(3)  # (B, T, C)
        except RuntimeError:
            y = x
        return y

    assert follow(Call(lambda: careful(tensor("BTC")), careful)).compared == set()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("x = f(x)  # (B, time)", "is no shape"),
        ("x = f(x)  # (B, T+1)", "is no shape"),
        ("x = f(x)  # (B, …)", "is no shape"),
        ("f(x)  # (B, T)", "makes no value"),
        ("x = f(\n    x,  # (B, T)\n)", "first or last line"),
    ],
)
def test_a_comment_that_nothing_could_check_is_a_problem(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "chapter.py"
    path.write_text(f"{line}\n", encoding="utf-8")
    (found,) = read_source(str(path)).problems
    assert problem in found


def test_comments_in_other_words_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "chapter.py"
    path.write_text(
        "# (B, time)\nx = 1  # a number (B)\ny = 1  # (how many, the sum)\ntext = '# (B, Q'\n", encoding="utf-8"
    )
    source = read_source(str(path))
    assert (source.problems, source.comments) == ([], {})
