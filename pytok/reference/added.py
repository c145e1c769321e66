"""Added tokens: texts with ids of their own, matched before text is split.

Twin of `bpe-rs/src/added.rs`.
"""

from collections.abc import Iterable, Iterator

import regex

from pytok.definition import AddedToken
from pytok.reference.normalize import Normalizer
from pytok.reference.search import search

_WORD = r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]"
"""What the class of words matches in Rust's dialect."""
_SPACE = regex.compile(r"\p{White_Space}*")


class Matcher:
    r"""A search for *tokens*, each with the text to find for it.

    >>> from pytok.definition import AddedToken
    >>> token = AddedToken("<m>", 7, lstrip=True)
    >>> list(Matcher([("<m>", token)]).segments("a \n<m> b"))
    [(None, 0, 1), (7, 1, 6), (None, 6, 8)]
    """

    def __init__(self, tokens: Iterable[tuple[str, AddedToken]]) -> None:
        # A token whose text is normalized to nothing is never found.
        self.tokens = {text: token for text, token in tokens if text}
        self.search = search(self.tokens)

    def segments(self, text: str) -> Iterator[tuple[int | None, int, int]]:
        """Yield the start and the end of each segment of *text*, none of them empty, after its id.

        That is the id of an added token, or ``None`` between them. An occurrence that starts
        further to the left comes first, of equal starts the longest. One that takes the white space
        after it can reach into the next.
        """
        done = 0
        for id, start, end in self._find_all(text):
            if done < start:
                yield None, done, start
            yield id, start, end
            done = end
        if done < len(text):
            yield None, done, len(text)

    def _find_all(self, text: str) -> Iterator[tuple[int, int, int]]:
        last_end = 0
        for match in self.search.finditer(text) if self.search else ():
            token, (start, end) = self.tokens[match[0]], match.span()
            if token.single_word and _is_part_of_word(text, start, end):
                continue
            if token.lstrip:
                while start > 0 and _SPACE.fullmatch(text[start - 1]):
                    start -= 1
                start = max(start, last_end)
            if token.rstrip and (space := _SPACE.match(text, end)):
                end = space.end()
            last_end = end
            # One whose white space another has taken is empty, and nothing.
            if start < end:
                yield token.id, start, end


def _is_part_of_word(text: str, start: int, end: int) -> bool:
    neighbors = text[max(0, start - 1) : start] + text[end : end + 1]
    return regex.search(_WORD, neighbors) is not None


class Allowed:
    """The added tokens that are recognized: first *verbatim* ones, then *normalized* ones."""

    def __init__(self, tokens: Iterable[AddedToken], normalizer: Normalizer) -> None:
        tokens = list(tokens)
        self.verbatim = Matcher((token.text, token) for token in tokens if not token.normalized)
        self.normalized = Matcher(
            (normalizer.normalize(token.text), token) for token in tokens if token.normalized
        )
