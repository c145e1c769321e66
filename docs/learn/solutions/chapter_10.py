"""Solutions of chapter 10."""

import math
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any


def paired_z(a: Sequence[float], b: Sequence[float]) -> float:
    """Return how many standard errors the mean of *a* - *b*, seed by seed, is away from zero.

    If all differences are equal, it is infinity with their sign, or 0.0 if they are zero.
    """
    found = [one - other for one, other in zip(a, b, strict=True)]
    error = stdev(found) / math.sqrt(len(found))
    if error == 0:
        return math.copysign(math.inf, found[0]) if found[0] else 0.0
    return mean(found) / error


def seeds_needed(spread: float, effect: float, z: float) -> int:
    """Return the fewest seeds, at least 2, with which a mean difference of *effect* reaches *z*.

    *spread* is the standard deviation of the differences.
    """
    return max(2, math.ceil((z * spread / effect) ** 2))


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Return the dotted names of the fields in which two nested dictionaries differ, sorted."""
    found = []
    for name in a.keys() | b.keys():
        if name not in a or name not in b:
            found.append(name)
        elif isinstance(a[name], Mapping) and isinstance(b[name], Mapping):
            found += [f"{name}.{inner}" for inner in differences(a[name], b[name])]
        elif a[name] != b[name]:
            found.append(name)
    return sorted(found)


def gated_hidden(hidden: int, multiple: int) -> int:
    """Return the multiple of *multiple* nearest to the equivalent width of a gated MLP.

    Its three matrices then have about as many weights as the two of a plain MLP of width *hidden*.
    """
    return multiple * round(2 * hidden / 3 / multiple)
