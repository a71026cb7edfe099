"""The gradient checker passes what is right, finds what is wrong, and says where."""

from __future__ import annotations

import doctest
import re
from typing import Any

import numpy as np
import pytest
from by_hand import array, random_ids, small_gpt

from groundup.backprop import (
    BackpropParts,
    check_gradients,
    check_table,
    gpt_backward,
    gradient_check,
    numerical_gradient,
    trace,
)
from groundup.backprop.norm import layer_norm_backward
from groundup.errors import ShapeError

IDS, TARGETS = random_ids(2, 5), random_ids(2, 5, seed=1)


def check(parts: BackpropParts, **options: Any) -> list[gradient_check.Deviation]:
    p = small_gpt(c=8, h=2, n=1)
    _, dp = parts.gpt_backward(IDS, TARGETS, p, 1, 2)
    return check_gradients(lambda p: gpt_backward(IDS, TARGETS, p, 1, 2)[0], p, dp, **options)


def test_the_library_s_gradients_are_right() -> None:
    found = check(BackpropParts(), entries=8)
    assert {deviation.name for deviation in found} == small_gpt(n=1).keys()
    assert not any(deviation.is_wrong for deviation in found), check_table(found)


def without_the_mean(dy: np.ndarray, x: np.ndarray, weight: np.ndarray, eps: float = 1e-5) -> Any:
    """The mistake that everybody makes once: mean and deviation taken as constants."""
    _, dweight, dbias = layer_norm_backward(dy, x, weight, eps)
    return dy * weight / np.sqrt(x.var(-1, keepdims=True) + eps), dweight, dbias


@pytest.mark.parametrize(
    ("part", "wrong", "named", "right"),
    [
        ("layer_norm_backward", without_the_mean, {"wte", "h.0.mlp.w_up"}, {"ln_f.weight", "ln_f.bias"}),
        ("gelu_backward", lambda dy, x: dy * (x > 0), {"h.0.mlp.w_up", "h.0.mlp.b_up"}, {"h.0.mlp.w_down"}),
        ("embedding_backward", lambda dy, ids, v: np.zeros((v, dy.shape[-1])), {"wte"}, {"wpe", "h.0.ln1.weight"}),
    ],
)  # fmt: skip
def test_a_planted_wrong_backward_is_found_and_named(part: str, wrong: Any, named: set[str], right: set[str]) -> None:
    found = check(BackpropParts(**{part: wrong}), entries=8)
    names = {deviation.name for deviation in found if deviation.is_wrong}
    assert named <= names
    assert not right & names
    assert found[0].is_wrong  # the worst comes first
    assert re.search(rf"^{re.escape(found[0].name)} .*<- wrong$", check_table(found), flags=re.MULTILINE)


def test_one_wrong_number_is_found_at_its_place() -> None:
    p = {"a": array(3, 4), "b": array(5)}
    dp = {"a": 2 * p["a"], "b": np.cos(p["b"])}
    dp["a"][2, 1] *= 1.001
    worst, other = check_gradients(lambda p: float((p["a"] ** 2).sum() + np.sin(p["b"]).sum()), p, dp)
    assert (worst.name, worst.where) == ("a", (2, 1))
    assert worst.relative == pytest.approx(0.001, rel=1e-2)
    assert worst.measured == pytest.approx(2 * p["a"][2, 1])
    assert not other.is_wrong


def test_nan_is_wrong() -> None:
    p = {"a": np.ones(3)}
    (found,) = check_gradients(lambda p: float(p["a"].sum()), p, {"a": np.array([1.0, np.nan, 1.0])})
    assert found.is_wrong
    assert found.where == (1,)


def test_a_gradient_that_is_missing_or_has_another_shape_is_refused() -> None:
    p = {"a": np.ones(3)}
    with pytest.raises(ShapeError, match="the gradient of a is missing"):
        check_gradients(lambda p: 0.0, p, {})
    with pytest.raises(ShapeError, match=r"the gradient of a is \(1,\), not \(3,\)"):
        check_gradients(lambda p: 0.0, p, {"a": np.ones(1)})


def test_numerical_gradient_is_that_of_a_known_function_and_leaves_x_alone() -> None:
    x = array(3, 4)
    before = x.copy()
    assert np.allclose(numerical_gradient(lambda x: float((x**3).sum()), x), 3 * x**2, atol=1e-8)
    assert np.array_equal(x, before)
    assert numerical_gradient(lambda x: 5.0, np.zeros(())) == 0.0


@pytest.mark.parametrize("module", [gradient_check, trace])
def test_the_examples_in_the_docstrings_are_true(module: Any) -> None:
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    text = (module.__doc__ or "").replace("…", "...")
    example = doctest.DocTestParser().get_doctest(text, {}, module.__name__, None, 0)
    assert example.examples
    assert doctest.DocTestRunner(optionflags=options).run(example).failed == 0
