"""The rules of merging: which pairs of tokens can be merged, and in which order."""

import sys
from typing import Literal, NamedTuple, get_args

from pytok.errors import TrainingError

Ties = Literal["hf", "rustbpe", "first", "cs336"]
"""Which of equally frequent pairs is merged first: see `MergeRules`."""


class MergeRules(NamedTuple):
    """Which pairs can be merged, and which of equally frequent pairs is merged first.

    The default is plain byte pair encoding with the ties of Hugging Face.
    """

    ties: Ties = "hf"
    """``hf``: the pair with the smallest ids, as Hugging Face's `BpeTrainer`, whose bytes are in
    GPT-2's order. ``rustbpe``: the same with bytes ordered by value, as `rustbpe`. ``first``: the
    pair that occurs first in the corpus as merged so far, as minbpe's `RegexTokenizer` and
    tiktoken's `_educational`. ``cs336``: the greatest pair of byte strings, as assignment 1 of
    Stanford's CS336."""

    min_frequency: int = 0
    """A pair that occurs less often is never merged."""

    max_token_length: int | None = None
    """Merges make only tokens of fewer bytes than this, as in Hugging Face's trainer. If None, no
    limit."""

    limit_alphabet: int | None = None
    """Only this many characters, the most frequent, take part in merges; of equally frequent
    characters those of the smallest code points. If None, all."""

    def check(self) -> None:
        """Raise TrainingError unless every rule is in its range.

        >>> MergeRules(max_token_length=3).check()
        """
        if self.ties not in get_args(Ties):
            raise TrainingError(f"ties is {self.ties!r}: pass one of {', '.join(get_args(Ties))}")
        if not 0 <= self.min_frequency < 1 << 63:
            raise TrainingError(f"min_frequency is {self.min_frequency}: pass 0 to 2^63 - 1")
        length, limit = self.max_token_length, self.limit_alphabet
        if length is not None and not 3 <= length < 1 << 32:
            raise TrainingError(
                f"max_token_length is {length}: pass 3 to 2^32 - 1; merged tokens have fewer bytes "
                "than this, and at least two"
            )
        if limit is not None and not 1 <= limit <= sys.maxunicode + 1:
            raise TrainingError(f"limit_alphabet is {limit}: pass 1 to {sys.maxunicode + 1}")
