"""Position encodings that differ from layer to layer."""

from __future__ import annotations

from typing import cast

from torch import nn

from gpt.nn.positions.encoding import PositionEncoding
from gpt.nn.site import Site
from gpt.spec import position


class InterleavedPositions(PositionEncoding):
    """Layer l has encoding l mod n of the n given ones; none is one, too (NoPE).

    Yang 2025, arXiv:2501.18795.
    """

    def __init__(self, spec: position.InterleavedPositions, site: Site) -> None:
        super().__init__()
        layers, count = range(site.architecture.layers), len(spec.layers)
        # An encoding that no layer has would have weights without gradients.
        self.encodings = nn.ModuleList(
            site.serving(layers[first::count]).build(each) or PositionEncoding()
            for first, each in enumerate(spec.layers[: len(layers)])
        )

    def reserve(self, positions: int) -> None:
        """Prepare all for rows of *positions* tokens."""
        for each in self.encodings:
            cast(PositionEncoding, each).reserve(positions)

    def check_decoding(self) -> None:
        """Raise ConfigError if one of them cannot decode."""
        for each in self.encodings:
            cast(PositionEncoding, each).check_decoding()

    def in_layer(self, layer: int) -> PositionEncoding:
        """Return the encoding of *layer*, from 0."""
        encoding = cast(PositionEncoding, self.encodings[layer % len(self.encodings)])
        return encoding.in_layer(layer)
