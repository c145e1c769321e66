"""Exercises of chapter 2: byte pair encoding. Ids 0 to 255 are bytes, merges follow from 256."""

Pair = tuple[int, int]


def train_until(text: str, min_count: int) -> dict[Pair, int]:
    """Return the id of each merged pair; no pair that occurs less than *min_count* times is merged.

    As `train` of the chapter, which stops at a size of the vocabulary instead. Of equally frequent
    pairs, merge the one that occurs first in the text. *min_count* is at least 1.
    """
    raise NotImplementedError


def count_merges(ids: list[int], pair: Pair) -> int:
    """Return how often *pair* can be merged in *ids*, from left to right.

    Overlapping occurrences do not count: in [97, 97, 97, 97] the pair (97, 97) is merged twice.
    """
    raise NotImplementedError


def decode_checked(ids: list[int], tokens: list[bytes]) -> str:
    """Return the text of *ids*, where *tokens* has the bytes of each.

    Bytes that are not UTF-8 become the replacement character. An id that is negative or too large
    raises a ValueError that names the id and its position in *ids*, both as digits.
    """
    raise NotImplementedError


def encode_in_order(text: str, merges: dict[Pair, int]) -> list[int]:
    """Return the ids of *text*: apply every merge, in the order of training, to the whole text."""
    raise NotImplementedError
