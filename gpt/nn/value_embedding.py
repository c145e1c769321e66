"""Value embeddings: learned vectors of tokens that are added to the values of attention."""

from __future__ import annotations

from typing import TypeAlias

from torch import Tensor, nn

from gpt.spec import architecture, embedding


class NoValueEmbedding(nn.Module):
    """v_t → v_t."""

    def __init__(
        self, spec: embedding.NoValueEmbedding, architecture: architecture.Architecture, rows: int
    ) -> None:
        super().__init__()

    def forward(self, ids: Tensor, layer: int) -> Tensor | None:
        """Return None for every layer."""
        return None


class ValueEmbedding(nn.Module):
    """v_t → v_t + e(id_t), with a table per layer that has one. Jordan 2024, modded-nanogpt."""

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
        """Return vectors of *ids* (B, T) for *layer*: (B, T, kv_heads · head_width), or None."""
        name = str(layer)
        return self.tables[name](ids) if name in self.tables else None


ValueEmbeddings: TypeAlias = NoValueEmbedding | ValueEmbedding
