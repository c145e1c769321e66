"""Attention with linear biases."""

from __future__ import annotations

import torch
from torch import Tensor

from gpt.nn.positions.encoding import PositionEncoding
from gpt.nn.site import Site
from gpt.spec import position


class ALiBiPosition(PositionEncoding):
    """``score(q_i, k_j) → score - m_h |i - j|``, m_h = 2^(-8h/H) for head h of H, from 1.

    Press 2021, arXiv:2108.12409. If H is no power of two, the heads past the largest one below it
    take every other slope of twice as many heads, as in the authors' code.
    """

    biases_scores = True

    def __init__(self, spec: position.ALiBi, site: Site) -> None:
        super().__init__()
        for layer in site.served_layers:
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
