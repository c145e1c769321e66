"""Token shift: adds to each token's embedding a part of the previous one's.

Shapes: (B, T, width) in and out.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn

from gpt.nn.cache import KeyValueCache
from gpt.spec import embedding


class NoShift(nn.Module):
    """e_t → e_t."""

    def __init__(self, spec: embedding.NoShift, width: int) -> None:
        super().__init__()

    def forward(
        self, x: Tensor, cache: KeyValueCache | None = None, document_ids: Tensor | None = None
    ) -> Tensor:
        """Return the token embeddings *x* unchanged."""
        return x

    def new_cache(self, batch: int, capacity: int, dtype: torch.dtype) -> list[KeyValueCache]:
        """Return no cache, since none is needed."""
        return []


class TokenShift(nn.Module):
    """e_t → e_t + μ ⊙ e_(t-1), with e_(-1) = 0. Peng 2023 (RWKV), arXiv:2305.13048.

    RWKV mixes the inputs of every layer like this; here only the embeddings, as in the "smear" of
    modded-nanogpt.
    """

    def __init__(self, spec: embedding.TokenShift, width: int) -> None:
        super().__init__()
        self.fraction = nn.Parameter(torch.full((width,), spec.fraction))

    def forward(
        self, x: Tensor, cache: KeyValueCache | None = None, document_ids: Tensor | None = None
    ) -> Tensor:
        """Add to each of the token embeddings *x* its fraction of the previous one.

        The token before the first is the last one in *cache*, if given. The first token of each
        document of *document_ids* (B, T) has none before it.
        """
        first = torch.zeros_like(x[:, :1]) if cache is None else self._update_cache(x, cache)
        previous = torch.cat((first, x[:, :-1]), dim=1)
        if document_ids is not None:
            same_document = document_ids.diff(dim=1, prepend=document_ids[:, :1]) == 0
            previous = previous * same_document[:, :, None]
        return x + self.fraction * previous

    def new_cache(self, batch: int, capacity: int, dtype: torch.dtype) -> list[KeyValueCache]:
        """Create a cache of *capacity* token embeddings for *batch* rows.

        It holds their first half as the keys of a single head, and their second half as its values.
        """
        empty = self.fraction.new_empty((batch, 1, capacity, len(self.fraction)), dtype=dtype)
        return [KeyValueCache(*_halves(empty))]

    def _update_cache(self, x: Tensor, cache: KeyValueCache) -> Tensor:
        """Append *x* to *cache*; return the embedding that was its last before: (B, 1, width)."""
        last = torch.cat(cache.last(), dim=-1)[:, 0].to(x.dtype)
        cache.append(*_halves(x[:, None]))
        return last


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """Split (..., width) into two contiguous tensors (..., width / 2)."""
    first, second = x.tensor_split(2, dim=-1)
    return first.contiguous(), second.contiguous()


Shift: TypeAlias = NoShift | TokenShift
