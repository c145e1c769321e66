"""Exercises of chapter 6: what a tokenizer costs."""

from collections.abc import Sequence

from pytok import Tokenizer


def premiums(tokenizer: Tokenizer, texts: dict[str, str], base: str) -> dict[str, float]:
    """Return for each language of *texts* its number of tokens, divided by that of *base*.

    The languages come in the order of what they pay, the most expensive first.
    """
    raise NotImplementedError


def never_used(tokenizer: Tokenizer, text: str) -> list[bytes]:
    """Return the tokens that are no id of *text*, in the order of their ids.

    Special tokens do not count. *text* is ordinary text, whatever it contains.
    """
    raise NotImplementedError


def choose_size(tokenizer: Tokenizer, text: str, sizes: Sequence[int], min_saving: float) -> int:
    """Return the largest of *sizes*, which ascend, up to which each step is worth it.

    A step from one size to the next is worth it if it saves at least the fraction *min_saving* of
    the tokens of *text*. After the first step that is not, no later one counts.
    """
    raise NotImplementedError
