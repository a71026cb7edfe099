"""Many prompts at once give what each gives alone, and nobody's text depends on the neighbours."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
import torch
from torch import Tensor

from groundup.errors import ConfigError
from groundup.generation import Beam, Contrastive, Greedy, Sample, Slots, generate, generate_batch
from groundup.kernels import fuse
from groundup.model import ModelConfig, ModelParts, Transformer
from groundup.model.attention import multi_head_attention

KINDS = {
    "learned": {},
    "sinusoidal": {"position": "sinusoidal"},
    "rope": {"position": "rope"},
    "none": {"position": "none"},
    "grouped": {"position": "rope", "n_kv_heads": 2},
    "window": {"window": 4},
    "endless window": {"position": "rope", "window": 4, "n_kv_heads": 2},
    "modern": {"position": "rope", "norm": "rms", "feed_forward": "swiglu", "bias": False, "qk_norm": True},
}
PROMPTS = [[5, 1, 9], [2], [7, 7, 3, 1, 0, 4, 4, 2, 1], [8, 8], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [3, 1]]
EACH = [Sample(temperature=0.9, top_k=9, repetition_penalty=1.2, seed=n) for n in range(len(PROMPTS))]


def together(model: Transformer, prompts: list[list[int]], *arguments: object, **options: object) -> list[list[int]]:
    texts: dict[int, list[int]] = defaultdict(list)
    for number, token in generate_batch(model, prompts, *arguments, **options):
        texts[number].append(token)
    return [texts[number] for number in range(len(prompts))]


@pytest.mark.parametrize(("strategy", "fused"), [(Greedy(), False), (EACH, True)], ids=["greedy", "sampled, fused"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_prompt_gets_what_it_gets_alone_also_past_the_context(make_model, kind, strategy, fused) -> None:
    model = make_model(fuse(ModelParts()) if fused else None, **KINDS[kind])
    strategies = strategy if isinstance(strategy, list) else [strategy] * len(PROMPTS)
    alone = [list(generate(model, *pair, max_tokens=14)) for pair in zip(PROMPTS, strategies, strict=True)]
    for slots in (1, 4, 8):
        assert together(model, PROMPTS, strategy, max_tokens=14, slots=slots) == alone


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_ragged_prompts_get_what_each_gets_alone(make_model, kind: str) -> None:
    model, draw = make_model(fuse(ModelParts()), **KINDS[kind]), random.Random(kind)
    prompts = [[draw.randrange(23) for _ in range(draw.randint(1, 12))] for _ in range(100)]
    each = [Greedy() if n % 3 == 0 else Sample(temperature=0.8, top_p=0.95, seed=n) for n in range(100)]
    alone = [list(generate(model, *pair, max_tokens=9, eos_id=3)) for pair in zip(prompts, each, strict=True)]
    for slots in (3, 16, 128):
        assert together(model, prompts, each, max_tokens=9, eos_id=3, slots=slots) == alone


def test_who_ends_makes_room_for_the_next_prompt(make_model) -> None:
    model = make_model()
    alone = [list(generate(model, prompt, EACH[0], max_tokens=12)) for prompt in PROMPTS]
    end = alone[0][2]
    expected = [text[: text.index(end) + 1] if end in text else text for text in alone]
    assert together(model, PROMPTS, EACH[0], max_tokens=12, eos_id=end, slots=2) == expected
    assert together(model, PROMPTS, EACH[0], max_tokens=12, stop=[end], slots=2) == expected
    order = [number for number, _ in generate_batch(model, PROMPTS, max_tokens=3, slots=2)]
    assert order == [0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 4, 5, 4, 5, 4, 5]


def small_float32(**settings: object) -> Transformer:
    config = ModelConfig(vocab_size=211, context_length=40, n_layers=2, d_model=48, n_heads=4, **settings)
    model = Transformer(config, fuse(ModelParts())).init_weights(torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["learned", "grouped", "endless window", "modern"])
def test_in_float32_a_text_does_not_depend_on_its_neighbours(kind: str) -> None:
    """To the bit: the scores themselves are compared, in every slot, with 0 to 7 random neighbours."""
    model, generator = small_float32(**KINDS[kind]), torch.Generator().manual_seed(3)
    prompt, n_slots, n_tokens = [5, 1, 9, 200], 8, 12

    def scores(slot: int, n_neighbours: int) -> list[Tensor]:
        slots, found = Slots(model, n_slots), []
        slots.begin(slot, prompt)
        others = [other for other in range(n_slots) if other != slot]
        for other in torch.randperm(len(others), generator=generator)[:n_neighbours].tolist():
            length = int(torch.randint(1, 30, (), generator=generator))
            slots.begin(others[other], torch.randint(211, (length,), generator=generator).tolist())
        for _ in range(n_tokens):
            for other, row in enumerate(slots.rows):
                if row is not None:
                    any_token = int(torch.randint(211, (), generator=generator))
                    row.ids.append(int(row.logits.argmax()) if other == slot else any_token)
            slots.step()
            found.append(slots.row(slot).logits)
        return found

    expected = {slot: scores(slot, 0) for slot in range(n_slots)}
    for n_neighbours in range(1, n_slots):
        for slot in range(n_slots):
            assert all(a.equal(b) for a, b in zip(expected[slot], scores(slot, n_neighbours), strict=True))
    for slot in range(n_slots):
        torch.testing.assert_close(expected[slot], expected[0], rtol=1e-4, atol=1e-4)


def test_the_number_of_rows_of_a_product_is_that_of_the_slots(make_model) -> None:
    """The teeth of the test before: were idle slots left out, products would have other shapes, and round otherwise."""
    shapes: list[int] = []

    def watched(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        shapes.append(x.shape[1] if x.dim() == 3 else x.shape[0])
        return torch.nn.functional.linear(x, weight, bias)

    slots = Slots(make_model(ModelParts(linear=watched)), 5)
    slots.begin(3, [1, 2, 3])
    shapes.clear()
    slots.row(3).ids.append(4)
    slots.step()
    assert set(shapes) == {5}


@pytest.mark.parametrize("strategy", [Beam(beams=3), Contrastive()], ids=["beam", "contrastive"])
def test_what_looks_at_whole_texts_runs_prompt_after_prompt(make_model, strategy) -> None:
    model = make_model()
    alone = [list(generate(model, prompt, strategy, max_tokens=4)) for prompt in PROMPTS]
    assert together(model, PROMPTS, strategy, max_tokens=4) == alone


def test_an_own_part_without_a_cache_runs_prompt_after_prompt(make_model) -> None:
    def own(*arguments: object, **options: object) -> Tensor:
        return multi_head_attention(*arguments, **options)

    model = make_model(ModelParts(multi_head_attention=own))
    alone = [list(generate(make_model(), prompt, max_tokens=4)) for prompt in PROMPTS]
    assert together(model, PROMPTS, max_tokens=4) == alone


def test_an_own_attention_part_runs_in_slots_too(make_model) -> None:
    def flat(x: Tensor, dim: int = -1) -> Tensor:
        return (x > -1e9).to(x.dtype) / (x > -1e9).sum(dim=dim, keepdim=True)

    model = make_model(ModelParts(softmax=flat))
    alone = [list(generate(model, prompt, max_tokens=6)) for prompt in PROMPTS]
    assert together(model, PROMPTS, max_tokens=6) == alone
    assert alone != [list(generate(make_model(), prompt, max_tokens=6)) for prompt in PROMPTS]


def test_what_cannot_be_is_said_before_anything_is_written(make_model) -> None:
    model = make_model()
    for options, said in (
        ({"prompts": [[1], []]}, "empty"),
        ({"prompts": [[1] * 13]}, "13 tokens"),
        ({"prompts": PROMPTS, "strategy": [Greedy()]}, "1 strategies for 6 prompts"),
        ({"prompts": PROMPTS, "slots": 0}, "slots is 0"),
        ({"prompts": PROMPTS, "max_tokens": -1}, "max_tokens is -1"),
    ):
        with pytest.raises(ConfigError, match=said):
            generate_batch(model, **options)
    assert list(generate_batch(model, [])) == []
    assert list(generate_batch(model, PROMPTS, max_tokens=0)) == []
