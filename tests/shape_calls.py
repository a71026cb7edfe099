"""The calls that the shape comments are checked with: one line for each, by chapter.

A new function with shape comments needs one line: what to run, and which functions or classes to follow. The sizes are
those of `shape_comments.SIZES` unless a call names its own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from numpy import ndarray
from shape_comments import SIZES, Call
from torch import Tensor

from groundup.backprop import attention as back_attention
from groundup.backprop import block as back_block
from groundup.backprop import embedding as back_embedding
from groundup.backprop import feedforward as back_feedforward
from groundup.backprop import first_steps
from groundup.backprop import linear as back_linear
from groundup.backprop import loss as back_loss
from groundup.backprop import norm as back_norm
from groundup.backprop import transformer as back_transformer
from groundup.evaluation.bits_per_byte import evaluate_text
from groundup.generation import (
    Beam,
    Contrastive,
    beam,
    cache,
    contrastive,
    engine,
    filters,
    generate,
    slots,
    strategies,
)
from groundup.generation.compare import log_probs_of
from groundup.kernels import attention as fused
from groundup.kernels import fused_attention, fused_head_loss, fused_mlp, fused_rope
from groundup.model import ModelConfig, ModelParts, Transformer, attention, position, transformer
from groundup.model.block import Block, transformer_block
from groundup.model.dropout import dropout
from groundup.model.embedding import embed, token_embedding
from groundup.model.feedforward import FeedForward, feed_forward, mlp, swiglu
from groundup.model.linear import linear
from groundup.model.norm import Norm, layer_norm, residual_norm, rms_norm
from groundup.path import stubs
from groundup.text import Tokenizer, batches
from groundup.training import (
    Parts,
    clipping,
    diagnose,
    flat_optimizer,
    load_config,
    loop,
    loss,
    optimizers,
    precision,
    step,
    train,
)
from groundup.training.state import new_state
from groundup.training.train_step import train_step
from groundup.weights import gpt2, huggingface


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def tensor(letters: str) -> Tensor:
    """Random numbers of a shape: tensor("BTC"); a digit is 1."""
    return torch.randn([SIZES.get(letter, 1) for letter in letters])


def ids(letters: str) -> Tensor:
    """Random token ids."""
    return torch.randint(SIZES["V"], [SIZES[letter] for letter in letters])


def config(**settings: object) -> ModelConfig:
    """A small model in which heads are wider than the model, so that C, H*D and G*D differ."""
    sizes = {"vocab_size": "V", "context_length": "L", "d_model": "C", "n_heads": "H", "d_head": "D", "d_ff": "F"}
    shape = {name: SIZES[letter] for name, letter in sizes.items()} | {"n_layers": 2}
    return ModelConfig(**shape | settings)


def past() -> dict[str, Tensor]:
    """A layer's cache of S - T tokens: with T more there are S."""
    past = [torch.randn(SIZES["B"], SIZES["G"], SIZES["S"] - SIZES["T"], SIZES["D"]) for _ in "kv"]
    return dict(zip("kv", past, strict=True))


def shared_past() -> dict[str, Tensor]:
    """The same, but for what all rows have in common."""
    return {f"shared_{name}": row[:1] for name, row in past().items()}


def gpt(**settings: object) -> Transformer:
    """The book's model, with its first weights."""
    return Transformer(config(**settings)).init_weights(generator())


def qkv(keys: str = "BGSD") -> tuple[Tensor, Tensor, Tensor]:
    return tensor("BHTD"), tensor(keys), tensor(keys)


def one_document() -> Tensor:
    return attention.same_document_mask(torch.zeros(SIZES["B"], SIZES["T"]))


POSITIONS = torch.arange(SIZES["T"])
HALF = {"dropout": 0.5}
BOOK = {"C": SIZES["H"] * SIZES["D"]}  # the book's heads cut the model's width
BLOCK = {"d_head": None, "d_model": BOOK["C"]}


def book_weights() -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in gpt(**BLOCK).named_parameters()}


