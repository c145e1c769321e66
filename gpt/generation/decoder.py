"""Decoding with a KV cache: many rows that grow by a token at a time, or one that can change.

`Decoder` reads its prompts one by one, so they need no padding, and then extends all rows together,
so that the weights are read once for all of them. `Reader` has one row, and computes only what
differs from the previous one. B: number of rows, V: vocabulary size.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from gpt.model.language_model import LanguageModel
from gpt.nn.linear import FusedLinear, Fusible, fuse
from gpt.nn.state import Cache

AnyModel = TypeVar("AnyModel")


class Decoder:
    """Rows of tokens that grow by one token at a time, with cached keys and values.

    The model attends to a complete row, or to its last tokens if it exceeds the context. When the
    context of a row is full, its last half is read again as a new row. So the time per token does
    not grow with the text, and no token is predicted from less than half a context.
    """

    logits: Tensor
    """Logits of the next token of each row: (B, V), in the dtype of the head."""

    @torch.inference_mode()
    def __init__(self, model: LanguageModel, prompts: Sequence[Sequence[int]]) -> None:
        """Read *prompts*, each of at least one token."""
        self._model = model
        self._context = model.context
        self._windows = [list(ids[-self._context :]) for ids in prompts]
        caches = [model.new_cache(1) for _ in prompts]
        rows = zip(self._windows, caches, strict=True)
        self.logits = torch.cat([self._predict([ids], cache) for ids, cache in rows])
        self._cache = caches[0] if len(caches) == 1 else Cache.join(caches)

    @torch.inference_mode()
    def append(self, ids: Sequence[int]) -> None:
        """Append one token to each row, and predict the next."""
        for row, window in enumerate(self._windows):
            if len(window) == self._context:
                self._restart(row)
        for window, id in zip(self._windows, ids, strict=True):
            window.append(id)
        self.logits = self._predict([[id] for id in ids], self._cache)

    @torch.inference_mode()
    def keep(self, rows: Sequence[int]) -> None:
        """Remove all rows except *rows*, which are renumbered in the given order."""
        self._windows = [self._windows[row] for row in rows]
        self.logits = self.logits[list(rows)]
        self._cache.select(rows)

    @torch.inference_mode()
    def repeat(self, copies: int) -> None:
        """Replace each row by *copies* of it, one after another."""
        self.keep([row for row in range(len(self._windows)) for _ in range(copies)])
        self._windows = [list(window) for window in self._windows]

    def _restart(self, row: int) -> None:
        """Remove the older half of *row*: with the next token, it has half a context."""
        count = max(1, self._context // 2) - 1
        self._windows[row] = self._windows[row][self._context - count :]
        new_cache = self._model.new_cache(1)
        if count:
            self._predict([self._windows[row]], new_cache)
        if len(self._windows) == 1:
            self._cache = new_cache
            return
        self._cache.restart(row, new_cache)

    def _predict(self, ids: Sequence[Sequence[int]], cache: Cache) -> Tensor:
        """Append *ids* (B, T) to *cache*; return the logits of the next token, (B, V)."""
        logits: Tensor = self._model(torch.tensor(ids, device=self._model.device), cache=cache)
        return logits[:, -1]


class Reader:
    """Predicts the next token of a row; a prefix that it shares with the previous one is cached."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._cache = model.new_cache(1)
        self._cached: list[int] = []
        """Tokens in the cache."""

    @torch.inference_mode()
    def read(self, ids: Sequence[int]) -> Tensor:
        """Return the logits (V,) of the token after *ids*, which are 1 to a full context of tokens.

        They equal those of reading all *ids* at once, up to rounding.
        """
        prefix = self._common_prefix(ids)
        # An exception in the forward pass leaves the caches of some layers longer than others. So
        # no cached token counts until the pass is complete.
        self._cached = []
        # A ring buffer that has overwritten tokens of the prefix cannot be truncated to it.
        if not prefix or not self._cache.truncate(self._cache.lengths[0] - prefix):
            self._cache, prefix = self._model.new_cache(1), 0
        new = torch.tensor([ids[prefix:]], device=self._model.device)
        logits: Tensor = self._model(new, cache=self._cache)
        self._cached = list(ids)
        return logits[0, -1]

    def _common_prefix(self, ids: Sequence[int]) -> int:
        """Return how many tokens of *ids* are cached, without the last, which gives the logits."""
        longest = min(len(self._cached), len(ids) - 1)
        if self._cached[:longest] == ids[:longest]:
            return longest
        pairs = zip(self._cached, ids, strict=False)
        return next(position for position, (old, new) in enumerate(pairs) if old != new)


def inference_copy(model: AnyModel, dtype: torch.dtype) -> AnyModel:
    """Copy *model* for inference, with its linear layers fused and in *dtype*.

    All other tensors are shared with *model*. The time per token of a single row is that of reading
    the weights, of which bfloat16 has half the bytes, and int8, which rounds them, a quarter. Norms
    and attention stay float32: they are small, and torch's CPU kernels for them are faster.
    """
    module = cast(nn.Module, model)
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    light = copy.deepcopy(module, shared)
    for parent in list(light.modules()):
        fusible: tuple[str, ...] = getattr(parent, "FUSIBLE", ())
        if fusible:
            fuse(cast(Fusible, parent), dtype)
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear) and name not in fusible:
                setattr(parent, name, FusedLinear([child], dtype))
    return cast(AnyModel, light)
