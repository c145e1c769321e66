"""Exercises of chapter 7: the parts of attention."""

from collections.abc import Callable

from torch import Tensor


def averages(x: Tensor) -> Tensor:
    """Return the mean of each token of *x* (T, C) and all before it: (T, C). No Python loop.

    Row 0 is x[0], row 1 is (x[0] + x[1]) / 2.
    """
    raise NotImplementedError


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return what one causal head computes of queries, keys and values (T, D) each: (T, D).

    softmax(q kᵀ / √D) v, where token t weighs tokens 0 to t only.
    """
    raise NotImplementedError


def sees_the_future(attend: Callable[[Tensor], Tensor], tokens: int, width: int) -> bool:
    """Return whether any output of *attend* depends on an input after it.

    *attend* maps (T, C) to (T, C), here with T = *tokens* and C = *width*.
    """
    raise NotImplementedError


def split(x: Tensor, heads: int) -> Tensor:
    """Return *x* (B, T, C) as heads (B, H, T, C / H): head h has the h-th slice of the features."""
    raise NotImplementedError
