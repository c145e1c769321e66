"""Ids to bytes and text: all at once, or streaming."""

import codecs
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pytok import engine as engines
from pytok.errors import UnknownTokenError

if TYPE_CHECKING:
    import numpy.typing as npt

    Ids = Sequence[int] | npt.NDArray[Any]
    """Ids to decode."""

_ID_RANGE = "a token id lies between 0 and 4294967295"


class StreamDecoder:
    """Decode ids as they arrive; a character appears once its last byte has arrived.

    *decode_bytes* is a tokenizer's method; *errors* is as in `bytes.decode`.

    >>> decoder = StreamDecoder(bytes)
    >>> [decoder.feed(id) for id in "né!".encode()], decoder.finish()
    (['n', '', 'é', '!'], '')
    """

    def __init__(
        self, decode_bytes: Callable[[Sequence[int]], bytes], errors: str = "replace"
    ) -> None:
        self._decode_bytes = decode_bytes
        self._text = codecs.getincrementaldecoder("utf-8")(errors)

    def feed(self, *tokens: int) -> str:
        """Return the text that *tokens* complete; UnknownTokenError for an unknown id."""
        return self._text.decode(self._decode_bytes(tokens))

    def finish(self) -> str:
        """Decode the bytes of an incomplete character, if any, and reset the decoder."""
        rest = self._text.decode(b"", final=True)
        self._text.reset()
        return rest


class Decoder:
    """The half of `pytok.Tokenizer` that decodes, with tiktoken's names, meanings and errors."""

    _core: engines.Core

    def decode_bytes(self, tokens: "Ids") -> bytes:
        """Return the bytes of *tokens*, a sequence or an array of ids, concatenated.

        Raises UnknownTokenError (a KeyError) for an unknown id.
        """
        try:
            return self._core.decode_bytes(tokens)
        except OverflowError:
            raise OverflowError(_ID_RANGE) from None

    def decode(self, tokens: "Ids", errors: str = "replace") -> str:
        """Return the text of *tokens*.

        Tokens can end in the middle of a character; *errors* is what becomes of bytes that are not
        UTF-8, as in `bytes.decode`.
        """
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

    def decode_tokens_bytes(self, tokens: Sequence[int]) -> list[bytes]:
        """Return the bytes of each id."""
        return [self.decode_single_token_bytes(token) for token in tokens]

    def decode_with_offsets(self, tokens: Sequence[int]) -> tuple[str, list[int]]:
        """Return the text of *tokens*, and the index of the character at which each token starts.

        A token that starts inside a character has the index of that character. Raises
        UnicodeDecodeError for tokens that are not valid UTF-8 together.
        """
        decoded = self.decode_tokens_bytes(tokens)
        length = 0
        offsets = []
        for token in decoded:
            # Continuation bytes, 0x80 to 0xBF, start no character.
            offsets.append(max(0, length - (0x80 <= token[0] < 0xC0)))
            length += sum(not 0x80 <= byte < 0xC0 for byte in token)
        return b"".join(decoded).decode("utf-8", errors="strict"), offsets

    def decode_batch(
        self,
        batch: Sequence["Ids"],
        *,
        errors: str = "replace",
        num_threads: int | None = None,
    ) -> list[str]:
        """Return the text of each sequence of ids; see `decode` and `decode_bytes_batch`."""
        decoded = self.decode_bytes_batch(batch, num_threads=num_threads)
        return [data.decode("utf-8", errors=errors) for data in decoded]

    def decode_bytes_batch(
        self, batch: Sequence["Ids"], *, num_threads: int | None = None
    ) -> list[bytes]:
        """Return the bytes of each sequence of ids.

        The work runs on *num_threads* threads (default: all cores).
        """
        engines.check_threads(num_threads)
        try:
            return self._core.decode_batch(batch, num_threads)
        except OverflowError:
            raise OverflowError(_ID_RANGE) from None

    def decoder(self, errors: str = "replace") -> StreamDecoder:
        """Return a decoder for ids that arrive one by one; it returns whole characters only."""
        return StreamDecoder(self.decode_bytes, errors)
