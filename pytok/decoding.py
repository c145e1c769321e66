"""Ids to bytes and text: all at once, or streaming."""

import codecs
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from operator import index
from typing import TYPE_CHECKING, Any

from pytok import engine as engines
from pytok.errors import UnknownTokenError

if TYPE_CHECKING:
    import numpy.typing as npt

    Ids = Iterable[int] | npt.NDArray[Any]
    """Ids to decode: a list, an array of numpy, a tensor of torch, any iterable in order."""

_ID_RANGE = "a token id lies between 0 and 4294967295"


class StreamDecoder:
    """Decode ids as they arrive; a character appears once its last byte has arrived.

    *decode_bytes* is a tokenizer's method; *errors* is as in `bytes.decode`. The ids of *skipped*
    are no text.

    >>> decoder = StreamDecoder(bytes)
    >>> [decoder.feed(id) for id in "né!".encode()], decoder.finish()
    (['n', '', 'é', '!'], '')
    """

    def __init__(
        self,
        decode_bytes: Callable[[Sequence[int]], bytes],
        errors: str = "replace",
        skipped: Set[int] = frozenset(),
    ) -> None:
        self._decode_bytes = decode_bytes
        self._skipped = skipped
        self._text = codecs.getincrementaldecoder("utf-8")(errors)

    def feed(self, *tokens: int) -> str:
        """Return the text that *tokens* complete; UnknownTokenError for an unknown id."""
        if self._skipped:
            tokens = tuple(token for token in tokens if index(token) not in self._skipped)
        return self._text.decode(self._decode_bytes(tokens))

    def finish(self) -> str:
        """Decode the bytes of an incomplete character, if any, and reset the decoder."""
        rest = self._text.decode(b"", final=True)
        self._text.reset()
        return rest


class Decoder:
    """The half of `pytok.Tokenizer` that decodes, with tiktoken's names, meanings and errors."""

    _core: engines.Core
    _special_token_values: set[int]

    def decode_bytes(self, tokens: "Ids") -> bytes:
        """Return the bytes of *tokens*, ids in an iterable or an array, concatenated.

        Raises UnknownTokenError (a KeyError) for an unknown id.
        """
        if type(tokens) is not list:
            tokens = _row(tokens)
        try:
            return self._core.decode_bytes(tokens)
        except OverflowError:
            raise OverflowError(_ID_RANGE) from None

    def decode(
        self, tokens: "Ids", errors: str = "replace", *, skip_special_tokens: bool = False
    ) -> str:
        """Return the text of *tokens*.

        Tokens can end in the middle of a character; *errors* is what becomes of bytes that are not
        UTF-8, as in `bytes.decode`. With *skip_special_tokens*, special tokens are no text.
        """
        if skip_special_tokens:
            tokens = self._without_special(tokens)
        return self.decode_bytes(tokens).decode("utf-8", errors=errors)

    def decode_single_token_bytes(self, token: int) -> bytes:
        """Return the bytes of one id, special or not; UnknownTokenError (a KeyError) if unknown."""
        try:
            found = self._core.token(token)
        except OverflowError:
            raise OverflowError(_ID_RANGE) from None
        if found is None:
            raise UnknownTokenError(str(token))
        return found

    def decode_tokens_bytes(self, tokens: "Ids") -> list[bytes]:
        """Return the bytes of each id."""
        return [self.decode_single_token_bytes(token) for token in _as_list(tokens)]

    def decode_with_offsets(self, tokens: "Ids") -> tuple[str, list[int]]:
        """Return the text of *tokens*, and the index of the character at which each token starts.

        A token that starts inside a character has the index of that character. Raises
        UnicodeDecodeError for tokens that are not valid UTF-8 together.
        """
        decoded = self.decode_tokens_bytes(tokens)
        length = 0
        offsets = []
        for token in decoded:
            # Continuation bytes, 0x80 to 0xBF, start no character. A few tokens have no bytes.
            offsets.append(max(0, length - (b"\x80" <= token[:1] < b"\xc0")))
            length += sum(not 0x80 <= byte < 0xC0 for byte in token)
        return b"".join(decoded).decode("utf-8", errors="strict"), offsets

    def decode_batch(
        self,
        batch: "Iterable[Ids]",
        *,
        errors: str = "replace",
        skip_special_tokens: bool = False,
        num_threads: int | None = None,
    ) -> list[str]:
        """Return the text of each row of ids; see `decode` and `decode_bytes_batch`."""
        if skip_special_tokens:
            batch = [self._without_special(tokens) for tokens in batch]
        decoded = self.decode_bytes_batch(batch, num_threads=num_threads)
        return [data.decode("utf-8", errors=errors) for data in decoded]

    def decode_bytes_batch(
        self, batch: "Iterable[Ids]", *, num_threads: int | None = None
    ) -> list[bytes]:
        """Return the bytes of each row of ids: lists, arrays, or an array of two dimensions.

        The work runs on *num_threads* threads (default: all cores).
        """
        engines.check_threads(num_threads)
        rows = [tokens if type(tokens) is list else _row(tokens) for tokens in _rows(batch)]
        try:
            return self._core.decode_batch(rows, num_threads)
        except OverflowError:
            raise OverflowError(_ID_RANGE) from None

    def decoder(
        self, errors: str = "replace", *, skip_special_tokens: bool = False
    ) -> StreamDecoder:
        """Return a decoder for ids that arrive one by one; it returns whole characters only."""
        skipped = self._special_token_values if skip_special_tokens else frozenset()
        return StreamDecoder(self.decode_bytes, errors, skipped)

    def _without_special(self, tokens: "Ids") -> list[int]:
        special = self._special_token_values
        return [token for token in _as_list(tokens) if index(token) not in special]


def _rows(batch: "Iterable[Ids]") -> "Iterable[Ids]":
    """Return the rows of *batch*; those of a tensor as rows of an array, which is faster."""
    return _array(batch) if hasattr(batch, "__array__") else batch


def _row(tokens: Any) -> Any:
    """Return ids as engines take them: a sequence, or an array of one dimension.

    Raises TypeError, with the type, for anything else that is no iterable of ids in order.
    """
    if isinstance(tokens, Sequence) and not isinstance(tokens, str):
        return tokens
    if hasattr(tokens, "__array__"):
        array = _array(tokens)
        if array.ndim != 1:
            raise TypeError(
                f"{_type(tokens)} of shape {array.shape} is not a row of ids: pass one dimension, "
                "or two to the methods for a batch"
            )
        return array
    if isinstance(tokens, Iterable) and not isinstance(tokens, str | Set | Mapping):
        return list(tokens)
    raise TypeError(f"ids come in a list, an array or an iterable, not {_type(tokens)}")


def _as_list(tokens: "Ids") -> Sequence[int]:
    row = _row(tokens)
    ids: Sequence[int] = row.tolist() if hasattr(row, "tolist") else row
    return ids


def _array(tokens: Any) -> "npt.NDArray[Any]":
    """Return an array of numpy, or a tensor on any device, as an array of integers."""
    import numpy as np

    try:
        array = np.asarray(tokens)
    except (TypeError, RuntimeError):  # a tensor on a GPU
        array = np.asarray(tokens.tolist())
    if array.dtype.kind in "iuO" or not array.size:
        # PERF: the native engine reads int64 and uint32 at once, others id by id.
        is_small = array.dtype.kind in "iu" and array.itemsize < 8 and array.dtype != np.uint32
        return array.astype(np.int64) if is_small else array
    raise TypeError(f"ids are integers, not {_type(tokens)} of {array.dtype}")


def _type(value: object) -> str:
    return type(value).__name__
