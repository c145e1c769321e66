"""Codes and positions that lead to a person: of devices, documents, wallets; coordinates.

Their letters and digits are mixed as in no word. What is a number with a few letters beside it is
found by `pytok.chat.anonymize.numbers`.
"""

import ipaddress
import re
from collections.abc import Iterator

from pytok.chat.anonymize import context
from pytok.chat.anonymize.numbers import Span

_TOKEN = re.compile("[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*")
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TIME = re.compile("(?:[0-9]{1,4}[a-z]{1,3})+[0-9]{0,4}|[0-9]{8}T[0-9]{4,6}Z?")
"""A duration, or a time of ISO 8601."""
_LETTERS_AROUND = re.compile("[A-Z]{1,16}[0-9]{4,16}[A-Z]{1,16}")
_MIN_CODE, _MIN_KEY = 9, 16
_IP_4 = re.compile(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9]|\.[0-9])")
_IP_6 = re.compile("(?<![0-9A-Za-z:])[0-9A-Fa-f:]{6,39}(?![0-9A-Za-z:])")
_MAC = re.compile(
    "(?<![0-9A-Za-z:-])[0-9A-F]{2}([:-])[0-9A-F]{2}(?:\\1[0-9A-F]{2}){4}(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_DECIMAL = r"[-+]?[0-9]{1,3}[.,][0-9]{4,}"
_MINUTES = r" ?[0-9]{1,2}(?:[.,][0-9]+)?(?: ?'(?: ?[0-9]{1,2}(?:[.,][0-9]+)? ?(?:\"|''))?)?"
_DEGREES = rf"[0-9]{{1,3}} ?°{_MINUTES}"
_INSURANCE = re.compile(
    r"(?<![0-9A-Za-z])[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]"
    r"(?![0-9A-Za-z])"
)
"""A number of the British National Insurance: few digits, and letters around them."""
_PLUS = "[23456789CFGHJMPQRVWX]"
_POSITION = re.compile(
    "|".join(
        (
            rf"(?<![0-9.,])(?:[NS] ?)?{_DECIMAL} ?°? ?[NS]?(?:[,;/] ?| )[EWO]? ?{_DECIMAL}"
            r"(?: ?°)?(?: ?[EWO]\b)?",
            rf"\b[NS] ?{_DEGREES}[,;/ ]{{0,2}}[EWO] ?{_DEGREES}",
            rf"{_DEGREES} ?[NS]\b[,;/ ]{{0,2}}{_DEGREES} ?[EWO]\b",
            r"(?<![^\W\d_])(?:lat|lon|lng)(?:itude)?\.?[:=]? ?[-+]?[0-9]{1,3}[.,][0-9]{3,}",
            rf"(?<![0-9A-Z])(?=[0-9]{{0,7}}[A-Z]){_PLUS}{{4,8}}\+{_PLUS}{{2,3}}(?![0-9A-Z])",
            r"///[^\W\d_]+\.[^\W\d_]+\.[^\W\d_]+",  # what3words
        )
    ),
    re.IGNORECASE,
)

_HANDLE = re.compile(
    "|".join(
        (
            # a name with a number, as of Discord
            r"(?<![\w.#-])(?!(?:issue|pr|bug|ticket|nr|no|pull|task|room|zimmer)#)"
            r"[^\W\d][\w.]{1,31}#[0-9]{4}(?![\w#])",
            # after the name of an app
            r"\b(?:insta(?:gram)?|snap(?:chat)?|tiktok|telegram|tg|twitter|threads|discord|skype|steam"
            r"|psn|xbox|signal|line|kakao(?:talk)?|wechat|weixin|viber|ig|微信号?|微信號|カカオ|카톡)"
            r"(?: ?(?:id|name|user|nick|account|konto))?[:=] ?@?"
            r"(?=[\w.-]{0,40}(?:[0-9_]|[.-]\w))(\w[\w.-]{1,62}\w)",
        )
    ),
    re.IGNORECASE,
)


def codes(plain: str) -> Iterator[Span]:
    """Yield the codes in the *plain* text: UUIDs, wallets, keys, numbers of documents."""
    for match in _TOKEN.finditer(plain):
        if _is_code(match[0]):
            yield Span(*match.span(), "code", match[0])
    for match in _INSURANCE.finditer(plain):
        yield Span(*match.span(), "code", match[0].replace(" ", ""))
    for match in _MAC.finditer(plain):
        yield Span(*match.span(), "code", match[0].upper())


def _is_code(token: str) -> bool:
    if len(token) < _MIN_CODE or token.isalpha() or token.isdigit():
        return False
    if _UUID.fullmatch(token):
        return True
    return any(_is_mixed(part) for part in re.split("[-_]", token) if len(part) >= _MIN_CODE)


def _is_mixed(part: str) -> bool:
    """Return whether the letters and digits of *part* change as in no word."""
    if part.isalpha() or part.isdigit() or _TIME.fullmatch(part):
        return False
    runs = re.findall("[0-9]+", part)
    figures = sum(map(len, runs))
    capitals = part.isupper() or re.fullmatch("(?:0x)?[0-9a-fA-F]+", part) is not None
    if capitals and figures >= 4 and (len(runs) >= 3 or (len(runs) == 2 and len(part) >= 12)):
        return True
    if part.isupper() and _LETTERS_AROUND.fullmatch(part):  # ABCDE1234F
        return True
    if part.isupper() and len(part) >= _MIN_KEY:
        return True
    return len(part) >= _MIN_KEY and len(runs) >= (2 if part.swapcase() != part.upper() else 3)


def addresses(plain: str) -> Iterator[Span]:
    """Yield the IP addresses in the *plain* text; 10.2.33.4 after "version" is none."""
    for match in _IP_4.finditer(plain):
        parts = match[0].split(".")
        if all(int(part) <= 255 for part in parts) and max(map(len, parts)) > 1:
            before = plain[max(0, match.start() - context.WIDTH) : match.start()]
            if context.VERSION.search(before) is None:
                yield Span(*match.span(), "IP", match[0])
    for match in _IP_6.finditer(plain):
        if match[0].count(":") >= 2 and ("::" in match[0] or match[0].count(":") == 7):
            try:
                address = ipaddress.IPv6Address(match[0])
            except ValueError:
                continue
            if int(address) > 1:
                yield Span(*match.span(), "IP", str(address))


def handles(plain: str) -> Iterator[Span]:
    """Yield the names of accounts in the *plain* text that have no @ before them."""
    for match in _HANDLE.finditer(plain):
        group = match.lastindex or 0
        yield Span(*match.span(group), "mention", match[group])


def coordinates(plain: str) -> Iterator[Span]:
    """Yield the positions on the globe in the *plain* text: degrees, plus codes, what3words."""
    for match in _POSITION.finditer(plain):
        yield Span(*match.span(), "position", match[0])