def block_weights() -> dict[str, Tensor]:
    return {name.removeprefix("h.0."): value for name, value in book_weights().items()}


def book_stream() -> Tensor:
    return torch.randn(SIZES["B"], SIZES["T"], BOOK["C"])


def square_weights() -> list[Tensor]:
    return [torch.randn(BOOK["C"], BOOK["C"]) for _ in "qkvo"]


MODEL = [
    Call(lambda: token_embedding(ids("BT"), tensor("VC")), token_embedding),
    Call(lambda: embed(ids("BT"), tensor("VC"), tensor("LC")), embed),
    Call(lambda: position.sinusoidal_positions(SIZES["L"], SIZES["C"]), position.sinusoidal_positions),
    Call(lambda: position.rope(tensor("BHTD"), POSITIONS), position.rope),
    Call(lambda: linear(tensor("BTI"), tensor("OI"), tensor("O")), linear),
    Call(lambda: dropout(tensor("BTC"), 0.5), dropout),
    Call(lambda: attention.softmax(tensor("BHTS")), attention.softmax),
    Call(lambda: attention.causal_mask(SIZES["T"]), attention.causal_mask),
    Call(lambda: attention.sliding_window_mask(SIZES["T"], 2), attention.sliding_window_mask),
    Call(lambda: attention.attention_weights(tensor("BHTD"), tensor("BHSD")), attention.attention_weights),
    Call(lambda: attention.scaled_dot_product_attention(*qkv("BHSD")), attention.scaled_dot_product_attention),
    Call(lambda: attention.split_heads(book_stream(), SIZES["H"]), attention.split_heads, **BOOK),
    Call(lambda: attention.merge_heads(tensor("BHTD")), attention.merge_heads),
    Call(
        lambda: attention.single_head_attention(tensor("BTC"), *(tensor("DC") for _ in "qkv")),
        attention.single_head_attention,
    ),
    *(
        Call(
            lambda rate=rate: attention.multi_head_attention(
                book_stream(), *square_weights(), SIZES["H"], dropout=rate
            ),
            attention.multi_head_attention,
            **BOOK,
        )
        for rate in (0.0, 0.5)
    ),
    Call(lambda: attention.grouped_query_attention(*qkv()), attention.grouped_query_attention),
    Call(lambda: attention.append_to_cache(tensor("BGTD"), tensor("BGTD"), past()), attention.append_to_cache),
    Call(lambda: attention.append_to_cache(tensor("BGTD"), tensor("BGTD"), shared_past()), attention.append_to_cache),
    Call(
        lambda: attention.attention_of_each(
            attention.attention, *(tensor(f"1{heads}TD") for heads in "HGG"), None, [{} for _ in range(SIZES["T"])]
        ),
        attention.attention_of_each,
    ),
    Call(lambda: attention.cached_attention(*qkv("BGTD"), past()), attention.cached_attention),
    Call(lambda: attention.attention(*qkv("BGTD"), cache=past(), window=7), attention.attention),
    Call(lambda: attention.attention(*qkv("BGTD")), attention.attention, S=SIZES["T"]),
    Call(lambda: attention.attention(*qkv("BHTD")), attention.attention, S=SIZES["T"]),
    Call(lambda: attention.attention(*qkv("BGTD"), dropout=0.5), attention.attention, S=SIZES["T"]),
    Call(lambda: attention.attention(*qkv("BGTD"), same_document=one_document()), attention.attention, S=SIZES["T"]),
    Call(lambda: attention.document_numbers(ids("BT"), 0), attention.document_numbers),
    Call(lambda: attention.same_document_mask(ids("BT")), attention.same_document_mask),
    Call(lambda: gpt()(ids("BT"), documents=ids("BT")), Transformer),
    Call(lambda: gpt(n_kv_heads=SIZES["G"], position="rope").h[0].attn(tensor("BTC"), POSITIONS), attention.Attention),
    Call(
        lambda: gpt(n_kv_heads=SIZES["G"]).h[0].attn(tensor("1TC"), POSITIONS, [{} for _ in range(SIZES["T"])]),
        attention.Attention,
        B=1,
    ),
    Call(lambda: layer_norm(tensor("BTC"), tensor("C"), tensor("C")), layer_norm),
    Call(lambda: rms_norm(tensor("BTC"), tensor("C")), rms_norm),
    Call(lambda: residual_norm(tensor("BTC"), tensor("BTC"), tensor("C"), tensor("C"), 1e-5, "layer"), residual_norm),
    Call(lambda: Norm(config(), ModelParts())(tensor("BTC")), Norm),
    Call(lambda: feed_forward(tensor("BTC"), tensor("FC"), tensor("F"), tensor("CF"), tensor("C")), feed_forward),
    Call(lambda: swiglu(tensor("BTC"), tensor("FC"), tensor("FC"), tensor("CF")), swiglu),
    Call(lambda: mlp(tensor("BTC"), "geglu", tensor("FC"), tensor("CF"), tensor("FC")), mlp),
    Call(lambda: FeedForward(config(), ModelParts())(tensor("BTC")), FeedForward),
    Call(lambda: FeedForward(config(feed_forward="swiglu", bias=False), ModelParts())(tensor("BTC")), FeedForward),
    Call(lambda: transformer_block(book_stream(), block_weights(), SIZES["H"], **HALF), transformer_block, **BOOK),
    Call(lambda: gpt().h[0](tensor("BTC"), POSITIONS), Block),
    Call(lambda: transformer.gpt_forward(ids("BT"), book_weights(), 2, SIZES["H"]), transformer.gpt_forward, **BOOK),
    *(
        Call(lambda kind=kind: gpt(position=kind)(ids("BT"), record={}), Transformer)
        for kind in ("learned", "sinusoidal", "rope")
    ),
    Call(lambda: gpt(embedding_norm=True)(ids("BT")), Transformer),
    Call(lambda: gpt(tie_embeddings=False), transformer.Output),
    Call(lambda: transformer.soft_cap(tensor("BTV"), 30.0), transformer.soft_cap),
]


