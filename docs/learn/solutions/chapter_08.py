"""Solutions of chapter 8."""

import math
from collections import Counter
from collections.abc import Sequence


def nats_per_token(bits_per_byte: float, tokens: int, size: int) -> float:
    """Return the loss in nats per token of a text of *tokens* tokens and *size* bytes."""
    return bits_per_byte * math.log(2) * size / tokens


def unigram_bits_per_byte(ids: Sequence[int], size: int) -> float:
    """Return the entropy of the counts of *ids*, a text of *size* bytes, in bits per byte.

    For [7, 7, 8, 8] and 4 bytes it is 1.0: each of the two ids has probability 1/2.
    """
    counts = Counter(ids).values()
    return -sum(count * math.log2(count / len(ids)) for count in counts) / size


def overall(documents: Sequence[tuple[float, int, int]]) -> float:
    """Return the bits per byte of all *documents*: nats per token, tokens and bytes of each."""
    nats = sum(loss * tokens for loss, tokens, _ in documents)
    return nats / math.log(2) / sum(size for _, _, size in documents)


def first_loss(vocab_size: int, bytes_per_token: float) -> tuple[float, float]:
    """Return nats per token and bits per byte of a model for which all tokens are as likely."""
    return math.log(vocab_size), math.log2(vocab_size) / bytes_per_token
