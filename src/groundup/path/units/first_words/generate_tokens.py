"""The loop that writes, right or with one of its known mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ...case import EDGE, Case, Draw, Stub, case
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference

BEST = Stub("best")


@reference
def generate_tokens(
    next_logits: Callable[[Any], Tensor],
    prompt: list[int],
    max_new_tokens: int,
    choose: Callable[[Tensor], Any],
    eos_id: int | None = None,
    context_length: int | None = None,
    *,
    wrong: Wrong = RIGHT,
) -> list[int]:
    """The prompt, continued one token at a time.

    next_logits: the last context_length ids so far -> (V,). choose: (V,) -> a token id. Stops after eos_id, which is
    kept, or after max_new_tokens.
    """
    if eos_id is None and "generate_tokens-eos-needed" in wrong:
        raise TypeError("eos_id is None")
    ids = prompt if "generate_tokens-changes-prompt" in wrong else list(prompt)
    if context_length is not None and "generate_tokens-only-prompt-cropped" in wrong:
        ids = ids[-context_length:]
    given = list(ids)
    n_steps = _steps(max_new_tokens, len(prompt), wrong)
    for step in range(n_steps):
        if eos_id is not None and "generate_tokens-eos-at-the-end-of-the-prompt-stops" in wrong and ids[-1] == eos_id:
            break
        if "generate_tokens-eos-anywhere-stops" in wrong and eos_id in ids:
            break
        if context_length is not None and "generate_tokens-stops-when-full" in wrong and len(ids) >= context_length:
            break
        if context_length is not None and "generate_tokens-result-cropped" in wrong:
            ids = ids[-context_length:]
        token = _chosen(next_logits(_seen(ids, given, context_length, wrong)), choose, wrong)
        ends = _ends(token, ids, eos_id, step, wrong)
        if not (ends and "generate_tokens-eos-left-out" in wrong):
            ids.insert(0, token) if "generate_tokens-put-in-front" in wrong else ids.append(token)
        if ends:
            if "generate_tokens-fills-up" in wrong:
                ids += [token] * (n_steps - step - 1)
            break
    if context_length is not None and "generate_tokens-result-cropped-at-the-end" in wrong:
        ids = ids[-context_length:]
    return _given_back(ids, prompt, given, wrong)


def _steps(max_new_tokens: int, n_prompt: int, wrong: Wrong) -> int:
    """How many tokens are written at most."""
    if "generate_tokens-prompt-counted" in wrong:
        return max_new_tokens - n_prompt
    if "generate_tokens-one-too-many" in wrong:
        return max_new_tokens + 1
    if "generate_tokens-one-too-few" in wrong:
        return max_new_tokens - 1
    if "generate_tokens-one-token-only" in wrong:
        return min(1, max_new_tokens)
    return max(1, max_new_tokens) if "generate_tokens-at-least-one" in wrong else max_new_tokens


def _seen(ids: list[int], given: list[int], context_length: int | None, wrong: Wrong) -> list[int]:
    """What next_logits is asked about."""
    if "generate_tokens-not-fed-back" in wrong:
        ids = given
    if "generate_tokens-last-token-only" in wrong:
        return ids[-1:]
    if context_length is None:
        if "generate_tokens-context-length-needed" in wrong:
            raise TypeError("bad operand type for unary -: 'NoneType'")
        seen = ids
    elif "generate_tokens-not-cropped" in wrong or "generate_tokens-only-prompt-cropped" in wrong:
        seen = ids
    elif "generate_tokens-first-tokens-kept" in wrong:
        seen = ids[:context_length]
    elif "generate_tokens-context-one-short" in wrong:
        seen = ids[-(context_length - 1) :]
    elif "generate_tokens-context-one-long" in wrong:
        seen = ids[-(context_length + 1) :]
    else:
        seen = ids[-context_length:]
    return list(seen)


def _chosen(logits: Tensor, choose: Callable[[Tensor], Any], wrong: Wrong) -> Any:
    """The next token."""
    if "generate_tokens-probabilities" in wrong:
        logits = logits.softmax(-1)  # (V,)
    if "generate_tokens-log-probabilities" in wrong:
        logits = logits.log_softmax(-1)  # (V,)
    if "generate_tokens-last-of-the-scores" in wrong:
        logits = logits[-1]  # ()
    if "generate_tokens-chooses-itself" in wrong:
        return int(logits.argmax())
    token = choose(logits)
    return token if "generate_tokens-tensors-in-the-list" in wrong else int(token)


def _ends(token: Any, ids: list[int], eos_id: int | None, step: int, wrong: Wrong) -> bool:
    """Whether this token is the last. ids: those before it."""
    if eos_id is None or "generate_tokens-eos-ignored" in wrong:
        return False
    if "generate_tokens-eos-zero-ignored" in wrong and eos_id == 0:
        return False
    if "generate_tokens-eos-in-the-prompt-stops" in wrong:
        return eos_id in (*ids, token)
    if "generate_tokens-one-after-eos" in wrong:
        return step > 0 and ids[-1] == eos_id
    return int(token) == eos_id


def _given_back(ids: list[int], prompt: list[int], given: list[int], wrong: Wrong) -> Any:
    """The result of the loop's list."""
    if "generate_tokens-only-new-tokens" in wrong:
        return ids[len(given) :]
    if "generate_tokens-prompt-doubled" in wrong:
        return [*prompt, *ids]
    if "generate_tokens-list-in-a-list" in wrong:
        return [ids]
    return torch.tensor(ids) if "generate_tokens-gives-a-tensor" in wrong else ids


