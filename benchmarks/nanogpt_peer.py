"""nanoGPT's set-up for characters on a CPU, stated again in a few lines, as the peer of `training_speed.py`.

The same architecture (fused attention, one product for q, k and v, no biases, tied output), the same loss, clipping,
optimizer (torch's AdamW with its default loop on a CPU) and schedule. What it leaves out is what a step does not need:
logging, evaluation, checkpoints.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, d_model: int, n_heads: int, gelu: str) -> None:
        super().__init__()
        self.n_heads, self.gelu = n_heads, gelu
        self.ln_1, self.ln_2 = nn.LayerNorm(d_model, bias=False), nn.LayerNorm(d_model, bias=False)
        self.qkv, self.out = nn.Linear(d_model, 3 * d_model, bias=False), nn.Linear(d_model, d_model, bias=False)
        self.up, self.down = nn.Linear(d_model, 4 * d_model, bias=False), nn.Linear(4 * d_model, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        heads = (b, t, self.n_heads, c // self.n_heads)
        q, k, v = (part.view(heads).transpose(1, 2) for part in self.qkv(self.ln_1(x)).split(c, dim=2))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).contiguous().view(b, t, c))
        return x + self.down(functional.gelu(self.up(self.ln_2(x)), approximate=self.gelu))


class Peer(nn.Module):
    def __init__(
        self,
        vocab_size: int = 65,
        context_length: int = 64,
        n_layers: int = 4,
        d_model: int = 128,
        n_heads: int = 4,
        gelu: str = "none",
    ):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab_size, d_model), nn.Embedding(context_length, d_model)
        self.blocks = nn.ModuleList(Block(d_model, n_heads, gelu) for _ in range(n_layers))
        self.ln_f = nn.LayerNorm(d_model, bias=False)
        self.head = nn.Linear(d_model, vocab_size, bias=False)
        self.head.weight = self.wte.weight
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                deviation = 0.02 / math.sqrt(2 * n_layers) if name.endswith(("out.weight", "down.weight")) else 0.02
                nn.init.normal_(parameter, std=deviation)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.ln_f(x))
        return functional.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))


class PeerTrainer:
    """Random windows of a character text, one AdamW step each."""

    def __init__(
        self,
        data: Tensor,
        batch_size: int = 12,
        context_length: int = 64,
        max_steps: int = 2000,
        gelu: str = "none",
        **shape: int,
    ):
        self.model = Peer(context_length=context_length, gelu=gelu, **shape)
        self.data, self.batch_size, self.context_length, self.max_steps = data, batch_size, context_length, max_steps
        decay = [parameter for parameter in self.model.parameters() if parameter.dim() >= 2]
        rest = [parameter for parameter in self.model.parameters() if parameter.dim() < 2]
        groups = [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))
        self.done = 0

    def step(self) -> float:
        starts = torch.randint(len(self.data) - self.context_length, (self.batch_size,))
        inputs = torch.stack([self.data[i : i + self.context_length] for i in starts])
        targets = torch.stack([self.data[i + 1 : i + 1 + self.context_length] for i in starts])
        progress = max(0.0, (self.done - 100) / (self.max_steps - 100))
        rate = 1e-3 * (self.done + 1) / 101 if self.done < 100 else 1e-4 + 0.45e-3 * (1 + math.cos(math.pi * progress))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self.model(inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1
        return loss.item()
