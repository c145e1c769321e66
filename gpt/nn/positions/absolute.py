"""Encodings of absolute positions, which change the token embeddings."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gpt.nn.positions.encoding import PositionEncoding, Positions
from gpt.nn.positions.tables import FIRST_POSITIONS, angles, frequencies, growing, lookup
from gpt.nn.site import Site
from gpt.spec import position


class LearnedPosition(PositionEncoding):
    """x_t → x_t + p_t. Radford 2018 (GPT)."""

    def __init__(self, spec: position.Learned, site: Site) -> None:
        super().__init__()
        self.embedding = nn.Embedding(site.architecture.context, site.width)

    def embed(self, x: Tensor, positions: Positions) -> Tensor:
        """Add the vectors of *positions* to x (B, T, width)."""
        return x + lookup(self.embedding.weight, positions, x.shape[1])


class SinusoidalPosition(PositionEncoding):
    """x_t → √width x_t + p_t, with p_t,2i = sin(t θ^(-2i/width)), p_t,2i+1 = cos of the same.

    Vaswani 2017, arXiv:1706.03762, sections 3.4 and 3.5. Concatenated, p_t has all sines first, as
    in the authors' tensor2tensor.
    """

    table: Tensor

    def __init__(self, spec: position.Sinusoidal, site: Site) -> None:
        super().__init__()
        self.scale = math.sqrt(site.width) if spec.scale_embedding else 1.0
        self.width, self.theta, self.concatenated = site.width, spec.theta, spec.concatenated
        # Not persistent: the table follows from the config.
        first = min(site.architecture.context, FIRST_POSITIONS)
        self.register_buffer("table", self._table(first), persistent=False)

    def reserve(self, positions: int) -> None:
        """Make a longer table if need be."""
        if positions > len(self.table):
            with growing():
                self.table = self._table(2 * positions).to(self.table.device)

    def _table(self, positions: int) -> Tensor:
        t = angles(positions, frequencies(self.width, self.theta))
        if self.concatenated:
            return torch.cat((t.sin(), t.cos()), dim=1).float()
        return torch.stack((t.sin(), t.cos()), dim=-1).flatten(1).float()

    def embed(self, x: Tensor, positions: Positions) -> Tensor:
        """Add the vectors of *positions* to x (B, T, width), scaled."""
        return x * self.scale + lookup(self.table, positions, x.shape[1])
