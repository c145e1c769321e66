"""The text in RTF, the format in which TextEdit and WordPad save a document.

Only characters and line breaks are read; fonts matter where bytes depend on them. Source:
Microsoft's Rich Text Format Specification 1.9.1.
"""

import re
from typing import NamedTuple

from pytok.text import repair

MAGIC = b"{\\rtf"

_TOKEN = re.compile(
    r"\\(?P<word>[A-Za-z]{1,32})(?P<number>-?\d{1,10})?[ ]?|\\'(?P<byte>[0-9A-Fa-f]{2})"
    r"|\\(?P<symbol>[^A-Za-z])|(?P<open>\{)|(?P<close>\})|[\r\n]|(?P<text>[^\\{}\r\n]+)|\\"
)

_SYMBOLS = {"\n": "\n", "\r": "\n", "~": "\u00a0", "_": "\u2011", "{": "{", "}": "}", "\\": "\\"}
_WORDS = {
    **dict.fromkeys(("par", "line", "row", "page", "sect"), "\n"),
    **dict.fromkeys(("tab", "cell"), "\t"),
    **{"emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’"},
    **{"ldblquote": "“", "rdblquote": "”", "zwj": "\u200d", "zwnj": "\u200c"},
    **{"ltrmark": "\u200e", "rtlmark": "\u200f", "emspace": "\u2003", "enspace": "\u2002"},
}
_NOT_TEXT = frozenset(
    (
        *("fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "fldinst", "generator"),
        *("header", "headerl", "headerr", "footer", "footerl", "footerr"),
        *("filetbl", "listtable", "listoverridetable"),
    )
)
"""Words that begin a group whose characters are not part of the text."""

_CHARSETS = {
    **{0: "cp1252", 128: "cp932", 129: "cp949", 134: "gbk", 136: "big5", 161: "cp1253"},
    **{162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251"},
    **{222: "cp874", 238: "cp1250"},
}
"""Numbers of character sets of fonts, and their encodings."""


class _Group(NamedTuple):
    """The state that a closing brace restores."""

    is_text: bool
    is_font_table: bool
    skipped: int
    """Number of characters after one in Unicode that repeat it for software without Unicode."""
    font: int


def read_rtf(data: bytes) -> str:
    """Return the text of the document *data*, with LF between lines. Damage never raises."""
    return _Reader().read(data.decode("latin-1"))


class _Reader:
    """Reads one document."""

    def __init__(self) -> None:
        self._group = _Group(is_text=True, is_font_table=False, skipped=1, font=0)
        self._outer: list[_Group] = []
        self._encoding = "cp1252"
        self._encodings: dict[int, str] = {}
        self._written: list[str] = []
        self._bytes = bytearray()
        """Bytes not decoded yet: a character can have several, each written on its own."""
        self._to_skip = 0

    def read(self, document: str) -> str:
        """Return the text of *document*, whose characters are bytes."""
        for match in _TOKEN.finditer(document):
            kind = match.lastgroup
            if kind == "byte":
                self._add_bytes(bytes.fromhex(match["byte"]))
            elif kind == "text":
                self._add_bytes(match["text"].encode("latin-1"))
            elif kind in ("word", "number"):
                self._read_word(match["word"], match["number"])
            elif kind == "symbol":
                self._read_symbol(match["symbol"])
            elif kind == "open":
                self._outer.append(self._group)
            elif kind == "close" and self._outer:
                self._flush()
                self._group = self._outer.pop()
        self._flush()
        return repair("".join(self._written))

    def _add_bytes(self, data: bytes) -> None:
        if self._group.is_text:
            skipped = min(self._to_skip, len(data))
            self._to_skip -= skipped
            self._bytes += data[skipped:]

    def _add_text(self, text: str) -> None:
        self._flush()
        if self._group.is_text:
            self._written.append(text)

    def _flush(self) -> None:
        """Decode the bytes so far, which are in the encoding of the font."""
        if self._bytes:
            encoding = self._encodings.get(self._group.font, self._encoding)
            self._written.append(self._bytes.decode(encoding, "replace"))
            self._bytes.clear()
        self._to_skip = 0

    def _read_symbol(self, symbol: str) -> None:
        if symbol == "*":
            self._group = self._group._replace(is_text=False)
        elif symbol in _SYMBOLS:
            self._add_text(_SYMBOLS[symbol])

    def _read_word(self, word: str, number: str | None) -> None:
        value = int(number or 0)
        if word in _WORDS:
            self._add_text(_WORDS[word])
        elif word == "u" and number is not None:
            self._add_text(chr(value % 0x10000))
            self._to_skip = self._group.skipped
        elif word == "uc":
            self._group = self._group._replace(skipped=max(0, min(value, 8)))
        elif word == "f":
            self._flush()
            self._group = self._group._replace(font=value)
        elif word == "fcharset" and self._group.is_font_table and value in _CHARSETS:
            # Font tables of Apple name the character set 0 for any encoding of the document.
            if value:
                self._encodings[self._group.font] = _CHARSETS[value]
        elif word == "ansicpg" and f"cp{value}" in _CODE_PAGES:
            self._encoding = _CODE_PAGES[f"cp{value}"]
        elif word in _NOT_TEXT:
            self._group = self._group._replace(is_text=False, is_font_table=word == "fonttbl")


_CODE_PAGES = {name: name for name in _CHARSETS.values()} | {
    "cp936": "gbk",
    "cp950": "big5",
    "cp65001": "utf-8",
    "cp10000": "mac_roman",
}
