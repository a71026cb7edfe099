"""The loop appends what was chosen, shows the model the end of the text, and stops where it is told."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from groundup.generation import generate_tokens, greedy


def counting(ids: list[int]) -> Tensor:
    """A model that counts: after i comes i + 1."""
    return torch.nn.functional.one_hot(torch.tensor(ids[-1] + 1), 100).float()


def test_the_prompt_and_the_new_tokens_come_back_and_the_prompt_is_left_alone() -> None:
    prompt = [5, 6]
    assert generate_tokens(counting, prompt, 3, greedy) == [5, 6, 7, 8, 9]
    assert prompt == [5, 6]
    assert generate_tokens(counting, prompt, 0, greedy) == prompt


def test_it_stops_after_the_end_token_which_is_kept() -> None:
    assert generate_tokens(counting, [5], 50, greedy, eos_id=8) == [5, 6, 7, 8]
    assert generate_tokens(counting, [8], 2, greedy, eos_id=8) == [8, 9, 10]  # one in the prompt ends nothing


def test_the_model_sees_at_most_the_last_tokens_of_its_context() -> None:
    seen: list[list[int]] = []

    def watched(ids: list[int]) -> Tensor:
        seen.append(ids)
        return counting(ids)

    generate_tokens(watched, [1, 2, 3], 3, greedy, context_length=4)
    assert seen == [[1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]]
    seen.clear()
    generate_tokens(watched, [1, 2, 3], 2, greedy)
    assert seen == [[1, 2, 3], [1, 2, 3, 4]]


def test_the_scores_reach_choose_untouched_and_its_answer_may_be_a_tensor_or_a_number() -> None:
    scores = torch.tensor([0.0, 2.0])
    given: list[Tensor] = []

    def choose(logits: Tensor) -> int:
        given.append(logits)
        return 1

    assert generate_tokens(lambda _: scores, [0], 2, choose) == [0, 1, 1]
    assert all(logits is scores for logits in given)
    result = generate_tokens(lambda _: scores, [0], 1, lambda _: torch.tensor(1))
    assert [type(token) for token in result] == [int, int]


def test_a_model_that_changes_its_input_changes_no_text() -> None:
    def rude(ids: list[int]) -> Tensor:
        scores = counting(ids)
        ids.clear()
        return scores

    assert generate_tokens(rude, [1], 3, greedy) == [1, 2, 3, 4]


@pytest.mark.parametrize("context_length", [1, 2, 10])
def test_a_short_context_still_goes_on(context_length: int) -> None:
    assert generate_tokens(counting, [1], 3, greedy, context_length=context_length) == [1, 2, 3, 4]
