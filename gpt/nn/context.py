"""`Context`: what the layers of a model need besides the residual stream."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from gpt.data.batch import PADDING
from gpt.nn.positions.encoding import PositionEncoding, Positions

if TYPE_CHECKING:
    from gpt.nn.attention.patterns import Pattern

Made = TypeVar("Made")


class Memory(NamedTuple):
    """What an encoder has read. B: batch size, S: tokens of the longest source."""

    hidden: Tensor
    """The outputs of the encoder, (B, S, width)."""
    mask: Tensor
    """Which of them are tokens, bool (B, S); the others pad shorter sources."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """The tokens of a forward pass. B: batch size, T: tokens."""

    ids: Tensor
    """Token ids, (B, T) int64."""
    starts: Sequence[int]
    """Number of tokens of each row before these: one number if it is the same for all rows."""
    positions: Positions
    """Positions of the tokens in their row: of the first one, or (B, T) if rows differ."""
    position: PositionEncoding
    """The position encoding of the model."""
    value_embedding: Tensor | None = None
    """What this layer adds to the values of attention, (B, T, kv_heads · head_width)."""
    value_residual: Callable[[Tensor], Tensor] | None = None
    """What mixes these values with those of the first layer."""
    document_ids: Tensor | None = None
    """Which tokens are of one document, (B, T). None if each row is a single text."""
    document_positions: Tensor | None = None
    """Positions of the tokens in their documents, (B, T). None if each row is a single text."""
    memory: Memory | None = None
    """What cross attention attends to."""
    _made: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what *make* returns, which is called once in a forward pass for all of *key*."""
        if key not in self._made:
            self._made[key] = make()
        made: Made = self._made[key]
        return made

    @property
    def counted(self) -> Tensor | None:
        """Which ids are tokens, not padding, bool (B, T). None if all are."""
        return None if self.document_ids is None else self.document_ids != PADDING

    def mixed_values(self, values: Tensor) -> Tensor:
        """Return the *values* of attention, (B, T, kv_heads · head_width), as the model has them.

        That is with their embedding added, and mixed with those of the first layer.
        """
        if self.value_embedding is not None:
            values = values + self.value_embedding.to(values.dtype)
        return values if self.value_residual is None else self.value_residual(values)

    def allowed(self, pattern: Pattern, keys: int) -> Tensor:
        """Return which of *keys* tokens, the last of them these, each of these attends to.

        bool, broadcasting to (B, H, T, keys). Made once for all layers of the same pattern.
        """
        return self.once((pattern.key, keys), lambda: self._allowed(pattern, keys))

    def _allowed(self, pattern: Pattern, keys: int) -> Tensor:
        if self.document_positions is None or self.document_ids is None:
            end = self.starts[0] + self.ids.shape[1]
            positions = torch.arange(end - keys, end, device=self.ids.device)[None, None]
            queries = positions[..., -self.ids.shape[1] :, None]
            return pattern.allowed(queries, positions[..., None, :])
        positions, ids = self.document_positions[:, None], self.document_ids[:, None]
        found = pattern.allowed(positions[..., None], positions[..., None, :])
        return found & (ids[..., None] == ids[..., None, :])
