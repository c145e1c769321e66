"""Specs of attention."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero


@dataclass(frozen=True, kw_only=True)
class GroupedQuery:
    """Softmax attention in which query heads share key and value heads (arXiv:2305.13245).

    ``kv_heads == heads`` is multi-head attention, ``kv_heads == 1`` multi-query attention.
    """

    heads: int
    """Number of query heads."""
    kv_heads: int
    """Number of key and value heads; must divide heads."""
    head_width: int | None = None
    """Width of one head. [default: width / heads]"""
    window: int | None = None
    """Sliding window: each token attends to this many latest tokens, itself included.
    [default: the full context]"""
    long_every: int | None = None
    """With a window: every n-th layer, and the last, attends to the full context (as in Gemma 2,
    arXiv:2408.00118). [default: no layer]"""
    qk_norm: bool = False
    """RMS-normalize queries and keys, each with its own scale, before positions are applied
    (Dehghani 2023, arXiv:2302.05442; in the order and form of Qwen3)."""

    def __post_init__(self) -> None:
        above_zero(
            heads=self.heads,
            kv_heads=self.kv_heads,
            head_width=self.head_width,
            window=self.window,
            long_every=self.long_every,
        )
        if self.long_every is not None and self.window is None:
            raise ConfigError("long_every has no effect without a window; set window, too")
        if self.heads % self.kv_heads:
            divisors = [n for n in range(1, self.heads + 1) if self.heads % n == 0]
            raise ConfigError(
                f"{self.heads} heads cannot share {self.kv_heads} kv_heads; "
                f"set kv_heads to one of {divisors}"
            )