TEXT = [
    Call(lambda: batches.next_token_windows(ids("V")[:36], SIZES["T"], SIZES["T"]), batches.next_token_windows),
    Call(lambda: batches.next_token_windows(ids("G"), SIZES["T"], SIZES["T"]), batches.next_token_windows),
    Call(lambda: batches.random_batch(ids("V"), SIZES["B"], SIZES["T"], generator()), batches.random_batch),
    Call(lambda: batches.Windows(ids("V"), SIZES["T"]).batch(0, SIZES["B"]), batches.Windows),
]


def array(letters: str) -> ndarray:
    return tensor(letters).numpy()


def book_arrays() -> dict[str, ndarray]:
    return {name: value.numpy() for name, value in book_weights().items()}


def block_arrays() -> dict[str, ndarray]:
    return {name: value.numpy() for name, value in block_weights().items()}


def mlp_arrays() -> list[ndarray]:
    return [array("FC"), array("F"), array("CF"), array("C")]


TOKENS = {"N": SIZES["B"] * SIZES["T"]}  # all leading axes as one

BACKPROP = [
    Call(lambda: first_steps.fit_line(array("N"), array("N"), 0.1, 1), first_steps.fit_line),
    Call(
        lambda: first_steps.train_tiny_network(
            array("NI"), array("N"), array("HI"), array("H"), array("H"), 0.0, 0.1, 1
        ),
        first_steps.train_tiny_network,
    ),
    Call(lambda: back_linear.linear(array("BTI"), array("OI"), array("O")), back_linear.linear, **TOKENS),
    Call(lambda: back_linear.linear_backward(array("BTO"), array("BTI"), array("OI")), back_linear.linear_backward),
    Call(lambda: back_linear.rows(array("BTC")), back_linear.rows, **TOKENS),
    Call(lambda: back_attention.softmax(array("BHTS")), back_attention.softmax),
    Call(lambda: back_attention.softmax_backward(array("HTS"), array("HTS")), back_attention.softmax_backward),
    Call(lambda: back_attention.causal_mask(SIZES["T"]), back_attention.causal_mask),
    Call(
        lambda: back_attention.scaled_dot_product_attention(array("HTD"), array("HSD"), array("HSD")),
        *(back_attention.scaled_dot_product_attention, back_attention.attention_weights),
    ),
    Call(
        lambda: back_attention.attention_backward(array("HTD"), array("HTD"), array("HSD"), array("HSD")),
        back_attention.attention_backward,
    ),
    Call(lambda: back_attention.split_heads(book_stream().numpy(), SIZES["H"]), back_attention.split_heads, **BOOK),
    Call(lambda: back_attention.merge_heads(array("BHTD")), back_attention.merge_heads),
    Call(lambda: back_norm.layer_norm(array("BTC"), array("C")), back_norm.layer_norm, back_norm.normalised),
    Call(lambda: back_norm.layer_norm_backward(array("BTC"), array("BTC"), array("C")), back_norm.layer_norm_backward),
    Call(
        lambda: back_feedforward.feed_forward_backward(array("BTC"), array("BTC"), *mlp_arrays()),
        *(back_feedforward.feed_forward_backward, back_feedforward.feed_forward),
        *(back_feedforward.gelu, back_feedforward.gelu_backward, back_feedforward.gate),
    ),
    Call(
        lambda: back_embedding.embed(ids("BT").numpy(), array("VC"), array("LC")),
        *(back_embedding.embed, back_embedding.token_embedding),
    ),
    Call(
        lambda: back_embedding.embedding_backward(array("BTC"), ids("BT").numpy(), SIZES["V"]),
        back_embedding.embedding_backward,
        **TOKENS,
    ),
    Call(lambda: back_embedding.position_backward(array("BTC"), array("LC")), back_embedding.position_backward),
    Call(
        lambda: back_block.block_backward(*[book_stream().numpy()] * 2, block_arrays(), SIZES["H"]),
        *(back_block.block_backward, back_block.transformer_block),
        *(back_attention.multi_head_attention_backward, back_attention.multi_head_attention),
        back_attention.named_attention,
        **BOOK,
    ),
    Call(lambda: back_loss.cross_entropy(array("NV"), ids("N").numpy()), back_loss.cross_entropy),
    Call(lambda: back_loss.cross_entropy_backward(array("NV"), ids("N").numpy()), back_loss.cross_entropy_backward),
    Call(
        lambda: back_transformer.gpt_forward(ids("BT").numpy(), book_arrays(), 2, SIZES["H"]),
        *(back_transformer.gpt_forward, back_transformer.streams, back_transformer.output),
        **BOOK,
    ),
    Call(
        lambda: back_transformer.gpt_backward(ids("BT").numpy(), ids("BT").numpy(), book_arrays(), 2, SIZES["H"]),
        back_transformer.gpt_backward,
        **BOOK,
    ),
]

