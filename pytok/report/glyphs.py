"""How a token is shown.

A text must not command the page: what is invisible or turns the writing direction is named, and
bytes that are no whole character are shown in hexadecimal.
"""

import re
from typing import NamedTuple
from unicodedata import category

_RUN = 8
"""So many of a character in a row are shown; more are counted."""

_BASE = "◌"
"""Carries a combining mark that has lost its letter, as in the Unicode Standard's own charts."""

_RUNS = re.compile(rf"(.)\1{{{_RUN},}}|.", re.S)
_NAMES = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"}


class Glyph(NamedTuple):
    """A stretch of a token as it is shown."""

    kind: str
    """``text``; ``byte``, in hexadecimal; or ``name``, of what cannot be seen."""
    text: str


def glyphs(token: bytes, *, spaces: bool = False) -> tuple[Glyph, ...]:
    r"""*token* as it is shown: alone, or with *spaces* that stay themselves, in a text.

    >>> [glyph.text for glyph in glyphs(" é\n".encode() + b"\xe2\x80")]
    ['␣', 'é', '⏎', 'e2', '80']
    """
    shown: list[Glyph] = []
    for match in _RUNS.finditer(token.decode("utf-8", "surrogateescape")):
        text, repeats = match[0], match[1] is not None and not spaces
        shown += [_glyph(character, spaces) for character in (text[:_RUN] if repeats else text)]
        if repeats:
            shown.append(Glyph("name", f"×{len(text):,}"))
    joined: list[Glyph] = []
    if shown and not spaces and category(shown[0].text[0]).startswith("M"):
        joined.append(Glyph("text", _BASE))
    for kind, text in shown:
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
