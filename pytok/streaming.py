"""Decoding ids as they come, a character at a time."""

import codecs
from collections.abc import Callable, Sequence


class StreamDecoder:
    """Decodes ids as they come; a character appears once its last byte has come.

    *decode_bytes* is a tokenizer's; *errors* as in `bytes.decode`.

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
        """The text that *tokens* complete; UnknownTokenError for an id that is none."""
        return self._text.decode(self._decode_bytes(tokens))

    def finish(self) -> str:
        """What is left of a character that never ended; the decoder then starts afresh."""
        rest = self._text.decode(b"", final=True)
        self._text.reset()
        return rest
