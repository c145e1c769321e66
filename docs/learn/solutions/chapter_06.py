"""Solutions of chapter 6."""

from collections.abc import Sequence
from itertools import pairwise

from pytok import Tokenizer


def premiums(tokenizer: Tokenizer, texts: dict[str, str], base: str) -> dict[str, float]:
    """Return for each language of *texts* its number of tokens, divided by that of *base*.

    The languages come in the order of what they pay, the most expensive first.
    """
    counts = {language: tokenizer.count(text) for language, text in texts.items()}
    ordered = sorted(counts, key=lambda language: counts[language], reverse=True)
    return {language: counts[language] / counts[base] for language in ordered}


def never_used(tokenizer: Tokenizer, text: str) -> list[bytes]:
    """Return the tokens that are no id of *text*, in the order of their ids.

    Special tokens do not count. *text* is ordinary text, whatever it contains.
    """
    used = set(tokenizer.encode_ordinary(text))
    tokens = sorted(tokenizer.vocab.items(), key=lambda item: item[1])
    return [token for token, id in tokens if id not in used]


def choose_size(tokenizer: Tokenizer, text: str, sizes: Sequence[int], min_saving: float) -> int:
    """Return the largest of *sizes*, which ascend, up to which each step is worth it.

    A step from one size to the next is worth it if it saves at least the fraction *min_saving* of
    the tokens of *text*. After the first step that is not, no later one counts.
    """
    for smaller, larger in pairwise(sizes):
        before = tokenizer.truncated(smaller).count(text)
        after = tokenizer.truncated(larger).count(text)
        if before - after < min_saving * before:
            return smaller
    return sizes[-1]
