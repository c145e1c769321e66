"""Patterns of attention: which tokens a token attends to.

A pattern is a function of positions, which restart at each document of a row.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar

from torch import Tensor

from gpt.nn.site import Site
from gpt.spec import pattern


class Pattern:
    """Which tokens each token attends to, by their positions."""

    causal: ClassVar[bool] = True
    """Whether no token attends to a later one. Only then can a model decode token by token."""
    every: ClassVar[bool] = True
    """Whether a token attends to every token within `reach`."""
    reach: int
    """How many of the latest tokens, the token itself included, contain all that a token attends
    to: what decoding keeps. At most the context, which is the default."""

    def __init__(self, spec: Any, site: Site) -> None:
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

    def attended(self, context: int) -> int:
        """Return the number of keys that the last token of a row of *context* tokens attends to."""
        return min(self.reach, context)


class CausalPattern(Pattern):
    """The token itself and all before it."""

    def allowed(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return the pairs of a query and a key that is not later."""
        return keys <= queries


class WindowPattern(Pattern):
    """The latest *size* tokens. Beltagy 2020 (Longformer), arXiv:2004.05150."""

    def __init__(self, spec: pattern.Window, site: Site) -> None:
        context, layers = site.architecture.context, site.architecture.layers
        self.reach = min(context, spec.in_layer(site.layer, layers) or context)

    def allowed(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return the pairs of a query and one of the latest keys."""
        return (keys <= queries) & (keys > queries - self.reach)


class FullPattern(Pattern):
    """All tokens, later ones included. Devlin 2018 (BERT), arXiv:1810.04805."""

    causal = False

    def allowed(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return all pairs."""
        return (queries >= 0) & (keys >= 0)