KERNELS = [
    Call(lambda: fused_rope(tensor("BHTD"), POSITIONS), fused_rope),
    Call(lambda: fused_attention(*qkv("BGTD"), cache=past()), fused_attention),
    Call(lambda: fused_attention(*qkv("BGTD"), same_document=one_document()), fused_attention),
    Call(lambda: fused_attention(*qkv("BGTD"), window=7, cache=past()), fused_attention),
    Call(lambda: fused_attention(*qkv("BGTD"), cache=shared_past()), fused_attention),
    Call(
        lambda: fused.attention_with_shared(tensor("BH1D"), tensor("BGSD"), tensor("BGSD"), shared_past()),
        fused.attention_with_shared,
    ),
    Call(lambda: fused.append_in_place(tensor("BGTD"), tensor("BGTD"), past(), 3), fused.append_in_place, S=2),
    *(
        Call(lambda kind=kind: fused_mlp(tensor("BTC"), kind, tensor("FC"), tensor("CF"), tensor("FC")), fused_mlp)
        for kind in ("gelu", "relu2", "swiglu")
    ),
    Call(lambda: fused_head_loss(tensor("BTC"), tensor("VC"), ids("BT")), fused_head_loss),
]


def next_logits() -> cache.NextLogits:
    return cache.NextLogits(gpt())


