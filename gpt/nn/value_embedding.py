"""Value embeddings: what tokens add to their values beside what the stream says."""

from __future__ import annotations

from typing import TypeAlias

from torch import Tensor, nn

from gpt.spec import architecture, embedding


class NoValueEmbedding(nn.Module):
    """None, in any layer."""

    def __init__(
        self, spec: embedding.NoValueEmbedding, architecture: architecture.Architecture, rows: int
    ) -> None:
        super().__init__()

    def forward(self, ids: Tensor, layer: int) -> Tensor | None:
        """Nothing for *ids*."""
        return None


class ValueEmbedding(nn.Module):
    """v_t → v_t + e(id_t), with a table for each layer that has it. Jordan 2024, modded-nanogpt."""

    def __init__(
        self, spec: embedding.ValueEmbedding, architecture: architecture.Architecture, rows: int
    ) -> None:
        super().__init__()
        layers = range(architecture.layers)
        size = architecture.attention.kv_heads * architecture.head_width
        self.tables = nn.ModuleDict(
            {
                str(layer): nn.Embedding(rows, size)
                for layer in {*layers[: spec.ends], *layers[-spec.ends :]}
            }
        )

    def forward(self, ids: Tensor, layer: int) -> Tensor | None:
        """Vectors of *ids* (B, T) for *layer*: (B, T, kv_heads · head_width), or None."""
        name = str(layer)
        return self.tables[name](ids) if name in self.tables else None


Values: TypeAlias = NoValueEmbedding | ValueEmbedding
