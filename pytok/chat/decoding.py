"""Decoding of the text of an export, whose encoding is determined by its bytes.

Apps write UTF-8. Editors and mail programs save a text in other forms: UTF-16 and RTF are read, the
code pages of Windows ("ANSI") only in the encoding that the user gives. Other kinds of files that
are given by mistake are named.
"""

import codecs
import re
from typing import NamedTuple

from pytok.chat.code_pages import suggest
from pytok.chat.rtf import MAGIC as RTF
from pytok.chat.rtf import read_rtf
from pytok.errors import ChatError

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_OTHER_FILES = (
    (b"%PDF", "a PDF document, which has no messages, only a picture of them"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"Rar!", "a RAR archive; unpack it, and give the file of the chat"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it, and give the file of the chat"),
    (b"\x1f\x8b", "a compressed file; unpack it (gunzip), and give the file of the chat"),
    (b"\xd0\xcf\x11\xe0", "a document of Microsoft Office; give the export as the app wrote it"),
    (b"bplist", "a property list of Apple; give the export as the app wrote it"),
)
"""First bytes of files that are no texts, and what to do about each."""

_SAMPLE = 1 << 16
_NOT_IN_TEXTS = re.compile(r"[\x00-\x08\x0e-\x1f\ufffd\ufdd0-\ufdef\ue000-\uf8ff]")
"""Control characters, those of no script, and what stands for bytes that cannot be decoded."""

_NOT_FOR_TEXTS = frozenset(("idna", "punycode", "unicode_escape", "raw_unicode_escape"))
"""Encodings of Python that no editor uses."""


class Decoded(NamedTuple):
    """A text, and what is missing from it."""

    text: str
    warnings: list[str]


def decode(data: bytes, name: str, encoding: str | None = None) -> Decoded:
    """Decode *data*: as *encoding* if given, else as UTF-8, UTF-16 or RTF by its bytes.

    A last character that was cut in two is omitted, with a warning. Raises ChatError with the file
    *name* and the line for any other invalid bytes, and for a file that is no text.
    """
    if encoding is None and data.startswith(RTF):
        saved = f"{name} was saved by an editor as RTF; the export as the app wrote it is safer"
        return Decoded(read_rtf(data), [saved])
    encoding = encoding or _find_encoding(data, name)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        text = decoder.decode(data)
    except UnicodeDecodeError as error:
        raise _undecodable(data, name, encoding, error.start) from None
    pending, _ = decoder.getstate()
    if not pending:
        return Decoded(text.removeprefix("\ufeff"), [])
    return Decoded(
        text,
        [
            f"{name} ends in the middle of a character: it was cut when it was copied, and the end "
            "may be missing; export or copy it again to have all of it"
        ],
    )


def check_encoding(encoding: str) -> None:
    """Raise ChatError if *encoding* is not the name of an encoding of texts."""
    try:
        known = codecs.lookup(encoding).name.replace("-", "_") not in _NOT_FOR_TEXTS
        if known and "a".encode(encoding).decode(encoding) == "a":
            return
    except (LookupError, ValueError):  # ValueError: the name has a zero character
        pass
    raise ChatError(f"{encoding!r:.40} is not an encoding; give a name such as cp1252 or gb18030")


def _find_encoding(data: bytes, name: str) -> str:
    """Return the encoding that the first bytes of *data* show, or UTF-8."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding
    for magic, what in _OTHER_FILES:
        if data.startswith(magic):
            raise ChatError(f"{name} is {what}")
    if b"\0" not in data:
        return "utf-8-sig"
    sample = data[: min(_SAMPLE, len(data) & ~1)]
    for encoding in ("utf-16-le", "utf-16-be"):
        # A cut at the end of the sample can be inside a pair of surrogates.
        text = sample.decode(encoding, "replace")[:-1]
        if re.search(r"[ \n\r\t0-9]", text) and not _NOT_IN_TEXTS.search(text):
            return encoding
    line = data.count(b"\n", 0, data.index(b"\0")) + 1
    raise ChatError(f"{name}, line {line}: a zero byte; this is not a text export")


def _undecodable(data: bytes, name: str, encoding: str, start: int) -> ChatError:
    """Return the error for the byte at *start*, with the encoding that the text may have."""
    line = data.count(b"\n", 0, start) + 1
    where = f"{name}, line {line}: byte {start} (0x{data[start]:02x}) is not {encoding.upper()}"
    if not encoding.startswith("utf-8"):
        return ChatError(f"{where}; give the export as the app wrote it")
    where = where.replace(encoding.upper(), "UTF-8")
    found = suggest(data)
    if found is None:
        return ChatError(f"{where}; give the export as the app wrote it")
    return ChatError(
        f"{where}: an editor saved this file in an old encoding; use the file as the phone sent it."
        f" If {found.example[:60]!r} reads well, it is {found.languages}: --encoding "
        f"{found.encoding}"
    )
