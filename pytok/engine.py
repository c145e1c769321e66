"""The seam between the package and its two engines; the only importer of `pytok._native`.

An engine is a module: ``native`` is the compiled crate, ``reference`` is its twin in Python. Both
answer alike; the protocols below say to what.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, cast

EngineName = Literal["native", "reference"]


MAX_THREADS = 1024
"""More never help, and a slip of the finger should not ask the system for a million."""


def check_threads(num_threads: int | None) -> None:
    """Raise ValueError unless *num_threads* is ``None``, for all cores, or 1 to `MAX_THREADS`."""
    if num_threads is not None and not 1 <= num_threads <= MAX_THREADS:
        raise ValueError(f"num_threads is {num_threads}: 1 to {MAX_THREADS} are possible")


class Core(Protocol):
    """A vocabulary, a pattern and special tokens, frozen; safe to share between threads.

    *allowed* names the special tokens to recognise. Text must be free of lone surrogates:
    UnicodeEncodeError otherwise. A pattern that fails on a text raises PatternError.
    """

    def encode(self, text: str, allowed: Sequence[str]) -> list[int]:
        """The ids of *text*."""

    def encode_to_buffer(self, text: str, allowed: Sequence[str]) -> bytes:
        """The ids of *text* as native-endian 32-bit unsigned integers."""

    def encode_batch(
        self, texts: Sequence[str], allowed: Sequence[str], num_threads: int | None
    ) -> list[list[int]]:
        """The ids of each text, on *num_threads* threads, all cores if ``None``."""

    def encode_piece(self, piece: bytes) -> list[int]:
        """The ids of *piece*, which is not split."""

    def count(self, text: str, allowed: Sequence[str]) -> int:
        """How many ids *text* has."""

    def pieces(self, text: str) -> list[str]:
        """The pieces of *text*; they concatenate to it."""

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """What *ids* spell. Raises UnknownTokenError for an id that is none."""

    def token(self, id: int) -> bytes | None:
        """The bytes of *id*, ordinary or special."""

    def id(self, token: bytes) -> int | None:
        """The id that spells *token*, ordinary before special."""

    def merges(self) -> list[tuple[int, int] | None]:
        """For each rank the pair of ranks that makes its token, ``None`` where none does."""


class PieceCounts(Protocol):
    """How often each piece occurs in the documents added so far."""

    def add(self, texts: Sequence[str]) -> None:
        """Counts the pieces of *texts*, each a document by itself."""

    def __len__(self) -> int:
        """How many distinct pieces there are."""


class Engine(Protocol):
    """What a module must have to be an engine."""

    def Core(
        self,
        tokens: Sequence[bytes],
        ids: Sequence[int] | None,
        pattern: str,
        specials: Sequence[tuple[str, int]],
    ) -> Core:
        """Assembles a core; VocabError or PatternError where the parts do not fit."""

    def PieceCounts(self, pattern: str, num_threads: int | None = None) -> PieceCounts:
        """No counts yet; documents will be split by *pattern*."""

    def train(
        self, counts: Any, size: int, progress: Callable[[int], object] | None
    ) -> list[bytes]:
        """Learns *size* tokens, in rank order, from this engine's own *counts*.

        *progress* is told now and then how many there are.
        """


@functools.cache
def load(name: EngineName) -> Engine:
    """The engine of that name. Raises ValueError for another name, ImportError if not built."""
    if name == "native":
        try:
            from pytok import _native
        except ImportError as error:
            raise ImportError(
                "the compiled engine pytok._native is missing: install the package with "
                "`pip install .` (which needs a Rust toolchain), or pass engine='reference'"
            ) from error
        return cast(Engine, _native)
    if name == "reference":
        from pytok import reference

        return cast(Engine, reference)
    raise ValueError(f"unknown engine {name!r}: it is 'native' or 'reference'")
