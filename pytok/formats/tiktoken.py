"""The ``.tiktoken`` format: lines of a token in base64 and its rank."""

import base64
import binascii
import warnings
from collections.abc import Container, Mapping
from os import PathLike
from pathlib import Path

from pytok import engine as engines
from pytok.definition import UTF8_BYTES, Definition
from pytok.engine import EngineName
from pytok.errors import FormatError


def parse(data: bytes, source: str | PathLike[str]) -> dict[bytes, int]:
    r"""Return the ranks in *data*, the content of a ``.tiktoken`` file.

    Raises FormatError with *source* and the number of the line.

    >>> parse(b"IQ== 0\nIg== 1\n", "two.tiktoken")
    {b'!': 0, b'"': 1}
    """
    ranks: dict[bytes, int] = {}
    seen: set[int] = set()
    for number, line in enumerate(data.splitlines(), 1):
        if not line:
            continue
        try:
            letters, rank = line.split()
            if not rank.removeprefix(b"-").isdigit():  # int() would accept 1_0 and +5
                raise ValueError
            # Whisper's files list an empty token as "=", without letters.
            token = b"" if letters == b"=" else base64.b64decode(letters, validate=True)
            value = int(rank)
        except (ValueError, binascii.Error):
            quoted = line[:60].decode("ascii", "backslashreplace")
            raise FormatError(
                f"{source}: line {number}: {quoted!r} is not a token in base64 and a rank"
            ) from None
        if token in ranks:
            raise FormatError(f"{source}: line {number}: the token {token!r} occurs twice")
        if value in seen:
            raise FormatError(f"{source}: line {number}: the rank {value} occurs twice")
        if not 0 <= value < 1 << 32:
            raise FormatError(
                f"{source}: line {number}: the rank {value} is not between 0 and 4294967295"
            )
        ranks[token] = value
        seen.add(value)
    return ranks


def read(data: bytes, source: str | PathLike[str]) -> tuple[list[bytes], list[int]]:
    """Return the tokens in *data* in the order of their ranks, and the ranks; see `parse`."""
    return _in_order(parse(data, source))


def _in_order(ranks: Mapping[bytes, int]) -> tuple[list[bytes], list[int]]:
    tokens = sorted(ranks, key=ranks.__getitem__)
    return tokens, [ranks[token] for token in tokens]


def definition(path: Path, data: bytes, pattern: str, engine: EngineName) -> Definition:
    """Return the definition of the ranks in *data*, the content of *path*, split by *pattern*.

    An empty token is only decoded. A UserWarning says which bytes the ranks lack.
    """
    empty = {}
    if parsed := engines.load(engine).parse_ranks(data):
        tokens, ids = parsed
        known: Container[bytes] = tokens
    else:
        known = ranks = parse(data, path)
        if (id := ranks.pop(b"", None)) is not None:
            empty[id] = b""
        tokens, ids = _in_order(ranks)
    if missing := [byte for byte in sorted(UTF8_BYTES) if bytes([byte]) not in known]:
        count, first = len(missing), missing[0]
        warnings.warn(
            f"{path}: the vocabulary lacks {count} of the 256 bytes, such as 0x{first:02x}: a text "
            "that has one is an error",
            stacklevel=5,
        )
    return Definition(path.stem, tokens, ids, pattern, decode_only=empty)


def dump(path: Path, definition: Definition) -> bytes:
    """Return the content of the file; *path* is for messages."""
    if definition.end_of_word_suffix:
        raise FormatError(
            f"{path}: the tokenizer {definition.beyond_bytes}, which a list of ranks cannot "
            "express: save it as .json"
        )
    if list(definition.ids) != sorted(definition.ids):
        raise FormatError(
            f"{path}: the ids are not in the order of merging, which a .tiktoken file requires: "
            "save it as .json"
        )
    lines = zip(definition.tokens, definition.ids, strict=True)
    return b"".join(base64.b64encode(token) + b" %d\n" % id for token, id in lines)
