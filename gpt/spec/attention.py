"""Attention: how tokens read from one another."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero


@dataclass(frozen=True, kw_only=True)
class GroupedQuery:
    """Softmax attention whose query heads share key and value heads (arXiv:2305.13245).

    With ``kv_heads == heads`` it is multi-head attention, with 1 multi-query attention.
    """

    heads: int
    """Query heads."""
    kv_heads: int
    """Key and value heads; divides heads."""
    head_width: int | None = None
    """Size of one head; None: width / heads."""
    window: int | None = None
    """Tokens a query sees, itself included; None: all before it."""
    long_every: int | None = None
    """Every such layer, and the last, sees all before it all the same; None: none does.
    Long and short windows in turns are Gemma 2's (arXiv:2408.00118)."""
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
            raise ConfigError("long_every is for layers between windows; set window, too")
        if self.heads % self.kv_heads:
            divisors = [n for n in range(1, self.heads + 1) if self.heads % n == 0]
            raise ConfigError(
                f"{self.heads} heads cannot share {self.kv_heads} kv_heads; "
                f"set kv_heads to one of {divisors}"
            )
