"""`Part`, the base of the specs of mechanisms, and `Sizes`, by which they are checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol


class Attends(Protocol):
    """The attention of a layer; `gpt.spec.attention.Attention` is one."""

    @property
    def heads(self) -> int:
        """Number of query heads."""

    @property
    def convolves(self) -> bool:
        """Whether it has queries, keys and values that a convolution can mix."""

    @property
    def compares(self) -> bool:
        """Whether it has a score for each pair of a query and a key, which positions can change."""

    @property
    def keeps_values(self) -> bool:
        """Whether decoding keeps values, or sums of them, so that others can be added to them."""

    @property
    def causal(self) -> bool:
        """Whether no token attends to a later one."""

    @property
    def rotatable(self) -> bool:
        """Whether rotating queries and keys changes weights by the distances of tokens only."""

    def value_width(self, width: int) -> int:
        """Return the width of the values of a token, all heads of values together."""

    def rotated_width(self, width: int) -> int:
        """Return the width of that part of queries and keys which positions rotate."""

    def dot_factor(self, width: int) -> float | None:
        """Return the factor of q · k in its scores; None if they are not dot products."""


class Sizes(Protocol):
    """Sizes of a model; `gpt.spec.architecture.Architecture` has them."""

    @property
    def context(self) -> int:
        """Context length."""

    @property
    def layers(self) -> int:
        """Number of blocks."""

    @property
    def mlp(self) -> Part:
        """The MLP of each block."""

    @property
    def width(self) -> int:
        """Width of the residual stream."""

    @property
    def rotated_widths(self) -> Sequence[int]:
        """Widths of the queries and keys that positions rotate, each once, in any layer."""

    def attention_in(self, layer: int) -> Attends:
        """Return the attention of *layer*, from 0."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A mechanism's fields. Sizes that follow from them are methods of the spec."""

    ALONE: ClassVar[str] = ""
    """Field that a single value sets: ``dropout = 0.1`` is ``dropout.rate = 0.1``; "" if none."""

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if this mechanism cannot be part of a model of *sizes*."""

    def extended(self, trained: int) -> Part:
        """Return the spec for rows longer than *trained* tokens, the context in training.

        Raises ConfigError if the mechanism cannot read such rows.
        """
        return dataclasses.replace(self, **extended_parts(self, trained))


def extended_parts(spec: Any, trained: int) -> dict[str, Any]:
    """Return the fields of *spec* that are specs, extended: `Part.extended`."""
    parts: dict[str, Any] = {}
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if isinstance(value, Part):
            parts[field.name] = value.extended(trained)
        elif isinstance(value, tuple) and any(isinstance(each, Part) for each in value):
            parts[field.name] = tuple(each and each.extended(trained) for each in value)
    return parts
