"""`Site`: what a mechanism is built for, besides its own spec."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpt.spec.architecture import Architecture


@dataclass(frozen=True, kw_only=True)
class Site:
    """The model and the position in it that a mechanism is built for."""

    architecture: Architecture
    vocab_size: int
    """Number of token ids."""
    width: int
    """Width of the inputs."""
    layer: int = 0
    """Index of the block, from 0."""
    cross: bool = False
    """Whether blocks also attend to a memory: the outputs of an encoder."""
    serves: Sequence[int] | None = None
    """Indices of the blocks that a mechanism outside the blocks serves. None for all."""
    table: Mapping[type, Callable[[Any, Site], Any]]
    """`gpt.nn.build.MECHANISMS`, for mechanisms that consist of others."""

    @property
    def vocab_rows(self) -> int:
        """Rows of tables of tokens: the vocabulary, padded to a multiple of 64 (nanoGPT).

        Matrix kernels are faster for such sizes. The rows past the vocabulary are never read,
        sampled or trained.
        """
        return -(-self.vocab_size // 64) * 64

    @property
    def heads(self) -> int:
        """Number of query heads of the block."""
        return self.architecture.attention_in(self.layer).heads

    @property
    def served_layers(self) -> Sequence[int]:
        """Indices of the blocks that a mechanism outside the blocks serves."""
        return range(self.architecture.layers) if self.serves is None else self.serves

    def build(self, spec: Any) -> Any:
        """Build the mechanism of *spec*; None for None."""
        return None if spec is None else self.table[type(spec)](spec, self)

    def at(self, layer: int) -> Site:
        """Return the site of the same model in block *layer*."""
        return dataclasses.replace(self, layer=layer)

    def serving(self, layers: Sequence[int]) -> Site:
        """Return the site of a mechanism outside the blocks that serves the blocks *layers*."""
        return dataclasses.replace(self, serves=layers)

    def of_width(self, width: int) -> Site:
        """Return the site for inputs of *width*."""
        return dataclasses.replace(self, width=width)