def own_model() -> Transformer:
    """A model whose whole forward pass is somebody's own."""
    return Transformer(config(), ModelParts(gpt_forward=lambda ids, *_: torch.zeros(*ids.shape, SIZES["V"])))


def full_cache() -> cache.KVCache:
    filled = cache.KVCache(1)
    filled.layers = [{"k": tensor("BGSD"), "v": tensor("BGSD")}]
    return filled


def lookahead(n_tokens: int) -> None:
    look = contrastive.Lookahead(gpt())
    look.begin(list(range(n_tokens)))
    look.after(ids("K"))
    look.take(1, 0)


GENERATION = [
    Call(lambda: beam.beam_step(tensor("K").numpy(), tensor("KV").numpy(), 4), beam.beam_step),
    Call(lambda: full_cache().reorder([0] * SIZES["B"]), cache.KVCache),
    Call(lambda: next_logits()(ids("T").tolist()), cache.NextLogits.__call__),
    Call(lambda: next_logits().of_each(ids("BT").tolist()), cache.NextLogits.of_each),
    Call(lambda: cache.last_logits(gpt(), ids("BT"), None), cache.last_logits),
    Call(lambda: cache.last_logits(own_model(), ids("BT"), None), cache.last_logits),
    Call(lambda: log_probs_of(gpt(), [1, 2], [3, 4, 5]), log_probs_of),
    Call(lambda: list(generate(gpt(), [1, 2], Beam(beams=2), max_tokens=2)), engine._beams),
    Call(lambda: list(generate(gpt(), [1, 2], Contrastive(top_k=SIZES["K"]), max_tokens=12)), contrastive._search),
    Call(lambda: lookahead(3), contrastive.Lookahead.begin, contrastive.Lookahead.after, S=3),
    Call(lambda: lookahead(3), contrastive.Lookahead.take, S=4),
    Call(lambda: lookahead(SIZES["L"]), contrastive.Lookahead.after, T=SIZES["L"]),
    Call(
        lambda: contrastive.contrastive_scores(tensor("K"), tensor("KC"), tensor("SC"), 0.5),
        contrastive.contrastive_scores,
    ),
    Call(lambda: list(slots.generate_batch(gpt(), [[1, 2], [3]], max_tokens=12, slots=12)), slots.Slots, slots.Row),
    Call(lambda: filters.typical_filter(tensor("BV"), 0.5), filters.typical_filter, filters._until_reached),
    Call(lambda: filters.bias_logits(tensor("V"), dict.fromkeys(range(SIZES["N"]), 1.0)), filters.bias_logits),
    Call(lambda: filters.greedy(tensor("BV")), filters.greedy),
    Call(lambda: filters.top_k_filter(tensor("BV"), 3), filters.top_k_filter),
    Call(lambda: filters.top_p_filter(tensor("BV"), 0.9), filters.top_p_filter),
    Call(lambda: filters.min_p_filter(tensor("BV"), 0.1), filters.min_p_filter),
    Call(lambda: filters.repetition_penalty(tensor("V"), list(range(SIZES["N"])), 1.5), filters.repetition_penalty),
    Call(lambda: filters.sample(tensor("BV"), generator()), filters.sample, N=SIZES["B"]),
    Call(lambda: strategies.finite_logits(tensor("BV"), 0), strategies.finite_logits),
]


def evaluate_two_windows() -> object:
    model = Transformer(ModelConfig(vocab_size=257, context_length=SIZES["T"], n_layers=1))
    return evaluate_text(model.init_weights(generator()), Tokenizer.train("", 257), "ten letters")


EVALUATION = [Call(evaluate_two_windows, evaluate_text, N=11, V=257)]

FOLDABLE = {"embedding_norm": True, "tie_embeddings": False, "position": "rope"}

