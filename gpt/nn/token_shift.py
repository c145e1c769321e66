"""Shifts: what of the token before is embedded with each. Shapes: (B, T, width) in and out."""

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
        """Leave the embedded tokens *x* as they are."""
        return x

    def new_cache(self, batch: int, capacity: int, dtype: torch.dtype) -> list[KeyValueCache]:
        """Nothing is kept."""
        return []


class TokenShift(nn.Module):
    """e_t → e_t + μ ⊙ e_(t-1), the first token having none before it. Peng 2023, arXiv:2305.13048.

    RWKV mixes the inputs of every layer so; here it is the embedding alone, as in the "smear" of
    modded-nanogpt.
    """

    def __init__(self, spec: embedding.TokenShift, width: int) -> None:
        super().__init__()
        self.fraction = nn.Parameter(torch.full((width,), spec.fraction))

    def forward(
        self, x: Tensor, cache: KeyValueCache | None = None, document_ids: Tensor | None = None
    ) -> Tensor:
        """Add to each of the embedded tokens *x* its share of the one before it.

        The first ones' is the last that *cache*, if any, was given. The first token of each of
        *document_ids* (B, T) has none.
        """
        first = torch.zeros_like(x[:, :1]) if cache is None else self._last(x, cache)
        before = torch.cat((first, x[:, :-1]), dim=1)
        if document_ids is not None:
            same = document_ids.diff(dim=1, prepend=document_ids[:, :1]) == 0
            before = before * same[:, :, None]
        return x + self.fraction * before

    def new_cache(self, batch: int, capacity: int, dtype: torch.dtype) -> list[KeyValueCache]:
        """Make one for *capacity* embedded tokens of *batch* rows.

        Their first half are the keys of a single head, their second half its values.
        """
        empty = self.fraction.new_empty((batch, 1, capacity, len(self.fraction)), dtype=dtype)
        return [KeyValueCache(*_halves(empty))]

    def _last(self, x: Tensor, cache: KeyValueCache) -> Tensor:
        """Give *x* to *cache*, and return the token that was its last before: (B, 1, width)."""
        last = torch.cat(cache.last(), dim=-1)[:, 0].to(x.dtype)
        cache.append(*_halves(x[:, None]))
        return last


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """(..., width) → (..., width / 2) twice, each with memory of its own."""
    first, second = x.tensor_split(2, dim=-1)
    return first.contiguous(), second.contiguous()


Shift: TypeAlias = NoShift | TokenShift
