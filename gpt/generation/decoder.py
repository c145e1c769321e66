"""Token after token, with what was read before in caches: many rows at once, or one conversation.

The rows of a `Decoder` grow. Their prompts are read one by one, so they need no padding, and then
they go on together, which reads the weights once for all. The one row of a `Reader` may also change
before its end. B: rows, V: size of the vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from gpt.model.gpt import GPT, Cache
from gpt.nn.cache import KeyValueCache
from gpt.nn.linear import FusedLinear, Fusible, fuse


class Decoder:
    """Rows of tokens that grow by one at a time, each with its keys and values cached.

    The model sees all of a row, or its last context of tokens. When a row's context is full it
    starts over from its last half, so the cost of a token stays the same however long the text
    gets, and no token is predicted from less than half a context.
    """

    logits: Tensor
    """Of the token that comes next in each row: (B, V), in the dtype of the head."""

    @torch.inference_mode()
    def __init__(self, model: GPT, prompts: Sequence[Sequence[int]]) -> None:
        """Read *prompts*, each of at least one token."""
        self._model = model
        self._context = model.config.context
        self._windows = [list(ids[-self._context :]) for ids in prompts]
        caches = [model.new_cache(1) for _ in prompts]
        read = zip(self._windows, caches, strict=True)
        self.logits = torch.cat([self._predict([ids], cache) for ids, cache in read])
        alone = len(caches) == 1
        layers = zip(*caches, strict=True)
        self._cache = caches[0] if alone else [KeyValueCache.join(rows) for rows in layers]

    @torch.inference_mode()
    def append(self, ids: Sequence[int]) -> None:
        """Add one token to each row, and predict the next."""
        for row, window in enumerate(self._windows):
            if len(window) == self._context:
                self._restart(row)
        for window, id in zip(self._windows, ids, strict=True):
            window.append(id)
        self.logits = self._predict([[id] for id in ids], self._cache)

    @torch.inference_mode()
    def keep(self, rows: Sequence[int]) -> None:
        """Forget all but *rows*, which are counted anew in the order given."""
        self._windows = [self._windows[row] for row in rows]
        self.logits = self.logits[list(rows)]
        for layer in self._cache:
            layer.keep(rows)

    def _restart(self, row: int) -> None:
        """Forget the older half of *row*, so that one more token makes half a context."""
        kept = max(1, self._context // 2) - 1
        self._windows[row] = self._windows[row][self._context - kept :]
        fresh = self._model.new_cache(1)
        if kept:
            self._predict([self._windows[row]], fresh)
        if len(self._windows) == 1:
            self._cache = fresh
            return
        for layer, cache in zip(self._cache, fresh, strict=True):
            layer.restart(row, cache)

    def _predict(self, ids: Sequence[Sequence[int]], cache: Cache) -> Tensor:
        """Predict the token after *ids* (B, T), which *cache* takes in: logits (B, V)."""
        device = self._model.embedding.weight.device
        logits: Tensor = self._model(torch.tensor(ids, device=device), cache=cache).logits
        return logits[:, -1]


class Reader:
    """One row of tokens, read again and again: what stays as it was at its beginning is kept."""

    def __init__(self, model: GPT) -> None:
        self._model = model
        self._cache = model.new_cache(1)
        self._read: list[int] = []
        """What the cache holds."""

    @torch.inference_mode()
    def read(self, ids: Sequence[int]) -> Tensor:
        """Predict the token after *ids*, at least one and at most a context of them: logits (V,).

        Equal, but for the rounding of sums, to reading all of them at once.
        """
        same = self._same(ids)
        # If this read ends by an exception, the layers' caches differ: nothing in them counts.
        self._read = []
        if not same or not all(layer.truncate(same) for layer in self._cache):
            self._cache, same = self._model.new_cache(1), 0
        device = self._model.embedding.weight.device
        new = torch.tensor([ids[same:]], device=device)
        logits: Tensor = self._model(new, cache=self._cache).logits
        self._read = list(ids)
        return logits[0, -1]

    def _same(self, ids: Sequence[int]) -> int:
        """How many tokens of *ids* need not be read: all but the last of them, at most."""
        most = min(len(self._read), len(ids) - 1)
        if self._read[:most] == ids[:most]:
            return most
        pairs = zip(self._read, ids, strict=False)
        return next(place for place, (old, new) in enumerate(pairs) if old != new)


def with_linears_in(model: GPT, dtype: torch.dtype) -> GPT:
    """Copy *model*, to generate with, its linears in *dtype*; all else is shared with *model*.

    A token of one row costs the time to read the weights, and in bfloat16 they are half as long, in
    int8, which rounds them, a quarter. Norms and attention stay float32: they are small, and
    torch's CPU kernels for them are faster.
    """
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    light = copy.deepcopy(model, shared)
    for parent in list(light.modules()):
        together: tuple[str, ...] = getattr(parent, "FUSIBLE", ())
        if together:
            fuse(cast(Fusible, parent), dtype)
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear) and name not in together:
                setattr(parent, name, FusedLinear([child], dtype))
    return light
