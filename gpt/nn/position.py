"""Position encodings.

An encoding has four hooks, all optional: `embed` changes the token embeddings, `rotate` the queries
and keys of every layer, `score_bias` is added to the scores of attention, and `value_bias` to its
outputs. Where only distances matter, positions are those in the row; `embed` gets positions that
restart at each document of a row.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from typing import ClassVar, TypeAlias, cast

import torch
from torch import Tensor, nn

from gpt.nn.mechanism import ExportNames, Mechanism
from gpt.nn.site import Site
from gpt.spec import position

Positions: TypeAlias = int | Tensor
"""Positions of a batch of tokens: the position of the first token of every row, or a tensor of all
positions, int64 (B, T)."""


FIRST_POSITIONS = 1 << 15
"""Positions that a table has at first, at most. It grows with the texts, so that a long context in
a config takes no memory."""


class PositionEncoding(Mechanism):
    """No encoding: every hook is the identity. B: batch size, T: queries, S: keys, H: heads."""

    biases_scores: ClassVar[bool] = False
    """Whether `score_bias` is defined."""
    biases_values: ClassVar[bool] = False
    """Whether `value_bias` is defined. It needs the weights of attention, which no fused kernel
    returns."""

    def reserve(self, positions: int) -> None:
        """Prepare for tokens at the first *positions* positions, before a forward pass."""

    def in_layer(self, layer: int) -> PositionEncoding:
        """Return the encoding of *layer*, from 0, with the hooks of attention."""
        return self

    def embed(self, x: Tensor, positions: Positions) -> Tensor:
        """Return the token embeddings x (B, T, width) with their *positions*."""
        return x

    def rotate(self, x: Tensor, positions: Positions) -> Tensor:
        """Return queries or keys x (B, H, T, head_width) at *positions*, in the same dtype."""
        return x

    def score_bias(self, queries: Tensor, positions: Tensor, keys: Tensor) -> Tensor | None:
        """Return what is added to the scores of *queries* (B, H, T, head_width), or None.

        *positions* are theirs and *keys* those of the keys: int64, (B or 1, T, 1) and
        (B or 1, 1, S). The result broadcasts to (B, H, T, S).
        """
        return None

    def value_bias(self, weights: Tensor, positions: Tensor, keys: Tensor) -> Tensor:
        """Return what is added to the outputs of attention, (B, H, T, head_width).

        *weights* are those of the values, (B, H, T, S); *positions* and *keys* as in `score_bias`.
        """
        raise NotImplementedError


class LearnedPosition(PositionEncoding):
    """x_t → x_t + p_t. Radford 2018 (GPT)."""

    EXPORT_NAMES: ClassVar[ExportNames] = {
        "gpt2": {"transformer.wpe": ("embedding",)},
        "gguf": {"position_embd": ("embedding",)},
    }

    def __init__(self, spec: position.Learned, site: Site) -> None:
        super().__init__()
        self.embedding = nn.Embedding(site.architecture.context, site.width)

    def embed(self, x: Tensor, positions: Positions) -> Tensor:
        """Add the vectors of *positions* to x (B, T, width)."""
        return x + _lookup(self.embedding.weight, positions, x.shape[1])


class SinusoidalPosition(PositionEncoding):
    """x_t → √width x_t + p_t, with p_t,2i = sin(t θ^(-2i/width)), p_t,2i+1 = cos of the same.

    Vaswani 2017, arXiv:1706.03762, sections 3.4 and 3.5.
    """

    table: Tensor

    def __init__(self, spec: position.Sinusoidal, site: Site) -> None:
        super().__init__()
        self.scale = math.sqrt(site.width) if spec.scale_embedding else 1.0
        self.width, self.theta = site.width, spec.theta
        # Not persistent: the table follows from the config.
        first = min(site.architecture.context, FIRST_POSITIONS)
        self.register_buffer("table", self._table(first), persistent=False)

    def reserve(self, positions: int) -> None:
        """Make a longer table if need be."""
        if positions > len(self.table):
            with _growing():
                self.table = self._table(2 * positions).to(self.table.device)

    def _table(self, positions: int) -> Tensor:
        angles = _angles(positions, self.width, self.theta)
        return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1).float()

    def embed(self, x: Tensor, positions: Positions) -> Tensor:
        """Add the vectors of *positions* to x (B, T, width), scaled."""
        return x * self.scale + _lookup(self.table, positions, x.shape[1])


class RotaryPosition(PositionEncoding):
    """(a, b)_i → rotated by the angle t · theta^(-2i/R). Su 2021 (RoFormer), arXiv:2104.09864.

    R features are rotated, feature i paired with i + R/2: the layout of GPT-NeoX, and of Llama in
    transformers. Features from R on are unchanged.
    """

    def __init__(self, spec: position.Rope, site: Site) -> None:
        super().__init__()
        first = min(site.architecture.context, FIRST_POSITIONS)
        self.tables = nn.ModuleDict(
            {
                str(width): RotaryTables(spec.rotary_width(width), spec.theta, first)
                for width in site.architecture.rotated_widths
            }
        )

    def reserve(self, positions: int) -> None:
        """Make longer tables if need be."""
        for tables in self.tables.values():
            cast(RotaryTables, tables).reserve(positions)

    def rotate(self, x: Tensor, positions: Positions) -> Tensor:
        """Rotate queries or keys (B, H, T, head_width); the dtype is preserved."""
        y: Tensor = self.tables[str(x.shape[-1])](x, positions)
        return y


class RotaryTables(nn.Module):
    """The cosines and sines of *width* features: (positions, width) each."""

    cos: Tensor
    sin: Tensor

    def __init__(self, width: int, theta: float, positions: int) -> None:
        super().__init__()
        self.width, self.theta = width, theta
        cos, sin = self._tables(positions)
        # Not persistent: the tables follow from the config.
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, x: Tensor, positions: Positions) -> Tensor:
        """Rotate the first *width* features of x (B, H, T, head_width)."""
        cos, sin = (
            _lookup(table, positions, x.shape[-2]).unsqueeze(-3) for table in (self.cos, self.sin)
        )
        features, rest = x[..., : self.width], x[..., self.width :]
        swapped = features.roll(self.width // 2, dims=-1)
        rotated = features * cos.to(x.dtype) + swapped * sin.to(x.dtype)
        return torch.cat((rotated, rest), dim=-1) if rest.shape[-1] else rotated

    def reserve(self, positions: int) -> None:
        """Make longer tables if need be."""
        if positions > len(self.cos):
            with _growing():
                cos, sin = self._tables(2 * positions)
                self.cos, self.sin = cos.to(self.cos.device), sin.to(self.sin.device)

    def _tables(self, positions: int) -> tuple[Tensor, Tensor]:
        """Return the cosines and the sines of all angles."""
        angles = _angles(positions, self.width, self.theta).repeat(1, 2)
        # The first half of the sines is negated: the rotation is x · cos + swap_halves(x) · sin.
        sin = angles.sin()
        sin[:, : self.width // 2].neg_()
        return angles.cos().float(), sin.float()


class ALiBiPosition(PositionEncoding):
    """score(q_i, k_j) → score - m_h |i - j|, m_h = 2^(-8h/H) for head h of H, from 1.

    Press 2021, arXiv:2108.12409. If H is no power of two, the heads past the largest one below it
    take every other slope of twice as many heads, as in the authors' code.
    """

    biases_scores = True

    def __init__(self, spec: position.ALiBi, site: Site) -> None:
        super().__init__()
        for layer in range(site.architecture.layers):
            heads = site.architecture.attention_in(layer).heads
            slopes = torch.tensor(alibi_slopes(heads))[:, None, None]
            self.register_buffer(f"slopes{heads}", slopes, persistent=False)

    def score_bias(self, queries: Tensor, positions: Tensor, keys: Tensor) -> Tensor:
        """Return the negative distances times the slopes: (B or 1, H, T, S)."""
        slopes: Tensor = getattr(self, f"slopes{queries.shape[1]}")
        return -slopes * (positions - keys).abs()[:, None]


def alibi_slopes(heads: int) -> list[float]:
    """Return the slope of each of *heads* heads.

    >>> alibi_slopes(4)
    [0.25, 0.0625, 0.015625, 0.00390625]
    """
    power = 1 << (heads.bit_length() - 1)
    slopes = [2 ** (-8 * head / power) for head in range(1, power + 1)]
    more = [2 ** (-4 * head / power) for head in range(1, 2 * power + 1, 2)]
    return slopes + more[: heads - power]


def _growing() -> AbstractContextManager[None]:
    """Return a context for tables that are made in a forward pass, also while generating.

    Training could not use tensors that are made in inference mode.
    """
    return torch.inference_mode(False)


def _angles(count: int, features: int, theta: float) -> Tensor:
    """Return t · theta^(-2i/features) for *count* positions t: (count, features / 2), float64."""
    exponents = torch.arange(0, features, 2, dtype=torch.float64) / features
    return torch.outer(torch.arange(count, dtype=torch.float64), theta**-exponents)


def _lookup(table: Tensor, positions: Positions, tokens: int) -> Tensor:
    """Return the rows of *table* at *positions*: (T, ...) for all rows, or (B, T, ...)."""
    return table[positions : positions + tokens] if isinstance(positions, int) else table[positions]
