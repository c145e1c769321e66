"""How long a custom pattern may take on a text. Twin of `bpe-rs/src/budget.rs`."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytok.errors import PatternError

if TYPE_CHECKING:
    import regex

BASE = 10.0
"""Seconds that a text may take, however short it is."""
PER_BYTE = 1e-4
"""Further seconds for each byte. Both are ten times those of the twin: `regex` is slower, and its
clock also runs while other processes do."""


class Budget:
    """The time that a custom pattern may still take. A text leaves none to the next one.

    >>> import regex
    >>> budget = Budget()
    >>> budget.start(3)
    >>> [match[0] for match in budget.find_all(regex.compile(".."), "abcd")]
    ['ab', 'cd']
    """

    def __init__(self) -> None:
        self.left = BASE

    def start(self, size: int) -> None:
        """Start the next text, of *size* bytes."""
        self.left = min(self.left, BASE) + PER_BYTE * size

    def find_all(
        self, pattern: "regex.Pattern[str]", text: str, offset: int = 0
    ) -> "Iterator[regex.Match[str]]":
        """Yield the matches of *pattern* in *text*, before which are *offset* bytes.

        Raises PatternError when the time is over, or the memory.
        """
        started, end, problem = time.monotonic(), 0, ""
        try:
            for match in pattern.finditer(text, timeout=max(self.left, 1e-9)):
                yield match
                end = match.end()
        except TimeoutError:
            problem = (
                "takes too long on the text at byte {}: it matches the same text in too many ways; "
                "simplify its repeats"
            )
        except MemoryError:
            problem = "fails on the text at byte {}: there is not enough memory; simplify it"
        finally:
            self.left -= time.monotonic() - started
        if problem:
            at = offset + len(text[:end].encode())
            raise PatternError("the pattern " + problem.format(at))
