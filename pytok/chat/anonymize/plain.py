"""A text in plain characters, position by position, so that one grammar reads all scripts.

Digits of every script become ASCII, as do full-width letters and signs, dashes, spaces and currency
signs. Invisible characters become U+200B. The result has the length of the text, so a position in
one is a position in the other.
"""

import unicodedata

IGNORED = "\u200b"
"""Stands for a character that is not seen, such as a mark of direction or a keycap."""

_BY_CATEGORY = {"Pd": "-", "Zs": " ", "Sc": "$", "Cf": IGNORED, "Zl": "\n", "Zp": "\n"}
_SIGNS = {
    **dict.fromkeys("\u2212\ufe63", "-"),
    **dict.fromkeys("\u2044\u2215\u29f8", "/"),
    **dict.fromkeys("\u2219\u22c5\u30fb\uff65\u2022", "·"),
    **dict.fromkeys("\u2018\u2019\u201b\u2032\u02bc\u00b4`", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb\u2033", '"'),
    **dict.fromkeys("\r\x0b\x0c\x85", "\n"),
    **dict.fromkeys("\u034f\u20e3\ufe0e\ufe0f", IGNORED),  # joiner, keycap, variation selectors
    "\t": " ",
}


class _Plain(dict[int, str]):
    """Code point to plain character, filled on demand for `str.translate`."""

    def __missing__(self, code: int) -> str:
        self[code] = plain = _plain(chr(code))
        return plain


def _plain(character: str) -> str:
    if character in _SIGNS:
        return _SIGNS[character]
    digit = unicodedata.digit(character, None)  # also of ² and ①
    if digit is not None:
        return str(digit)
    category = unicodedata.category(character)
    if category in _BY_CATEGORY and character != "\n":
        return _BY_CATEGORY[category]
    compatible = unicodedata.normalize("NFKC", character)
    return compatible if len(compatible) == 1 and compatible.isascii() else character


_PLAIN = _Plain()


def plain(text: str) -> str:
    """Return *text* in plain characters, of the same length."""
    return text.translate(_PLAIN)


def digits(text: str) -> str:
    """Return the digits of *text*, of any script, as ASCII."""
    return "".join(c for c in plain(text) if "0" <= c <= "9")
