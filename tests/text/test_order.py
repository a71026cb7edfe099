"""The order of the windows."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.text.order import keyed_permutation, window_at


@given(st.integers(1, 300), st.integers(0, 2**63), st.integers(0, 5))
def test_a_permutation_visits_every_index_once(n: int, seed: int, epoch: int):
    order = keyed_permutation(n, seed, epoch)
    assert sorted(order.permute(i) for i in range(n)) == list(range(n))


def test_orders_of_seeds_and_epochs_look_unrelated():
    n = 1_000
    orders = [[keyed_permutation(n, seed, epoch).permute(i) for i in range(n)] for seed in (0, 1) for epoch in (0, 1)]
    orders.append(list(range(n)))
    for a in range(len(orders)):
        for b in range(a):
            # Two random orders agree in 1 place on average, and their correlation is about 1/√n = 0.03.
            assert sum(x == y for x, y in zip(orders[a], orders[b], strict=True)) < 10
            assert abs(torch.corrcoef(torch.tensor([orders[a], orders[b]], dtype=torch.float64))[0, 1]) < 0.15


def test_neighbours_in_an_order_are_unrelated():
    order = [keyed_permutation(1_000, 7, 0).permute(i) for i in range(1_000)]
    pairs = torch.tensor([order[:-1], order[1:]], dtype=torch.float64)
    assert abs(torch.corrcoef(pairs)[0, 1]) < 0.15


def test_an_index_of_a_billion_takes_no_time():
    order = keyed_permutation(10**9, 1, 0)
    assert len({order.permute(i) for i in range(1_000)}) == 1_000


def test_positions_go_on_through_the_epochs() -> None:
    assert [window_at(position, 3, 0, shuffle=False) for position in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    places = [window_at(position, 7, 5) for position in range(21)]
    assert all(sorted(places[start : start + 7]) == list(range(7)) for start in (0, 7, 14))
    assert places[:7] != places[7:14]
