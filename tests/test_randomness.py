"""Randomness follows from its purpose and numbers alone, today as yesterday."""

from __future__ import annotations

import hashlib
import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.randomness import derived_generator, derived_seed

# Written down once: a change of these numbers changes every run that anybody has made.
KNOWN = [
    (("init", 0), 434498134410306653),
    (("data", 1), 8224153137394404459),
    (("dropout", 1, 7), 8682086522561580816),
    (("dropout", 1, 7, 3), 3335516481161602660),
    (("sampling", 2**62, 10**9, 5, 11), 6779487184073793719),
]


@pytest.mark.parametrize(("use", "seed"), KNOWN)
def test_seeds_never_change(use: tuple[str, *tuple[int, ...]], seed: int) -> None:
    assert derived_seed(*use) == seed


def test_a_seed_is_the_first_eight_bytes_of_the_hash_of_its_use() -> None:
    text = "\x1f".join(["groundup/1", "dropout", "1", "7", "3", "0"])
    first = hashlib.sha256(text.encode()).digest()[:8]
    assert derived_seed("dropout", 1, step=7, micro_batch=3) == int.from_bytes(first, "big") // 2


@given(st.text(), st.integers(0, 2**63), st.integers(0, 2**40))
def test_torch_takes_every_seed(purpose: str, seed: int, step: int) -> None:
    assert 0 <= derived_seed(purpose, seed, step) < 2**63


def test_every_number_of_a_use_counts_and_none_stands_in_for_another() -> None:
    uses = [("init", *numbers) for numbers in itertools.product((0, 1, 10), repeat=4)]
    uses += [(purpose, 0, 0, 0, 0) for purpose in ("data", "init0", "ini", "")]
    assert len({derived_seed(*use) for use in uses}) == len(uses)


def test_the_numbers_drawn_never_change() -> None:
    generator = derived_generator("init", 0)
    assert torch.randint(1000, (6,), generator=generator).tolist() == [44, 801, 158, 312, 821, 379]
    normal = torch.randn(4, generator=derived_generator("init", 0))
    torch.testing.assert_close(normal, torch.tensor([0.067757, -1.454196, -0.649013, 0.259912]), rtol=0, atol=1e-5)


def test_two_generators_of_one_use_draw_the_same_and_share_nothing() -> None:
    first, second = derived_generator("data", 3, step=5), derived_generator("data", 3, step=5)
    torch.rand(100, generator=first)
    fresh = derived_generator("data", 3, step=5)
    assert torch.equal(torch.rand(10, generator=second), torch.rand(10, generator=fresh))


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    torch.rand(10, generator=derived_generator("data", 3))
    assert torch.equal(torch.get_rng_state(), before)
