"""How often the tokens of a vocabulary are used: by decades, and in a file of all of them."""

import csv
import io
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pytok.usage import Counts

COLUMNS = ("id", "token", "hex", "uses", "uses_in_longer_tokens")
"""Columns of the file of all frequencies."""


class Decade(NamedTuple):
    """The tokens that are used from *least* to *most* times."""

    least: int
    most: int
    tokens: int
    """Number of these tokens."""
    uses: int
    """Number of their occurrences in the corpus."""


def decades(uses: Counts) -> list[Decade]:
    """Return the tokens never used, used once, 2 to 9 times, 10 to 99 times, and so on.

    *uses*, shape (tokens,), are the occurrences of each token.

    >>> [tuple(decade) for decade in decades(np.array([0, 0, 1, 5, 12]))]
    [(0, 0, 2, 0), (1, 1, 1, 1), (2, 9, 1, 5), (10, 99, 1, 12)]
    """
    ends = [0, 1]
    while ends[-1] < uses.max(initial=0):
        ends.append((ends[-1] + 1 if len(ends) > 2 else 1) * 10 - 1)
    rows = []
    for least, most in zip([0, *(end + 1 for end in ends)], ends, strict=False):
        within = uses[(least <= uses) & (uses <= most)]
        rows.append(Decade(least, most, len(within), int(within.sum())))
    return rows


def tokens_for(uses: Counts, fraction: float) -> int:
    """Return the fewest different tokens that make up *fraction* of all occurrences.

    >>> tokens_for(np.array([1, 0, 7, 2]), 0.5), tokens_for(np.array([1, 0, 7, 2]), 0.9)
    (1, 2)
    """
    total = np.cumsum(np.sort(uses)[::-1])
    return int(np.searchsorted(total, fraction * total[-1])) + 1 if len(uses) and total[-1] else 0


def table(ids: Sequence[int], tokens: Sequence[bytes], uses: Counts, in_longer: Counts) -> bytes:
    r"""Return all frequencies as CSV in UTF-8, the most used token first.

    A token is quoted as in JSON, so that no spreadsheet takes it for a formula; ``\udcff`` stands
    for a byte ff that is not UTF-8. All arguments have one element per token.
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rank in np.argsort(-uses, kind="stable").tolist():
        token = tokens[rank]
        text = json.dumps(token.decode("utf-8", "surrogateescape"), ensure_ascii=False)
        text = text.encode("utf-8", "backslashreplace").decode()
        writer.writerow((ids[rank], text, token.hex(), uses[rank], in_longer[rank]))
    return file.getvalue().encode()
