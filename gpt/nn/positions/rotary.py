"""Rotary position embedding."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from gpt.errors import ConfigError
from gpt.nn.positions.encoding import PositionEncoding, Positions
from gpt.nn.positions.scaling import Scaling
from gpt.nn.positions.tables import FIRST_POSITIONS, angles, frequencies, growing, lookup
from gpt.nn.site import Site
from gpt.spec import position


class RotaryPosition(PositionEncoding):
    """(a, b)_i → rotated by the angle t · θ^(-2i/R). Su 2021 (RoFormer), arXiv:2104.09864.

    R features are rotated, in pairs: feature i with i + R/2, the layout of GPT-NeoX and of Llama in
    transformers, or interleaved, 2i with 2i + 1, that of the paper. Features from R on are
    unchanged. The frequencies can be scaled: `gpt.nn.positions.scaling`.
    """

    def __init__(self, spec: position.Rope, site: Site) -> None:
        super().__init__()
        self.context = site.architecture.context
        self.scaling: Scaling | None = site.build(spec.scaling)
        self.tables = nn.ModuleDict(
            {
                str(width): RotaryTables(spec, width, self.scaling, self.context)
                for width in site.architecture.rotated_widths
            }
        )

    def reserve(self, positions: int) -> None:
        """Make other tables if rows of *positions* tokens need them."""
        for tables in self.tables.values():
            cast(RotaryTables, tables).reserve(positions)

    def check_decoding(self) -> None:
        """Raise ConfigError if rotations change with the length: kept keys are rotated already."""
        scaling = self.scaling
        if scaling is not None and scaling.dynamic and self.context > scaling.original_context:
            raise ConfigError(
                "position.scaling DynamicNTK rotates all keys again as a text grows past its "
                f"original_context, {scaling.original_context}, so it cannot decode in a context "
                f"of {self.context}; choose NTK or YaRN, or a context of at most "
                f"{scaling.original_context}"
            )

    def rotate(self, x: Tensor, positions: Positions) -> Tensor:
        """Rotate queries or keys (B, H, T, head_width); the dtype is preserved."""
        y: Tensor = self.tables[str(x.shape[-1])](x, positions)
        return y


class RotaryTables(nn.Module):
    """The cosines and sines for heads of one width: (positions, R) each."""

    cos: Tensor
    sin: Tensor

    def __init__(
        self, spec: position.Rope, head_width: int, scaling: Scaling | None, context: int
    ) -> None:
        super().__init__()
        self.width, self.theta = spec.rotary_width(head_width), spec.theta
        self.interleaved, self.scaling = spec.interleaved, scaling
        self.tokens = 0
        """Length of the rows for which the frequencies are, if they depend on it."""
        cos, sin = self._tables(min(context, FIRST_POSITIONS))
        # Not persistent: the tables follow from the config.
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, x: Tensor, positions: Positions) -> Tensor:
        """Rotate the first R features of x (B, H, T, head_width)."""
        cos, sin = (
            lookup(table, positions, x.shape[-2]).unsqueeze(-3) for table in (self.cos, self.sin)
        )
        features, rest = x[..., : self.width], x[..., self.width :]
        rotated = features * cos.to(x.dtype) + self._swapped(features) * sin.to(x.dtype)
        return torch.cat((rotated, rest), dim=-1) if rest.shape[-1] else rotated

    def reserve(self, positions: int) -> None:
        """Make tables for rows of *positions* tokens if these are not."""
        tokens = 0
        if self.scaling is not None and self.scaling.dynamic:
            tokens = positions if positions > self.scaling.original_context else 0
        if positions > len(self.cos) or tokens != self.tokens:
            self.tokens = tokens
            with growing():
                cos, sin = self._tables(max(2 * positions, len(self.cos)))
                self.cos, self.sin = cos.to(self.cos.device), sin.to(self.sin.device)

    def _swapped(self, x: Tensor) -> Tensor:
        """Exchange the two features of each pair."""
        if self.interleaved:
            return x.view(*x.shape[:-1], -1, 2).flip(-1).flatten(-2)
        return x.roll(self.width // 2, dims=-1)

    def _tables(self, positions: int) -> tuple[Tensor, Tensor]:
        """Return the cosines and the sines of all angles.

        The sines of the first features of the pairs are negated: the rotation is
        x · cos + swapped(x) · sin.
        """
        per_token, factor = frequencies(self.width, self.theta), 1.0
        if self.scaling is not None:
            per_token = self.scaling.scaled(per_token, self.theta, self.tokens)
            factor = self.scaling.rotation_factor
        t = angles(positions, per_token)
        pairs = (t.cos(), t.cos()), (-t.sin(), t.sin())
        join = _alternate if self.interleaved else torch.cat
        cos, sin = (factor * join(pair, dim=-1) for pair in pairs)
        return cos.float(), sin.float()


def _alternate(pair: tuple[Tensor, Tensor], dim: int) -> Tensor:
    return torch.stack(pair, dim).flatten(-2)
