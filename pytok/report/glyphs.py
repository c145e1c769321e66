"""How a token is displayed.

Text must not affect the page: characters that are invisible or change the writing direction are
shown by name, and bytes that are not a complete character in hexadecimal.
"""

import re
from typing import NamedTuple
from unicodedata import category

_MAX_REPEATS = 8
"""Repeats of a character that are shown; a longer run is abbreviated to these and its length."""

_DOTTED_CIRCLE = "◌"
"""Base of a combining mark without a letter, as in the charts of the Unicode Standard."""

_RUNS = re.compile(rf"(.)\1{{{_MAX_REPEATS},}}|.", re.S)
_NAMES = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"}


class Glyph(NamedTuple):
    """A displayed part of a token."""

    kind: str
    """``text``; ``byte``, in hexadecimal; or ``name``, of an invisible character."""
    text: str


def glyphs(token: bytes, *, spaces: bool = False) -> tuple[Glyph, ...]:
    r"""Return the glyphs of *token*: alone, or inside a text, where *spaces* stay spaces.

    >>> [glyph.text for glyph in glyphs(" é\n".encode() + b"\xe2\x80")]
    ['␣', 'é', '⏎', 'e2', '80']
    """
    single: list[Glyph] = []
    for match in _RUNS.finditer(token.decode("utf-8", "surrogateescape")):
        text, abbreviated = match[0], match[1] is not None and not spaces
        visible = text[:_MAX_REPEATS] if abbreviated else text
        single += [_glyph(character, spaces) for character in visible]
        if abbreviated:
            single.append(Glyph("name", f"×{len(text):,}"))
    joined: list[Glyph] = []
    if single and not spaces and category(single[0].text[0]).startswith("M"):
        joined.append(Glyph("text", _DOTTED_CIRCLE))
    for kind, text in single:
        if joined and kind == joined[-1].kind == "text":
            joined[-1] = Glyph("text", joined[-1].text + text)
        else:
            joined.append(Glyph(kind, text))
    return tuple(joined)


def _glyph(character: str, spaces: bool) -> Glyph:
    if "\udc80" <= character <= "\udcff":
        return Glyph("byte", f"{ord(character) - 0xDC00:02x}")
    if spaces and character == " ":
        return Glyph("text", character)
    if character in _NAMES:
        return Glyph("name", _NAMES[character] + ("\n" if spaces and character == "\n" else ""))
    if not character.isprintable():
        return Glyph("name", f"U+{ord(character):04X}")
    return Glyph("text", character)