WEIGHTS = [
    Call(lambda: gpt2.convert_gpt2_weights(gpt2.to_gpt2(book_weights(), 2), 2), gpt2.convert_gpt2_weights, **BOOK),
    Call(lambda: huggingface.with_folded_norm(gpt(**FOLDABLE)), huggingface.with_folded_norm),
]


def flat(method: str, n_params: int) -> flat_optimizer.FlatOptimizer:
    """An optimizer of some 3 by 4 matrices."""
    params = {str(i): torch.nn.Parameter(torch.randn(3, 4)) for i in range(n_params)}
    for param in params.values():
        param.grad = torch.randn(3, 4)
    rules = dict.fromkeys(params, optimizers.Rule(method, 0.0))
    return flat_optimizer.FlatOptimizer(optimizers.OptimizerState(params, rules))


def train_two_steps() -> None:
    small = ["vocab_size=300", "context_length=16", "n_layers=1", "d_model=24", "n_heads=2"]
    short = ["training.steps=2", "training.batch_size=4", "training.warmup_steps=1", "evaluation.batches=2"]
    settings = ["data.corpus=the-verdict", *(f"model.{setting}" for setting in small), *short]
    with tempfile.TemporaryDirectory() as folder:
        train(load_config("first-gpt", settings), run_dir=Path(folder) / "run")


def look_into_a_step() -> object:
    small = ["vocab_size=300", "context_length=16", "n_layers=1", "d_model=24", "n_heads=2"]
    settings = [*(f"model.{setting}" for setting in small), "training.steps=2", "training.batch_size=2"]
    state = new_state(load_config("first-gpt", settings), Parts(), torch.device("cpu"))
    return diagnose.diagnose(state, torch.arange(32).view(2, 16), torch.arange(1, 33).view(2, 16))


def book_step() -> object:
    p = {name: value.requires_grad_() for name, value in book_weights().items()}

    def forward(inputs: Tensor, p: dict[str, Tensor]) -> Tensor:
        return transformer.gpt_forward(inputs, p, 2, SIZES["H"])

    return train_step(forward, p, (ids("BT"), ids("BT")), {}, lr=0.1, max_norm=1.0)


TRAINING = [
    Call(lambda: loss.cross_entropy(tensor("BTV"), ids("BT")), loss.cross_entropy),
    Call(lambda: loss.head_loss(tensor("BTC"), tensor("VC"), ids("BT")), loss.head_loss),
    Call(lambda: clipping.global_norm([tensor("BT")] * SIZES["N"]), clipping.global_norm),
    Call(lambda: precision.mixed_precision_linear(tensor("BTI"), tensor("OI")), precision.mixed_precision_linear),
    Call(lambda: optimizers.muon_orthogonalize(torch.randn(2, 3, 4)), optimizers.muon_orthogonalize, m=3, n=4),
    Call(lambda: flat("adamw", 1), flat_optimizer.FlatOptimizer, flat_optimizer.Segment),
    Call(lambda: list(flat("muon", 2).segments[0].stacks()), flat_optimizer.Segment.stacks, m=3, n=4),
    Call(book_step, train_step),
    Call(look_into_a_step, diagnose.run_again),
    Call(
        train_two_steps,
        *(loop.Loop.learn, loop.held_out_bits, step.take_library_step, step.mean_loss),
        **{"B": 4, "T": 16, "C": 24, "V": 300},
    ),
]


def stub_models() -> object:
    p = {"wte": tensor("VC"), "wpe": tensor("LC"), "ln_f.weight": tensor("C"), "lm_head.weight": tensor("VC")}
    stubs.make("bigram_that_is_used", (), [])(ids("BT"), p)
    return stubs.make("sum_of_losses", ((tensor("I"), torch.zeros(())),), [])((tensor("NI"), tensor("N")))


PATH = [Call(stub_models, stubs.sum_of_losses, stubs.bigram, stubs.bigram_that_is_used)]

CALLS = [*TEXT, *MODEL, *BACKPROP, *KERNELS, *GENERATION, *EVALUATION, *WEIGHTS, *TRAINING, *PATH]
