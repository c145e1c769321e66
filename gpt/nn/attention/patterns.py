"""Patterns of attention: which tokens a token attends to.

A pattern is a function of positions, which restart at each document of a row. A sparse one also has
layouts, by which its cost follows the pairs that it allows.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Hashable, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from gpt.nn.attention.layouts import Layout, banded, pays
from gpt.nn.site import Site
from gpt.spec import pattern


class Pattern:
    """Which tokens each token attends to, by their positions."""

    every: bool = True
    """Whether a token attends to every token within `reach`, and to no other."""
    pinned: Sequence[int] = ()
    """Positions, ascending, whose tokens decoding keeps besides those within `reach`."""
    reach: int
    """How many of the latest tokens, the token itself included, contain all that a token attends
    to but the pinned ones: what decoding keeps. At most the context, which is the default."""

    def __init__(self, spec: Any, site: Site) -> None:
        self.causal: bool = spec.causal
        self.reach = site.architecture.context

    @property
    def key(self) -> Hashable:
        """Equal for patterns that allow the same pairs, of which masks are made once."""
        return type(self), *sorted(vars(self).items())

    def allowed(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return which pairs attend: bool, broadcasting to (B, H, T, S).

        *queries* are (B or 1, 1, T, 1) and *keys* (B or 1, 1, 1, S); heads can differ.
        """
        raise NotImplementedError

    def layouts(self, tokens: int, *, documents: bool) -> list[Layout]:
        """Return layouts, for all heads together, that contain the pairs of a row of *tokens*.

        *documents* is whether positions restart within the row. Empty if a mask of all pairs is
        faster, or if there is no layout.
        """
        return []

    def global_rows(self, tokens: int) -> Sequence[int]:
        """Return the tokens of such a row that attend to more than the layouts contain."""
        return ()

    def attended(self, context: int) -> int:
        """Return the number of keys that the last token of a row of *context* tokens attends to.

        If later tokens attend, the one in the middle; if heads differ, the mean.
        """
        if self.every:
            return min(self.reach, context)
        query = torch.full((1, 1, 1, 1), context - 1 if self.causal else context // 2)
        allowed = self.allowed(query, torch.arange(context)[None, None, None])
        return int(allowed.sum()) // allowed.shape[1]


class CausalPattern(Pattern):
    """The token itself and all before it."""

    def allowed(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return the pairs of a query and a key that is not later."""
        return keys <= queries


class FullPattern(Pattern):
    """All tokens, later ones included. Devlin 2018 (BERT), arXiv:1810.04805."""

    def allowed(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return all pairs."""
        return (queries >= 0) & (keys >= 0)


class WindowPattern(Pattern):
    """``0 <= (t - s) / d < size``, if whole, or ``|t - s| / d <= size // 2``, and global tokens s.

    d is the dilation of the head. Beltagy 2020 (Longformer), arXiv:2004.05150.
    """

    def __init__(self, spec: pattern.Window, site: Site) -> None:
        super().__init__(spec, site)
        architecture = site.architecture
        context = architecture.context
        size = spec.in_layer(site.layer, architecture.layers)
        self.long = size is None
        most = context if spec.causal else 2 * context + 1
        size = min(size or most, most)
        self.before, self.after = (size - 1, 0) if spec.causal else (size // 2, size // 2)
        self.dilations = (1,) if self.long else self._of_heads(spec, site)
        self.globals = tuple(token for token in spec.global_tokens if token < context)
        self.every = self.causal and not self.globals and set(self.dilations) == {1}
        if self.causal:
            self.pinned = () if self.long else self.globals
            self.reach = min(context, max(self._spans()))

    def allowed(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return the pairs within the window of the head, and those with a global token."""
        distances = queries - keys
        dilations: int | Tensor = self.dilations[0]
        if len(set(self.dilations)) > 1:
            dilations = torch.tensor(self.dilations, device=keys.device)[:, None, None]
        found = (distances <= self.before * dilations) & (distances >= -self.after * dilations)
        if set(self.dilations) != {1}:
            found = found & (distances % dilations == 0)
        if self.globals:
            tokens = torch.tensor(self.globals, device=keys.device)
            pairs = torch.isin(keys, tokens) | torch.isin(queries, tokens)
            found = found | (pairs & (distances >= 0) if self.causal else pairs)
        return found

    def layouts(self, tokens: int, *, documents: bool) -> list[Layout]:
        """Return one for each dilation. Global tokens of documents have none."""
        if self.long or (documents and self.globals):
            return []
        found, start = [], 0
        for dilation, equal in groupby(self.dilations):
            heads = range(start, start + len(list(equal)))
            sides = self.before, self.after
            found.append(banded(tokens, *sides, stride=dilation, shared=self.globals, heads=heads))
            start = heads.stop
        if len(found) == 1:
            found = [dataclasses.replace(found[0], heads=None)]
        return found if all(map(pays, found)) else []

    def global_rows(self, tokens: int) -> Sequence[int]:
        """Return the global tokens, unless they are the first, which attend only to each other."""
        if self.causal and self.globals == tuple(range(len(self.globals))):
            return ()
        return tuple(token for token in self.globals if token < tokens)

    def _of_heads(self, spec: pattern.Window, site: Site) -> tuple[int, ...]:
        """Return the dilation of each head."""
        heads, count = site.architecture.attention_in(site.layer).heads, len(spec.dilations)
        return tuple(spec.dilations[head * count // heads] for head in range(heads))

    def _spans(self) -> list[int]:
        """Return of how many latest tokens any token needs some, besides the pinned ones."""
        pinned = set(self.globals)
        unpinned = next(token for token in range(len(pinned) + 1) if token not in pinned)
        spans = [1 + self.before * max(self.dilations)]
        return spans + [token + 1 - unpinned for token in self.globals if token > unpinned]


class BigBirdPattern(Pattern):
    """Pairs of blocks that are neighbors, or of which one is global, and random ones.

    Zaheer 2020 (BigBird), arXiv:2007.14062. The random blocks of a block are drawn uniformly from
    those that it does not attend to otherwise. If causal, they do not depend on the context.
    """

    every = False

    def __init__(self, spec: pattern.BigBird, site: Site) -> None:
        super().__init__(spec, site)
        self.spec, self.layer = spec, site.layer
        self.blocks = -(-self.reach // spec.block)
        self.after = 0 if spec.causal else spec.window // 2
        self.before = spec.window - 1 - self.after
        first = spec.global_blocks // 2 if spec.both_ends else spec.global_blocks
        last = self.blocks - (spec.global_blocks - first)
        self.globals = [each for each in range(self.blocks) if each < first or each >= last]
        # The same in every process, and not drawn by torch, whose state belongs to the run.
        self._drawn = [self._draw(block) for block in range(self.blocks)]

    @property
    def key(self) -> Hashable:
        """Equal for patterns that allow the same pairs."""
        return type(self), self.spec, self.layer, self.blocks

    def allowed(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return the pairs whose blocks are neighbors, global, or drawn."""
        rows, columns = (each.clamp(min=0) // self.spec.block for each in (queries, keys))
        distances = rows - columns
        found = (distances <= self.before) & (distances >= -self.after)
        ends = torch.tensor(self.globals, dtype=torch.int64, device=keys.device)
        found = found | torch.isin(rows, ends) | torch.isin(columns, ends)
        for drawn in self.random.to(keys.device).unbind(1):
            found = found | (drawn[rows] == columns)
        return found & (keys <= queries) if self.causal else found

    def layouts(self, tokens: int, *, documents: bool) -> list[Layout]:
        """Return that of the blocks. Documents, whose blocks begin anywhere, have none."""
        if documents:
            return []
        size, count = self.spec.block, -(-tokens // self.spec.block)
        near = torch.arange(count)[:, None] + torch.arange(-self.before, self.after + 1)
        ends = torch.tensor(self.globals, dtype=torch.int64).expand(count, -1)
        blocks = torch.cat((near, ends, self.random[:count]), dim=1)
        blocks = blocks.masked_fill(blocks >= count, -1)
        found = Layout(tokens=tokens, block=size, blocks=blocks)
        return [found] if pays(found) else []

    def global_rows(self, tokens: int) -> Sequence[int]:
        """Return the tokens of global blocks; those of a causal row attend only to the first."""
        if self.causal:
            return ()
        size = self.spec.block
        found = (range(block * size, (block + 1) * size) for block in self.globals)
        return [token for block in found for token in block if token < tokens]

    @property
    def random(self) -> Tensor:
        """Random blocks of each block, int64 (blocks, random_blocks); negative for none."""
        return torch.tensor(self._drawn, dtype=torch.int64)

    def _draw(self, block: int) -> list[int]:
        """Return the random blocks of *block*, filled up with -1."""
        limit, count = block if self.causal else self.blocks, self.spec.random_blocks
        others = {*range(block - self.before, block + self.after + 1), *self.globals}
        available = limit - sum(0 <= other < limit for other in others)
        available = 0 if block in self.globals else available
        source, drawn = random.Random(f"{self.spec.seed} {self.layer} {block}"), list[int]()
        while len(drawn) < min(count, available):
            other = int(source.random() * limit)
            if other not in others:
                others.add(other)
                drawn.append(other)
        return drawn + [-1] * (count - len(drawn))
