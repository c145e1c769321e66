"""A GPT on one page: attention, MLP, block, model, loss, sampling.

`Config` describes one of two shapes. GPT-2 (Radford 2019) has learned positions, LayerNorm, GELU,
biases, and a head that shares its weights with the embedding. Llama (Touvron 2023,
arXiv:2302.13971) has rotary positions, RMSNorm, SwiGLU, no biases, and a head with its own weights;
several query heads can use the same keys and values.

Parameters are named as in `gpt.model.gpt.GPT`: ``load_state_dict`` takes the weights of that model,
and the logits, losses and gradients are then the same. Read next: `gpt.spec.architecture` for the
parts that a model can have, `gpt.nn` for what each part computes, `gpt.model.gpt` for the assembly.

Shapes: B batch, T tokens, C width, H query heads, K key and value heads, D = C / H, V vocabulary.

>>> config = Config(vocab_size=100, context=8, layers=2, heads=4, kv_heads=2, width=32, hidden=96)
>>> model = GPT(config)
>>> ids = torch.tensor([[1, 2, 3]])
>>> model(ids).shape, model.loss(ids[:, :-1], ids[:, 1:]).shape, model.generate(ids, 4).shape
(torch.Size([1, 3, 100]), torch.Size([]), torch.Size([1, 7]))
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Config:
    """The sizes of a model, and which of the two shapes it has."""

    vocab_size: int  # V
    context: int  # the maximum of T
    layers: int
    heads: int  # H
    kv_heads: int  # K, which divides H; equal to H in GPT-2
    width: int  # C, the size of the residual stream
    hidden: int  # the size between the linears of the MLP
    llama: bool = False  # Llama's shape instead of GPT-2's


class Attention(nn.Module):
    """softmax(q kᵀ / √D) v: a weighted mean of the values at each position and before it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        kv_width = config.width // config.heads * config.kv_heads
        bias = not config.llama
        self.query = nn.Linear(config.width, config.width, bias=bias)
        self.key = nn.Linear(config.width, kv_width, bias=bias)
        self.value = nn.Linear(config.width, kv_width, bias=bias)
        self.output = nn.Linear(config.width, config.width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the tokens of x (B, T, C)."""
        batch, tokens, width = x.shape
        heads, kv_heads = self.config.heads, self.config.kv_heads
        q = self.query(x).view(batch, tokens, heads, -1).transpose(1, 2)  # (B, H, T, D)
        k = self.key(x).view(batch, tokens, kv_heads, -1).transpose(1, 2)  # (B, K, T, D)
        v = self.value(x).view(batch, tokens, kv_heads, -1).transpose(1, 2)  # (B, K, T, D)
        if self.config.llama:
            q, k = rotate(q), rotate(k)
        # H / K consecutive query heads use the same keys and values (arXiv:2305.13245).
        k = k.repeat_interleave(heads // kv_heads, dim=1)  # (B, H, T, D)
        v = v.repeat_interleave(heads // kv_heads, dim=1)  # (B, H, T, D)
        scores = q @ k.mT / math.sqrt(width // heads)  # (B, H, T, T)
        # Position t sees positions 0 to t: the weight of a later one is exp(-inf) = 0.
        future = torch.ones(tokens, tokens, dtype=torch.bool, device=x.device).triu(1)
        weights = scores.masked_fill(future, -math.inf).softmax(-1)
        mixed = (weights @ v).transpose(1, 2).reshape(batch, tokens, width)
        y: Tensor = self.output(mixed)
        return y


def rotate(x: Tensor) -> Tensor:
    """Rotate queries or keys (B, H, T, D) by their positions (RoPE; Su 2021, arXiv:2104.09864).

    Features i and i + D/2 are the coordinates of a point, which position t rotates by the angle
    t · 10000^(-2i/D). The product of a query and a key then depends on their distance only.
    """
    tokens, head_width = x.shape[-2:]
    exponents = torch.arange(0, head_width, 2, device=x.device) / head_width  # (D / 2,)
    angles = torch.outer(torch.arange(tokens, device=x.device), 10_000.0**-exponents)  # (T, D / 2)
    cos, sin = angles.cos(), angles.sin()
    a, b = x.chunk(2, dim=-1)  # (B, H, T, D / 2) each
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


class MLP(nn.Module):
    """W₂ gelu(W₁ x), with the tanh approximation of GELU."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.input = nn.Linear(config.width, config.hidden)
        self.output = nn.Linear(config.hidden, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """Map each token of x (B, T, C) by itself."""
        y: Tensor = self.output(F.gelu(self.input(x), approximate="tanh"))
        return y


class SwiGLU(nn.Module):
    """W₂ (silu(W₁ x) ⊙ W₃ x). Shazeer 2020, arXiv:2002.05202."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gate = nn.Linear(config.width, config.hidden, bias=False)
        self.input = nn.Linear(config.width, config.hidden, bias=False)
        self.output = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map each token of x (B, T, C) by itself."""
        y: Tensor = self.output(F.silu(self.gate(x)) * self.input(x))
        return y


class Block(nn.Module):
    """Attention between tokens, then an MLP on each token; both add to the residual stream."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_norm = norm(config)
        self.attention = Attention(config)
        self.mlp_norm = norm(config)
        self.mlp = SwiGLU(config) if config.llama else MLP(config)

    def forward(self, x: Tensor) -> Tensor:
        """Apply one layer to the residual stream x (B, T, C)."""
        x = x + self.attention(self.attention_norm(x))
        y: Tensor = x + self.mlp(self.mlp_norm(x))
        return y


def norm(config: Config) -> nn.Module:
    """Return a norm over the last dimension, of size C."""
    if config.llama:
        return nn.RMSNorm(config.width, eps=1e-5)  # x / √(mean(x²) + eps) · weight
    return nn.LayerNorm(config.width, eps=1e-5)  # (x - mean) / √(var + eps) · weight + bias


class LearnedPosition(nn.Module):
    """A learned vector for each position."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.context, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """Add the vectors of the first T positions to x (B, T, C)."""
        return x + self.embedding.weight[: x.shape[1]]


class GPT(nn.Module):
    """A decoder-only transformer: predicts each token from those before it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        # Matrix kernels are faster with a multiple of 64. Rows past the vocabulary are unused.
        rows = 64 * math.ceil(config.vocab_size / 64)
        self.embedding = nn.Embedding(rows, config.width)
        self.position = nn.Identity() if config.llama else LearnedPosition(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = norm(config)
        self.head = nn.Linear(config.width, rows, bias=False)
        if not config.llama:
            self.head.weight = self.embedding.weight
        # As in GPT-2; the weights of norms stay one.
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits (B, T, V) of the token after each of *ids* (B, T)."""
        x = self.position(self.embedding(ids))  # (B, T, C)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits[..., : self.config.vocab_size]

    def loss(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy, in nats, of *targets* (B, T), the token after each id."""
        return F.cross_entropy(self(ids).flatten(0, 1), targets.flatten())

    @torch.no_grad()
    def generate(self, ids: Tensor, count: int, temperature: float = 1.0) -> Tensor:
        """Return *ids* (B, T) with *count* sampled tokens after them: (B, T + count).

        Temperature 0 takes the most probable token. Each step recomputes the last `context` tokens;
        `gpt.generation.decoder` caches their keys and values instead.
        """
        for _ in range(count):
            logits = self(ids[:, -self.config.context :])[:, -1]  # (B, V)
            if temperature == 0:
                sampled = logits.argmax(-1, keepdim=True)  # (B, 1)
            else:
                sampled = torch.multinomial((logits / temperature).softmax(-1), 1)  # (B, 1)
            ids = torch.cat((ids, sampled), dim=1)
        return ids
