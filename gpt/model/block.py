"""`Block`: one layer of a transformer."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from gpt.nn.build import ATTENTIONS, MLPS, NORMS
from gpt.nn.cache import KeyValueCache
from gpt.nn.dropout import Dropout
from gpt.nn.position import PositionEncoding, Positions
from gpt.spec.architecture import Architecture


class Block(nn.Module):
    """x → x + attention(norm(x)) → x + mlp(norm(x)): pre-norm, as in GPT-2."""

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        spec, width = architecture, architecture.width
        self.attention_norm = NORMS[type(spec.norm)](spec.norm, width)
        self.attention = ATTENTIONS[type(spec.attention)](spec.attention, architecture, layer)
        self.mlp_norm = NORMS[type(spec.norm)](spec.norm, width)
        self.mlp = MLPS[type(spec.mlp)](spec.mlp, width, spec.hidden, spec.bias)
        self.dropout = Dropout(spec.dropout)

    def forward(
        self,
        x: Tensor,
        position: PositionEncoding,
        positions: Positions,
        cache: KeyValueCache | None,
        value_embedding: Tensor | None = None,
        same_document: Tensor | None = None,
    ) -> Tensor:
        """Apply the block to x (B, T, width); the other arguments are those of its attention."""
        attended = self.attention(
            self.attention_norm(x), position, positions, cache, value_embedding, same_document
        )
        x = x + self.dropout(attended)
        mapped: Tensor = self.mlp(self.mlp_norm(x))
        return x + cast(Tensor, self.dropout(mapped))