# --- cases ------------------------------------------------------------------------------------------------------------


def cases(draw: Draw) -> Iterator[Case]:
    """Models of one line that a person can follow, then tables; ends, contexts, what choose is given."""
    plus_one, total, length = Stub("last_plus_one", (10,)), Stub("sum_of_ids", (10,)), Stub("first_plus_length", (20,))
    each = "one token after the other: the prompt, then max_new_tokens new ones"
    yield case(each, plus_one, [3], 2, BEST)
    yield case(each, plus_one, [3, 7], 3, BEST)
    yield case(each, plus_one, [5, 1, 4], 6, BEST)
    whole = "next_logits sees everything so far, new tokens too"
    for prompt, n in (([1], 3), ([1, 2], 4), ([4, 3, 6], 5)):
        yield case(whole, total, prompt, n, BEST)
    yield case("max_new_tokens = 0: the prompt as it is", plus_one, [3], 0, BEST)
    yield case("max_new_tokens = 0: the prompt as it is", plus_one, [3, 1], 0, BEST, eos_id=4)
    yield from _ends_of(draw, plus_one)
    crop = "next_logits sees the last context_length tokens at most"
    for prompt, n, size in (
        ([1], 3, 2),
        ([1, 2, 3], 3, 2),
        ([4, 9, 2, 7], 2, 3),
        ([2], 5, 1),
        ([5, 3], 2, 4),
        ([6], 4, 9),
    ):
        yield case(crop, length, prompt, n, BEST, None, size)
    yield case("a context_length with an eos_id", plus_one, [1, 2, 3], 5, BEST, 6, 2)
    for _ in range(4):
        v, table = 12, Stub("table_of_logits", (draw.tensor(12, 12),))
        prompt = [draw.randrange(v) for _ in range(draw.randrange(2, 8))]
        yield case(whole, table, prompt, draw.randrange(3, 12), BEST)
        yield case(crop, table, prompt, 9, BEST, context_length=draw.randrange(2, 6))
    yield from _choices(draw)
    for choose in (BEST, Stub("best_as_tensor")):
        yield case("a list of plain ints", plus_one, [3, 4], 3, choose, tier=EDGE, view=_kinds)


def _ends_of(draw: Draw, plus_one: Stub) -> Iterator[Case]:
    """What eos_id does."""
    stops = "stops after eos_id, which is kept"
    for prompt, n, eos_id in (([3], 5, 5), ([1, 2], 4, 3), ([8, 6], 9, 0), ([7], 3, 9)):
        yield case(stops, plus_one, prompt, n, BEST, eos_id)
    yield case("an eos_id that does not come stops nothing", plus_one, [3, 2], 3, BEST, 8)
    yield case("an eos_id of 0 stops too", plus_one, [8], 5, BEST, 0)
    yield case("an eos_id of 0 stops too", plus_one, [4, 7], 6, BEST, eos_id=0)
    for prompt in ([5, 3], [9, 5, 6, 2]):
        yield case(
            "an eos_id inside of the prompt stops nothing", plus_one, prompt, 3, BEST, 5 if prompt[0] == 5 else 9
        )
    for prompt in ([5], [2, 7]):
        yield case("an eos_id at the end of the prompt stops nothing", plus_one, prompt, 3, BEST, prompt[-1])
    for _ in range(3):
        table = Stub("table_of_logits", (draw.tensor(4, 4),))
        yield case(stops, table, [draw.randrange(4) for _ in range(3)], 12, BEST, eos_id=draw.randrange(4))


def _choices(draw: Draw) -> Iterator[Case]:
    """What choose is given, and gives."""
    untouched = "choose is given the scores untouched, (V,)"
    high = torch.tensor([[0.0, 3.0, 5.0], [4.0, 1.0, 9.0], [2.0, 2.5, 6.0]])
    yield case(untouched, Stub("table_of_logits", (high,)), [0], 3, Stub("first_above_two"))
    for v in (5, 9):
        table = Stub("table_of_logits", (draw.tensor(v, v, scale=4),))
        for choose in (Stub("first_above_two"), Stub("last_above_zero")):
            yield case(untouched, table, [draw.randrange(v) for _ in range(3)], 8, choose)
    chooses = "choose decides, not the largest score"
    yield case(chooses, Stub("last_plus_one", (10,)), [3], 3, Stub("worst"))
    table = Stub("table_of_logits", (draw.tensor(7, 7),))
    yield case(chooses, table, [2, 5], 6, Stub("worst"))
    yield case("choose may give a tensor", Stub("last_plus_one", (10,)), [3, 6], 4, Stub("best_as_tensor"), 9)


def _kinds(seen: list[Observation]) -> str:
    """Of what the result is made."""
    value = seen[0]["value"]
    if not isinstance(value, list | tuple):
        return f"a {type(value).__name__}"
    return "a list of " + ", ".join(sorted({type(token).__name__ for token in value}))
