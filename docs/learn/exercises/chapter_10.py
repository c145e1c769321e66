"""Exercises of chapter 10: fair comparisons."""

from collections.abc import Mapping, Sequence
from typing import Any


def paired_z(a: Sequence[float], b: Sequence[float]) -> float:
    """Return how many standard errors the mean of *a* - *b*, seed by seed, is away from zero.

    If all differences are equal, it is infinity with their sign, or 0.0 if they are zero.
    """
    raise NotImplementedError


def seeds_needed(spread: float, effect: float, z: float) -> int:
    """Return the fewest seeds, at least 2, with which a mean difference of *effect* reaches *z*.

    *spread* is the standard deviation of the differences.
    """
    raise NotImplementedError


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Return the dotted names of the fields in which two nested dictionaries differ, sorted."""
    raise NotImplementedError


def gated_hidden(hidden: int, multiple: int) -> int:
    """Return the multiple of *multiple* nearest to the equivalent width of a gated MLP.

    Its three matrices then have about as many weights as the two of a plain MLP of width *hidden*.
    """
    raise NotImplementedError
