"""Contrastive search chooses by the paper's formula, whatever it remembers on the way."""

from __future__ import annotations

import pytest
import torch

from groundup.errors import ConfigError, DivergedError
from groundup.generation import Contrastive, Greedy, contrastive_scores, generate
from groundup.kernels import fuse
from groundup.model import ModelParts, Transformer
from groundup.model.block import transformer_block

PROMPT = [5, 1, 9]
KINDS = {
    "learned": {},
    "rope": {"position": "rope", "n_kv_heads": 2},
    "window": {"position": "rope", "window": 4},
    "wide window": {"window": 9, "n_layers": 1, "position": "rope"},
}


def by_the_formula(model: Transformer, alpha: float, k: int, n: int) -> list[int]:
    """Su et al. 2022, equation 5, word for word: everything is read anew for every candidate."""
    ids = list(PROMPT)
    for _ in range(n):
        with torch.no_grad():
            probabilities = model(torch.tensor([ids[-12:]]))[0, -1].softmax(-1)
            worth = {}
            for v in probabilities.topk(k).indices.tolist():
                states = model.hidden(torch.tensor([[*ids, v][-12:]]))[0]
                cosines = torch.nn.functional.cosine_similarity(states[-1:], states[:-1], dim=-1)
                worth[v] = (1 - alpha) * probabilities[v] - alpha * cosines.max()
        ids.append(max(worth, key=worth.__getitem__))
    return ids[len(PROMPT) :]


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_writes_what_the_formula_says_also_past_the_context(make_model, kind: str, fused: bool) -> None:
    model = make_model(fuse(ModelParts()) if fused else None, **KINDS[kind])
    for alpha, k in ((0.6, 4), (0.9, 7)):
        written = list(generate(model, PROMPT, Contrastive(alpha=alpha, top_k=k), max_tokens=14))
        assert written == by_the_formula(model, alpha, k, 14)
    assert written != list(generate(model, PROMPT, max_tokens=14))


@pytest.mark.parametrize("strategy", [Contrastive(alpha=0.0), Contrastive(top_k=1)], ids=["alpha 0", "one candidate"])
def test_with_nothing_to_contrast_it_is_greedy(make_model, strategy: Contrastive) -> None:
    model = make_model()
    assert list(generate(model, PROMPT, strategy, max_tokens=14)) == list(
        generate(model, PROMPT, Greedy(), max_tokens=14)
    )


def test_a_candidate_that_was_said_is_worth_less() -> None:
    seen = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    states = torch.tensor([[3.0, 0.0], [-1.0, -1.0]])
    scores = contrastive_scores(torch.tensor([0.5, 0.3]), states, seen, 0.6)
    torch.testing.assert_close(scores, torch.tensor([0.4 * 0.5 - 0.6, 0.4 * 0.3 + 0.6 * 0.5**0.5]))


def test_a_token_costs_one_pass_of_its_candidates(make_model) -> None:
    model, rows = make_model(), []
    model.h[0].register_forward_hook(lambda _module, given, _out: rows.append(tuple(given[0].shape[:2])))
    assert len(list(generate(model, PROMPT, Contrastive(top_k=5), max_tokens=4))) == 4
    assert rows == [(1, 3), *[(5, 1)] * 4]


def test_ends_and_rows_without_a_token_are_kept(make_model) -> None:
    model, strategy = make_model(), Contrastive(alpha=0.9, top_k=9)
    whole = list(generate(model, PROMPT, strategy, max_tokens=9))
    end = whole[3]
    assert list(generate(model, PROMPT, strategy, max_tokens=9, eos_id=end)) == whole[: whole.index(end) + 1]
    assert max(generate(model, PROMPT, strategy, max_tokens=9, vocab_size=10)) < 10
    assert list(generate(model, PROMPT, strategy, max_tokens=0)) == []


def test_an_own_block_runs_on_the_whole_text_and_an_own_forward_has_no_states(make_model) -> None:
    def own(*arguments: object, **options: object) -> torch.Tensor:
        return transformer_block(*arguments, **options)

    strategy = Contrastive(alpha=0.8)
    expected = list(generate(make_model(), PROMPT, strategy, max_tokens=6))
    assert list(generate(make_model(ModelParts(transformer_block=own)), PROMPT, strategy, max_tokens=6)) == expected
    with pytest.raises(ConfigError, match="hidden states") as caught:
        generate(make_model(ModelParts(gpt_forward=lambda ids, *_: torch.zeros(*ids.shape, 23))), PROMPT, strategy)
    assert caught.value.code == "PARTS"


def test_a_damaged_weight_is_an_error_of_ours(make_model) -> None:
    model = make_model()
    with torch.no_grad():
        model.h[1].mlp.w_up[0, 0] = float("nan")
    with pytest.raises(DivergedError) as caught:
        list(generate(model, PROMPT, Contrastive()))
    assert caught.value.code == "NUM_LOGITS"


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"alpha": 1.5}, "alpha is 1.5"), ({"alpha": float("nan")}, "alpha is nan"), ({"top_k": 0}, "top_k is 0")],
)
def test_a_setting_out_of_range_is_named(settings: dict[str, float], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Contrastive(**settings)
    assert (caught.value.what, caught.value.status) == (named, 2)
