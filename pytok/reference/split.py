"""Further splits of the pieces that a pattern gives. Twin of `bpe-rs/src/split.rs`."""

from pytok.byte_order import to_letters
from pytok.errors import VocabError
from pytok.reference.budget import Budget
from pytok.reference.pretokenize import Pattern

BEHAVIORS = ("isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous")
"""What can become of the matches of a split; the names are those of Hugging Face's tokenizers."""


class Split:
    r"""A split of every piece at the matches of *pattern*, or, if *invert*, of the rest.

    With *letters*, a piece is matched and split as the letters that stand for its bytes.

    Raises VocabError for an unknown *behavior*, PatternError for a pattern that does not compile.

    >>> Split("-", "merged_with_previous").apply(b"the-final--countdown")
    [(b'the-', 0), (b'final-', 4), (b'-', 10), (b'countdown', 11)]
    >>> Split("-", "merged_with_next").apply(b"the-final--countdown")
    [(b'the', 0), (b'-final', 3), (b'-', 9), (b'-countdown', 10)]
    >>> Split(r"\p{N}", "isolated", letters=True).apply("a²".encode())
    [(b'a\xc2', 0), (b'\xb2', 2)]
    """

    def __init__(
        self, pattern: str, behavior: str, invert: bool = False, letters: bool = False
    ) -> None:
        if behavior not in BEHAVIORS:
            raise VocabError(f'"{behavior}" is not a behavior of a split')
        self.pattern = Pattern(pattern)
        self.behavior = behavior
        self.invert = invert
        self.letters = letters

    def apply(
        self, piece: bytes, start: int = 0, offset: int = 0, budget: Budget | None = None
    ) -> list[tuple[bytes, int]]:
        """Return the pieces that *piece* becomes, and where each starts if it starts at *start*.

        *offset* is the number of bytes before it, for messages; *budget* is that of the text.
        """
        parts: list[tuple[bytes, int, bool]] = []
        text = to_letters(piece) if self.letters else piece.decode()
        done = 0
        for matched, is_match in self.pattern.split_marked(text, offset, budget):
            end = done + len(matched if self.letters else matched.encode())
            parts.append((piece[done:end], start + done, is_match != self.invert))
            done = end
        backwards = self.behavior == "merged_with_next"
        pieces: list[tuple[bytes, int]] = []
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
