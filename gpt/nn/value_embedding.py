"""Value embeddings: learned vectors of tokens that are added to the values of attention."""

from __future__ import annotations

from torch import Tensor, nn

from gpt.nn.mechanism import Mechanism, TokenEmbedding
from gpt.nn.site import Site
from gpt.spec import embedding


class ValueEmbedding(Mechanism):
    """v_t → v_t + e(id_t), with a table per layer that has one. Jordan 2024, modded-nanogpt."""

    def __init__(self, spec: embedding.ValueEmbedding, site: Site) -> None:
        super().__init__()
        architecture = site.architecture
        self.tables = nn.ModuleDict()
        for layer in spec.layers(architecture.layers):
            size = architecture.attention_in(layer).value_width(site.width)
            self.tables[str(layer)] = TokenEmbedding(site.vocab_rows, size)

    def forward(self, ids: Tensor, layer: int) -> Tensor | None:
        """Return vectors of *ids* (B, T) for *layer*: (B, T, kv_heads · head_width), or None."""
        name = str(layer)
        return self.tables[name](ids) if name in self.tables else None
