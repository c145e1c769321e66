"""From ids to bytes. Twin of `bpe-rs/src/decode.rs`."""

from collections.abc import Iterable, Mapping

from pytok.errors import UnknownTokenError


def decode(tokens: Mapping[int, bytes], ids: Iterable[int]) -> bytes:
    """Return the bytes of *ids*, concatenated; not necessarily UTF-8.

    *tokens* maps each id to its bytes, special tokens included. Raises UnknownTokenError for an id
    that is not in it.

    >>> decode({71: b"h", 72: b"i"}, [71, 72])
    b'hi'
    """
    try:
        return b"".join([tokens[token] for token in ids])
    except KeyError as missing:
        raise UnknownTokenError(f"Invalid token for decoding: {missing.args[0]}") from None
