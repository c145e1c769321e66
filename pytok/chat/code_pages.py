"""Recognition of the old encodings ("ANSI", code pages) in which editors save a text.

The result is a suggestion for the user, who sees how the text would read: a byte means another
letter in each code page, and nothing in a file says which one it is in.
"""

import re
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

_SAMPLE = 1 << 16
_LIKELY = 0.6
"""Minimum mean weight of the characters beyond ASCII in a text that is in an encoding."""

_PUNCTUATION = "€„“”‚‘’–—…«»°´§¿¡№،؛؟、。「」！？（），．：～・"


class _Languages(NamedTuple):
    """The languages of one encoding."""

    name: str
    frequent: str
    """Letters beyond ASCII that are most of those in a text."""
    usual: str
    """Class of the letters that occur."""


_ENCODINGS = {  # of equal scores the first counts
    "cp1252": _Languages("Western European", "äöüßéèàçêáíóúñåøæ¿¡", "À-ÿœŒºª"),
    "cp1254": _Languages("Turkish", "ıışğüöç", "ÇçĞğİıÖöŞşÜüâîû"),
    "cp1250": _Languages(
        "Central European",
        "ąęłżśćóńčěšžýáíéřůőűăţşöüú",
        "ÁÄÉÍÓÖÚÜáäéíóöúüâîĂăĄ-ďĐđĘ-ěĹ-ňŐ-őŔ-řŚ-ťŮ-űŹ-ž",
    ),
    "cp1257": _Languages("Baltic", "āēīšžąęėųūčņļõäöü", "ÄÖÜÕäöüõĀ-ćČčĒ-ęĢģĪ-įĶķĻ-łŃ-ņŠšŪūŲųŹ-ž"),
    "cp1251": _Languages("Cyrillic", "оеаинтсрвлкмдпуі", "\u0400-\u045f\u0490\u0491"),
    "cp1253": _Languages("Greek", "αοιετσνηυρπκμςάέήίόύώ", "\u0384-\u03ce"),
    "cp1255": _Languages("Hebrew", "יוהלאמרתבשנםן", "\u05b0-\u05ea₪"),
    "cp1256": _Languages("Arabic", "اليمونتربهد", "\u0600-\u06ff\u200c-\u200f"),
    "cp874": _Languages("Thai", "านรอกเงมยลวดท่้ีัิ", "\u0e01-\u0e5b"),
    "cp949": _Languages("Korean", "", "\uac00-\ud7a3\u3131-\u318e"),
    "cp932": _Languages("Japanese", "", "\u3041-\u30fa\u30fc\u4e00-\u9fff"),
    "gb18030": _Languages("Chinese, simplified", "", "\u4e00-\u9fff"),
    "big5": _Languages("Chinese, traditional", "", "\u4e00-\u9fff"),
}


class CodePage(NamedTuple):
    """An encoding, and how a text reads in it."""

    encoding: str
    languages: str
    example: str
    """The first line of the text that is not ASCII."""


def suggest(data: bytes) -> CodePage | None:
    """Return the encoding whose languages *data* resembles most, or None if it resembles none."""
    lines = data[:_SAMPLE].split(b"\n")
    lines = [line for line in lines[:-1] or lines if not line.isascii()][:1000]
    best, best_score = None, _LIKELY
    for encoding, languages in _ENCODINGS.items():
        try:
            text = b"\n".join(lines).decode(encoding)
        except UnicodeDecodeError:
            continue
        score = _score(text, encoding)
        if score > best_score:
            best = CodePage(encoding, languages.name, text.partition("\n")[0].strip())
            best_score = score
    return best


def _score(text: str, encoding: str) -> float:
    """Return the mean weight of the characters beyond ASCII in *text*."""
    counts = Counter(re.sub(r"[\x00-\x7f]+", "", text))
    total = counts.total()
    if not total:
        return 0.0
    languages = _ENCODINGS[encoding]
    usual = re.compile(f"[{languages.usual}]")
    score = 0.0
    for character, count in counts.items():
        if character.casefold() in languages.frequent:
            score += count
        elif usual.match(character):
            score += count * _frequency(character, encoding)
        elif character in _PUNCTUATION:
            score += count / 2
    # Letters of another script look like capitals and small letters in no order.
    changes = sum(a.islower() and b.isupper() for a, b in pairwise(text))
    return score / total - 2 * changes / total


def _frequency(character: str, encoding: str) -> float:
    """Return the weight of a usual character: 1 for one of the most frequent of a large script."""
    if encoding == "cp932":
        return 1.0 if character < "\u3100" else 0.6
    if encoding == "cp949":
        return 1.0 if len(_bytes(character, "euc_kr")) == 2 else 0.2
    if encoding == "gb18030":
        return 1.0 if b"\xb0" <= _bytes(character, "gb2312") < b"\xd8" else 0.3
    if encoding == "big5":
        return 1.0 if b"\xa4" <= _bytes(character, "big5") < b"\xc7" else 0.3
    return 0.5


def _bytes(character: str, encoding: str) -> bytes:
    return character.encode(encoding, "ignore")
