"""What of a call is looked at: also what several calls share, and what is left in the gradients of parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from groundup.path.case import Call, Case, Kept
from groundup.path.compare import differ
from groundup.path.evidence import shown_difference
from groundup.path.observe import Observation, observe
from groundup.path.wire import pack, unpack


def appended(x: Tensor, cache: dict[str, Any]) -> Tensor:
    cache["x"] = torch.cat([cache.get("x", x[:0]), x])
    return cache["x"].sum()


def forgetful(x: Tensor, cache: dict[str, Any]) -> Tensor:
    cache["x"] = x
    return x.sum()


CACHED = Case(
    "grows",
    tuple(Call((torch.tensor([number]), Kept("cache", {}))) for number in (1.0, 2.0, 3.0)),
    changes=(1,),
)


def descended(params: list[Tensor]) -> float:
    loss = (params[0] ** 2).sum()
    params[0].grad = torch.autograd.grad(loss, params[0])[0]
    return loss.item()


def added_to(params: list[Tensor]) -> float:
    loss = (params[0] ** 2).sum()
    loss.backward()
    return loss.item()


TRAINED = Case("drops what was there", (Call(([torch.tensor([1.0, 2.0])],), trained=(0,)),))


def seen(function: Any, case: Case) -> list[Observation]:
    return observe(function, case.calls)


def test_a_kept_argument_is_one_object_in_all_calls_of_a_case() -> None:
    observations = seen(appended, CACHED)
    assert [one["value"].item() for one in observations] == [1.0, 3.0, 6.0]
    assert [len(one["arguments"][1]["x"]) for one in observations] == [1, 2, 3]
    assert seen(appended, CACHED)[0]["value"].item() == 1.0  # and a new one each time that the case is seen


def test_a_difference_in_what_is_kept_names_its_call() -> None:
    fault = differ(CACHED, seen(appended, CACHED), seen(forgetful, CACHED))
    assert fault is not None
    assert fault.call == 1
    assert differ(CACHED, seen(appended, CACHED), seen(appended, CACHED)) is None


def test_what_is_left_in_a_parameter_s_gradient_is_compared() -> None:
    right, wrong = seen(descended, TRAINED), seen(added_to, TRAINED)
    assert right[0]["left"][0].tolist() == [2.0, 4.0]
    fault = differ(TRAINED, right, wrong)
    assert fault is not None
    assert fault.kind == "left"


def test_no_gradient_left_is_the_same_as_zeros() -> None:
    def cleared(params: list[Tensor]) -> None:
        params[0].grad = None

    def zeroed(params: list[Tensor]) -> None:
        params[0].grad = torch.zeros(2)

    assert differ(TRAINED, seen(cleared, TRAINED), seen(zeroed, TRAINED)) is None


@pytest.mark.parametrize("case", [CACHED, TRAINED])
def test_calls_travel(case: Case) -> None:
    _nonce, _number, calls = unpack(pack("n", 1, list(case.calls))[4:])
    for sent, got in zip(case.calls, calls, strict=True):
        assert (sent.trained, sent.gradients, type(sent.arguments[-1])) == (
            got.trained, got.gradients, type(got.arguments[-1]),
        )  # fmt: skip


def test_of_several_tensors_the_first_with_another_shape_is_shown() -> None:
    case = Case("two rows", (Call((2,)),))
    right = seen(lambda n: (torch.zeros(n), torch.zeros(n)), case)
    fault = differ(case, right, seen(lambda n: (torch.zeros(n), torch.zeros(n + 1)), case))
    assert fault is not None
    assert fault.kind == "shape"
    assert "(3,)" in shown_difference("rows", case, fault, "en")


def test_an_error_that_is_returned_instead_of_raised_is_the_same_each_time_and_keeps_its_name_on_the_way() -> None:
    first, second = (observe(lambda: ValueError("too long"), [Call(())]) for _ in range(2))
    assert differ(Case("an error", (Call(()),)), first, second) is None
    assert unpack(pack("n", 0, first)[4:])[2][0]["value"] == "ValueError('too long')"
