"""Decoding of the text of an export, whose encoding is determined by its bytes."""

import codecs
from typing import NamedTuple

from pytok.errors import ChatError


class Decoded(NamedTuple):
    """A text, and what is missing from it."""

    text: str
    warnings: list[str]


def decode(data: bytes, name: str) -> Decoded:
    """Decode *data* as UTF-8, or as UTF-16 if it starts with a byte order mark.

    A last character that was cut in two is omitted, with a warning. Raises ChatError with the file
    *name* and the line for any other invalid bytes.
    """
    encoding = "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise ChatError(f"{name}, line {line}: a zero byte; this is not a text export")
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        text = decoder.decode(data)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ChatError(
            f"{name}, line {line}: byte {error.start} (0x{data[error.start]:02x}) is not "
            f"{error.encoding.upper()}; give the export as the app wrote it"
        ) from None
    pending, _ = decoder.getstate()
    if not pending:
        return Decoded(text, [])
    return Decoded(
        text,
        [
            f"{name} ends in the middle of a character: it was cut when it was copied, and the end "
            "may be missing; export or copy it again to have all of it"
        ],
    )
