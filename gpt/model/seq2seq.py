"""`Seq2Seq`: what translation needs of a model of targets, given sources."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from gpt.data.batch import Batch
from gpt.nn.state import Cache


class Seq2Seq(Protocol):
    """An `EncoderDecoder` or a `Recurrent`. B: batch size, S: source tokens, V: vocabulary size."""

    @property
    def context(self) -> int:
        """Most tokens of a source, and of a target."""

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""

    @property
    def device(self) -> torch.device:
        """Device of the weights, where ids are expected."""

    def start(self, sources: Tensor) -> Cache:
        """Read *sources*, ids (B, S) padded with `NO_TOKEN`; return rows of targets without tokens.

        Raises ValueError for sources that are longer than the context.
        """

    def step(self, ids: Tensor, cache: Cache) -> Tensor:
        """Add *ids* (B, T) to the targets of *cache*; return the logits (B, V) after them."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Return the logits (B, T, V) of the targets of a batch."""


def sources_of(batch: Batch) -> Tensor:
    """Return the sources of *batch*; raises ValueError without."""
    if batch.sources is None:
        raise ValueError("a model of pairs needs the sources of a batch")
    return batch.sources


def check_sources(sources: Tensor, context: int) -> Tensor:
    """Return *sources*, ids (B, S); raises ValueError if they are longer than *context*."""
    if sources.shape[1] > context:
        raise ValueError(f"{sources.shape[1]} tokens do not fit the context of {context}")
    return sources
