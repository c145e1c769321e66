"""The interface of the two engines; the only importer of `pytok._native` and `pytok.reference`.

An engine is a module: ``native`` is the compiled crate, ``reference`` its twin in pure Python. Both
have the methods of the protocols below and return equal results.
"""

import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast

from pytok.definition import Definition
from pytok.merging import MergeRules

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EngineName = Literal["native", "reference"]

Ranks: TypeAlias = tuple[Sequence[bytes], Sequence[int]]
"""Tokens in rank order, and their ids."""

MAX_THREADS = 1024
"""Most threads of a call: more never help, and a typo must not start a million."""


def check_threads(num_threads: int | None) -> None:
    """Raise ValueError unless *num_threads* is ``None`` (all cores) or 1 to `MAX_THREADS`."""
    if num_threads is not None and not 1 <= num_threads <= MAX_THREADS:
        raise ValueError(f"num_threads is {num_threads}: pass 1 to {MAX_THREADS}")


class Core(Protocol):
    """A tokenizer's parts, ready to use; immutable, so safe to share between threads.

    The argument *specials* is a result of the method `specials`, or ``None``: then special tokens
    are ordinary text, and only added tokens that are not special are found. Texts with lone
    surrogates raise UnicodeEncodeError. A pattern that fails on a text raises PatternError; a byte
    that the vocabulary lacks, VocabError, unless the tokenizer has a token for unknown bytes or
    omits them. A refused special token raises SpecialTokenError with the token alone as its
    message.
    """

    def specials(self, allowed: Sequence[str], refused: Sequence[str]) -> Any:
        """Prepare special tokens: *allowed* become ids, *refused* texts are an error."""

    def encode(self, text: str, specials: Any) -> list[int]:
        """Return the ids of *text*."""

    def encode_with_offsets(
        self, text: str, specials: Any, limit: int | None = None
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids of *text*, and for each the start and end of the characters it stands for.

        For a part of a character, or of what was normalized together, that is the whole. After
        *limit* ids, which is above 0, the rest of the text is not encoded.
        """

    def normalize(self, text: str) -> str:
        """Return *text* as it is before it is split, as far as no added token is in it."""

    def encode_to_array(self, text: str, specials: Any) -> "NDArray[np.uint32]":
        """Return the ids of *text*, shape (n,)."""

    def encode_batch(
        self, texts: Sequence[str], specials: Any, num_threads: int | None
    ) -> list[list[int]]:
        """Return the ids of each text, on *num_threads* threads (default: all cores)."""

    def encode_flat(
        self, texts: Sequence[str], specials: Any, num_threads: int | None
    ) -> "tuple[NDArray[np.uint32], NDArray[np.int64]]":
        """Return the ids of all texts, shape (n,), and their offsets, shape (texts + 1,).

        The ids of text i are ``ids[offsets[i]:offsets[i + 1]]``.
        """

    def encode_files(
        self, paths: Sequence[str | os.PathLike[str]], num_threads: int | None
    ) -> "tuple[NDArray[np.uint32], NDArray[np.int64]]":
        """Return the ids of the text in each file; see `encode_flat`.

        Raises CorpusError for a file that is not UTF-8.
        """

    def encode_utf8(
        self, texts: Sequence[bytes], num_threads: int | None
    ) -> "tuple[NDArray[np.uint32], NDArray[np.int64]]":
        """Return the ids of each UTF-8 text; see `encode_flat`.

        Raises UnicodeDecodeError for a text that is not UTF-8.
        """

    def count_batch(
        self, texts: Sequence[str], specials: Any, num_threads: int | None
    ) -> list[int]:
        """Return the number of ids of each text."""

    def count_files(
        self,
        paths: Sequence[str | os.PathLike[str]],
        num_threads: int | None,
        progress: Callable[[int], object] | None,
    ) -> list[int]:
        """Return the number of ids of each file; see `encode_files`.

        *progress* is called from time to time with the number of bytes done.
        """

    def encode_piece(self, piece: bytes) -> list[int]:
        """Return the ids of *piece*, which is not split further."""

    def count(self, text: str, specials: Any) -> int:
        """Return the number of ids of *text*."""

    def pieces(self, text: str) -> list[str]:
        """Return the pieces of *text*, which is normalized first; added tokens in it are text."""

    def decode_bytes(self, ids: Any) -> bytes:
        """Return the bytes of *ids*, a sequence or an array.

        Raises UnknownTokenError for an unknown id.
        """

    def decode_batch(self, batch: Sequence[Any], num_threads: int | None) -> list[bytes]:
        """Return the bytes of each sequence, on *num_threads* threads (default: all cores)."""

    def token(self, id: int) -> bytes | None:
        """Return the bytes of *id*, whatever it is the id of; ``None`` if it is unknown."""

    def id(self, token: bytes) -> int | None:
        """Return the id of *token*, ordinary before added; ``None`` if there is none."""

    def merges(self) -> list[tuple[int, int] | None]:
        """Return for each rank the pair of lower ranks that makes its token, or ``None``."""


class PieceCounts(Protocol):
    """The number of occurrences of each piece in the documents added so far.

    A call that fails leaves a part of its documents counted. Calls must not overlap: the native
    engine raises TrainingError for a call from another thread or from *progress*.
    """

    @property
    def parts(self) -> int:
        """Number of parts that `part` returns, whatever was counted."""

    def add(self, texts: Sequence[str]) -> None:
        """Count the pieces of *texts*, each of which is a document."""

    def add_files(
        self,
        paths: Sequence[str | os.PathLike[str]],
        progress: Callable[[int], object] | None,
    ) -> None:
        """Count the pieces of the text in each file, which is a document.

        *progress* is called from time to time with the number of bytes done. Raises CorpusError for
        a file that cannot be read or is not UTF-8.
        """

    def add_counted(self, pieces: Sequence[bytes], counts: Sequence[int]) -> None:
        """Add *counts* to those of *pieces*, which are UTF-8."""

    def gather(self, least: int) -> tuple[int, int]:
        """Read counts back from disk and drop pieces that occur fewer than *least* times.

        Returns the number of dropped pieces, and of their occurrences in total. Raises
        TrainingError if the counts do not fit in memory.
        """

    def part(self, number: int) -> tuple[list[bytes], list[int]]:
        """Return one part of the distinct pieces, sorted by bytes, and their counts."""

    def __len__(self) -> int:
        """Return the number of distinct pieces in memory."""


class TokenizerJson(Protocol):
    """A tokenizer.json that an engine has read."""

    @property
    def rest(self) -> str:
        """The document without ``model.vocab`` and ``model.merges``, as JSON."""

    def __len__(self) -> int:
        """Return the number of entries of ``model.vocab``."""

    def entries(self) -> list[str]:
        """Return the entries of ``model.vocab``."""

    def id(self, entry: str) -> int | None:
        """Return the id of an entry of ``model.vocab``."""

    def assemble(
        self, added: Sequence[str], ignore_merges: bool
    ) -> tuple[Ranks, dict[int, bytes]] | None:
        """Return the tokens and the entries that only decode; *added* are the added tokens.

        Returns ``None`` unless the merges that the file lists encode exactly as the tokens do.
        """


class Engine(Protocol):
    """The names that the module of an engine has."""

    def Core(self, definition: Definition) -> Core:
        """Build a core; VocabError or PatternError if the parts do not fit together."""

    def PieceCounts(
        self,
        pattern: str,
        special_tokens: Sequence[str] = (),
        num_threads: int | None = None,
        max_memory: int | None = None,
        in_order: bool = False,
    ) -> PieceCounts:
        """Start counting; documents are split at *special_tokens*, then by *pattern*.

        Above *max_memory* bytes counts go to temporary files. With *in_order*, training receives
        the pieces in the order of their first occurrence, which takes one thread and more memory.
        """

    def parse_ranks(self, data: bytes) -> Ranks | None:
        """Parse a .tiktoken file; ``None`` if only the reader in `pytok.formats` can judge it."""

    def parse_tokenizer_json(self, data: bytes) -> TokenizerJson | None:
        """Parse a tokenizer.json; ``None`` if only the reader in `pytok.formats` can judge it."""

    def train(
        self,
        counts: Any,
        size: int,
        base: Sequence[bytes] | None = None,
        rules: MergeRules | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> list[bytes]:
        """Train a vocabulary of *size* tokens, in rank order, on this engine's own *counts*.

        The first tokens are those of *base*, the 256 bytes if ``None``; *rules* defaults to
        ``MergeRules()``. *progress* is called from time to time with the number of tokens so far.
        """


@functools.cache
def load(name: EngineName) -> Engine:
    """Return an engine by name.

    Raises ValueError for an unknown name, ImportError if the native engine is not built.
    """
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
