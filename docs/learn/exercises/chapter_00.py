"""Exercises of chapter 0: two functions, to see how exercises work."""

from pytok import Tokenizer


def tokens_of(tokenizer: Tokenizer, text: str) -> list[bytes]:
    """Return the bytes of each token of *text*, in order.

    For "the cat", a tokenizer may give [b"the", b" cat"].
    """
    raise NotImplementedError


def bytes_per_token(tokenizer: Tokenizer, text: str) -> float:
    """Return how many bytes of *text* a token stands for, on average.

    The number of bytes of *text* in UTF-8, divided by the number of its tokens. More is better:
    the same text becomes fewer tokens.
    """
    raise NotImplementedError
