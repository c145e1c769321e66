"""Further splits of the pieces that a pattern gives. Twin of `bpe-rs/src/split.rs`."""

from pytok.errors import VocabError
from pytok.reference.pretokenize import Pattern

BEHAVIORS = ("isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous")
"""What can become of the matches of a split; the names are those of Hugging Face's tokenizers."""


class Split:
    """A split of every piece at the matches of *pattern*, or, if *invert*, of the rest.

    Raises VocabError for an unknown *behavior*, PatternError for a pattern that does not compile.

    >>> Split("-", "merged_with_previous").apply("the-final--countdown")
    [('the-', 0), ('final-', 4), ('-', 10), ('countdown', 11)]
    >>> Split("-", "merged_with_next").apply("the-final--countdown")
    [('the', 0), ('-final', 3), ('-', 9), ('-countdown', 10)]
    """

    def __init__(self, pattern: str, behavior: str, invert: bool = False) -> None:
        if behavior not in BEHAVIORS:
            raise VocabError(f'"{behavior}" is not a behavior of a split')
        self.pattern = Pattern(pattern)
        self.behavior = behavior
        self.invert = invert

    def apply(self, piece: str, start: int = 0, offset: int = 0) -> list[tuple[str, int]]:
        """Return the pieces that *piece* becomes, and where each starts if it starts at *start*.

        *offset* is the number of bytes before it, for messages.
        """
        parts = []
        for part, is_match in self.pattern.split_marked(piece, offset):
            parts.append((part, start, is_match != self.invert))
            start += len(part)
        backwards = self.behavior == "merged_with_next"
        pieces: list[tuple[str, int]] = []
        was_match = False
        for part, at, is_match in reversed(parts) if backwards else parts:
            if is_match and self.behavior == "removed":
                continue
            joins = {
                "contiguous": is_match == was_match,
                "merged_with_previous": is_match and not was_match,
                "merged_with_next": is_match and not was_match,
            }
            was_match = is_match
            if pieces and joins.get(self.behavior, False):
                last, last_at = pieces.pop()
                pieces.append((part + last, at) if backwards else (last + part, last_at))
            else:
                pieces.append((part, at))
        return pieces[::-1] if backwards else pieces
