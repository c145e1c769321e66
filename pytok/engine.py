"""The seam between the package and its two engines; the only importer of `pytok._native`.

An engine is a module: ``native`` is the compiled crate, ``reference`` is its twin in Python. Both
answer alike; the protocols below say to what.
"""

import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from pytok.merging import MergeRules

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EngineName = Literal["native", "reference"]

MAX_THREADS = 1024
"""More never help, and a slip of the finger should not ask the system for a million."""


def check_threads(num_threads: int | None) -> None:
    """Raise ValueError unless *num_threads* is ``None``, for all cores, or 1 to `MAX_THREADS`."""
    if num_threads is not None and not 1 <= num_threads <= MAX_THREADS:
        raise ValueError(f"num_threads is {num_threads}: 1 to {MAX_THREADS} are possible")


class Core(Protocol):
    """A vocabulary, a pattern and special tokens, frozen; safe to share between threads.

    *specials* is what `specials` made, or ``None``: all text is ordinary. Text must be free of lone
    surrogates: UnicodeEncodeError otherwise. A pattern that fails on a text raises PatternError; a
    refused special token raises SpecialTokenError with the token, and nothing else, as its message.
    """

    def specials(self, allowed: Sequence[str], refused: Sequence[str]) -> Any:
        """What becomes of special tokens: *allowed* become ids, *refused* texts are an error."""

    def encode(self, text: str, specials: Any) -> list[int]:
        """The ids of *text*."""

    def encode_to_array(self, text: str, specials: Any) -> "NDArray[np.uint32]":
        """The ids of *text*."""

    def encode_batch(
        self, texts: Sequence[str], specials: Any, num_threads: int | None
    ) -> list[list[int]]:
        """The ids of each text, on *num_threads* threads, all cores if ``None``."""

    def encode_flat(
        self, texts: Sequence[str], specials: Any, num_threads: int | None
    ) -> "tuple[NDArray[np.uint32], NDArray[np.int64]]":
        """The ids of all texts, and where those of each begin, and the last end."""

    def encode_files(
        self, paths: Sequence[str | os.PathLike[str]], num_threads: int | None
    ) -> "tuple[NDArray[np.uint32], NDArray[np.int64]]":
        """The ids of the text in each file, likewise. CorpusError for one that is not UTF-8."""

    def encode_utf8(
        self, texts: Sequence[bytes], num_threads: int | None
    ) -> "tuple[NDArray[np.uint32], NDArray[np.int64]]":
        """The ids of texts in UTF-8, likewise. UnicodeDecodeError for one that is not."""

    def count_batch(
        self, texts: Sequence[str], specials: Any, num_threads: int | None
    ) -> list[int]:
        """How many ids each text has."""

    def count_files(
        self,
        paths: Sequence[str | os.PathLike[str]],
        num_threads: int | None,
        progress: Callable[[int], object] | None,
    ) -> list[int]:
        """How many ids each file has; see `encode_files`.

        *progress* is told now and then how many bytes are done.
        """

    def encode_piece(self, piece: bytes) -> list[int]:
        """The ids of *piece*, which is not split."""

    def count(self, text: str, specials: Any) -> int:
        """How many ids *text* has."""

    def pieces(self, text: str) -> list[str]:
        """The pieces of *text*; they concatenate to it."""

    def decode_bytes(self, ids: Any) -> bytes:
        """What *ids*, a sequence or an array, spell. UnknownTokenError for an id that is none."""

    def decode_batch(self, batch: Sequence[Any], num_threads: int | None) -> list[bytes]:
        """What each of *batch* spells, on *num_threads* threads, all cores if ``None``."""

    def token(self, id: int) -> bytes | None:
        """The bytes of *id*, ordinary or special."""

    def id(self, token: bytes) -> int | None:
        """The id that spells *token*, ordinary before special."""

    def merges(self) -> list[tuple[int, int] | None]:
        """For each rank the pair of ranks that makes its token, ``None`` where none does."""


class PieceCounts(Protocol):
    """How often each piece occurs in the documents added so far.

    Where adding fails, part of what was added has been counted. One call at a time: the compiled
    engine refuses another, from another thread or from *progress*, with TrainingError.
    """

    @property
    def parts(self) -> int:
        """How many parts `part` has, whatever was counted."""

    def add(self, texts: Sequence[str]) -> None:
        """Counts the pieces of *texts*, each a document by itself."""

    def add_files(
        self,
        paths: Sequence[str | os.PathLike[str]],
        progress: Callable[[int], object] | None,
    ) -> None:
        """Counts the pieces of the text in each file, which is a document by itself.

        *progress* is told now and then how many bytes are done. Raises CorpusError for a file that
        cannot be read, or is not UTF-8.
        """

    def add_counted(self, pieces: Sequence[bytes], counts: Sequence[int]) -> None:
        """Counts each of *pieces*, which are UTF-8, so many times more."""

    def gather(self, least: int) -> tuple[int, int]:
        """Brings back to memory what went to disk, less what occurred fewer than *least* times.

        Says how many pieces that were, and how often they occurred in all. Raises TrainingError
        where the memory is too small.
        """

    def part(self, number: int) -> tuple[list[bytes], list[int]]:
        """A share of the distinct pieces, ordered by bytes, and their counts."""

    def __len__(self) -> int:
        """How many distinct pieces there are in memory."""


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

    def PieceCounts(
        self,
        pattern: str,
        special_tokens: Sequence[str] = (),
        num_threads: int | None = None,
        max_memory: int | None = None,
        in_order: bool = False,
    ) -> PieceCounts:
        """No counts yet; documents will be split at *special_tokens*, and by *pattern* between.

        Past *max_memory* bytes counts go to temporary files. With *in_order*, training sees the
        pieces in the order in which they were first seen; that takes one thread and more memory.
        """

    def train(
        self,
        counts: Any,
        size: int,
        base: Sequence[bytes] | None = None,
        rules: MergeRules | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> list[bytes]:
        """Trains a vocabulary of *size* tokens, in rank order, on this engine's own *counts*.

        The first tokens are those of *base*, the 256 bytes if ``None``; *rules* defaults to
        ``MergeRules()``. *progress* is called from time to time with the number of tokens so far.
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
