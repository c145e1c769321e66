"""Numbers that identify nobody: dates, times, amounts, versions, scores, books, lists.

They are recognized by their shape, and where that is not enough, by the words beside them. All
texts here are plain (`pytok.chat.anonymize.plain`).
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from pytok.chat.anonymize import context
from pytok.chat.anonymize.checks import is_isbn

MAX_LENGTH = 400
"""Characters of a harmless number, or of several in a row. Longer ones are not looked at."""

_DAY, _MONTH = "(?:0?[1-9]|[12][0-9]|3[01])", "(?:0?[1-9]|1[0-2])"
_YEAR = "(?:1[3489][0-9]{2}|2[05][0-9]{2})"  # also of the Persian and the Buddhist calendar
_TWO_DIGITS = "(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_DATE = re.compile(
    "(?<![0-9./-])(?:"
    # 2024-12-31, 2024. 12. 31., 2024/12/31-2025/01/05
    rf"{_YEAR}(?P<d>[./]){_MONTH}(?P=d){_DAY}-{_YEAR}(?P=d){_MONTH}(?P=d){_DAY}"
    rf"|{_YEAR}(?P<a>-|/|\. ?| [-/] ){_MONTH}(?P=a){_DAY}(?![0-9])"
    # 31.12.2024, 12/31/24, 24.12. - 26.12.2024
    rf"|{_DAY}(?P<e>[./]){_DAY}(?P=e){_YEAR}-{_DAY}(?P=e){_DAY}(?P=e){_YEAR}"
    rf"|{_DAY}\.{_DAY}\.[0-9]{{2}} ?[-/] ?{_DAY}\.{_DAY}\.[0-9]{{2}}"
    rf"|(?:{_DAY}(?:[./]{_MONTH})?\.? ?[-/] ?)?{_DAY}(?P<b>[./]){_DAY}(?P=b)(?:{_YEAR}|[0-9]{{2}})"
    rf"|{_DAY}(?P<c>\. ?|-| [-/] ){_DAY}(?P=c){_YEAR}"
    rf"|{_DAY}-{_DAY}-[0-9]{{2}}(?![-.])"
    # 20241231, 20241231_235959, 31122024
    rf"|(?:19|20)[0-9]{{2}}{_TWO_DIGITS}(?:[_-]?[0-2][0-9][0-5][0-9](?:[0-5][0-9](?:[0-9]{{3}})?)?)?"
    r"|(?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2])(?:19|20)[0-9]{2}"
    r")(?=\.?(?:[ _)\]]|\Z|-[0-9]{1,4}[./]|-[0-2][0-9]-))"
)
_THEN = "(?: | ?[-/] ?)"  # between the items of a list
_TIME = r"(?:[01]?[0-9]|2[0-4])\.[0-5][0-9]"
_DAY_MONTH = rf"{_DAY}\.{_MONTH}\.?"
_SEASON = r"(?:1[89]|20)[0-9]{2}(?:[-/][0-9]{2}(?![0-9]))?"
_DECIMAL = r"(?:0|[1-9][0-9]{0,3})\.[0-9]{1,2}"
_THOUSANDS = r"[1-9][0-9]{0,2}(?:[.'][0-9]{3})+"
_HOURS = r"(?:[01]?[0-9]|2[0-4])-(?:[01]?[0-9]|2[0-4])"
# A parenthesis that closes is never left to what separates the results, which can be one, too.
_RESULT = r"(?:0|[1-9][0-9]{0,2})[-/](?:0|[1-9][0-9]{0,2})(?:\([0-9]{1,2}(?:\)|(?!\))))?"
_SHAPES = re.compile(
    "|".join(
        (
            rf"{_TIME}(?:{_THEN}{_TIME})*",
            r"[01][0-9][0-5][0-9] ?- ?[0-2][0-9][0-5][0-9]",  # 0900-1730
            rf"{_HOURS}(?:[ /]{{1,3}}{_HOURS})+",
            rf"{_DAY_MONTH}(?:{_THEN}{_DAY_MONTH})+",  # 24.12. - 26.12.
            rf"{_SEASON}(?:{_THEN}{_SEASON})+",
            rf"{_MONTH}[./-]{_YEAR}(?:{_THEN}{_MONTH}[./-]{_YEAR})+",
            rf"{_RESULT}(?:[ ()\[\]]{{1,3}}{_RESULT})+",  # 6-4 3-6 7-6(5), 120/80 130/85
            r"[0-9]{1,3}/[0-9]{1,2} ?\([0-9]{1,2}\.[0-9]\)?",  # 114/3 (20.0)
            rf"{_DECIMAL}(?:(?:\)?{_THEN}| ?\(){_DECIMAL})+",  # 19.99 29.99
            r"(?:0|[1-9][0-9]?)\.[0-9]+",  # 3.14159265
            r"10\.[0-9]{4,9}/[0-9.\-]+",  # a DOI
            r"[1-9][0-9]{0,8}\.[0-9]{1,2}",
            rf"{_THOUSANDS} ?[-/] ?{_THOUSANDS}",
            r"[1-9][0-9]?(?:[.'][0-9]{3}){2}",  # 12.345.678
            r"[1-9][0-9]{0,2}(?:'[0-9]{3})+",
        )
    )
)
"""Whole numbers, or several in a row."""
_AMOUNT = re.compile(
    r"(?P<figures>[1-9][0-9]{0,2}(?:(?P<mark>[.' ])[0-9]{3}(?:(?P=mark)[0-9]{3})*)?|[1-9][0-9]*)"
    r"(?:\.[0-9]{1,2})?(?: ?- ?[1-9][0-9.' ]*)?"
)
_ROUND_RANGE = re.compile("([1-9][0-9]{0,3}[05]0) ?- ?([1-9][0-9]{0,3}[05]0)")
_VERSION = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,6}){2,}(?:-[0-9]{1,4})?")
_ISBN_10 = re.compile(r"[0-9]{1,5}([- ])[0-9]{1,7}\1[0-9]{1,6}\1[0-9]?")
_STEPS = frozenset({1, 2, 3, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000})
"""Differences of numbers that somebody counts: 10 20 30 40."""


def dates(chain: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each full date in *chain*, groups of digits and signs."""
    for match in _DATE.finditer(chain):
        yield match.span()


def is_harmless(number: str, before: str, after: str) -> bool:
    """Return whether *number*, groups of digits and signs, identifies nobody.

    *before* and *after* are the text around it. A number after a plus sign is one to call, unless
    it is an amount.
    """
    if len(number) > MAX_LENGTH:
        return False
    word = before if context.WORD.search(before) else ""
    if context.PHONE.search(word) or context.IDENTITY.search(word):
        return False
    if _is_amount(number, before, after) or _is_round(number):
        return True
    if before.rstrip(" (").endswith("+"):
        return False
    return (
        context.BOOK.search(word) is not None
        or _SHAPES.fullmatch(number) is not None
        or _is_book(number, after)
        or _is_version(number, word)
        or _is_count(number)
        or (number.isdigit() and context.DECIMAL.search(before) is not None)
    )


def _is_amount(number: str, before: str, after: str) -> bool:
    """Return whether *number* is one of money or things: 1.500.000 Ft, $ 1234567, 1234567,89."""
    amount = _AMOUNT.fullmatch(number)
    if amount is None:
        return False
    if context.CURRENCY.search(before) or context.STRONG_UNIT.match(after):
        return True
    cents = context.CENTS.match(after)
    if cents and context.STRONG_UNIT.match(after, cents.end()):
        return True
    # "912345678 people call me": only marks of thousands make an amount of it.
    short = len(_figures(amount["figures"])) <= 7
    is_marked = amount["mark"] in (".", "'") or short
    return is_marked and (cents is not None or context.UNIT.match(after) is not None)


def _is_round(number: str) -> bool:
    """Return whether *number* is like 2500000 or 1 500 000, mostly zeros, or like 1500-2000."""
    if span := _ROUND_RANGE.fullmatch(number):
        return int(span[1]) < int(span[2])
    amount = _AMOUNT.fullmatch(number)
    if amount is None or amount["figures"] != number:
        return False
    figures = _figures(number)
    return 3 * (len(figures) - len(figures.rstrip("0"))) >= 2 * len(figures) - 1


def _is_book(number: str, after: str) -> bool:
    """Return whether *number* is an ISBN; *after* it can be the check digit X."""
    figures = _figures(number)
    if len(figures) == 13:
        return is_isbn(figures)
    if len(figures) == 9 and after[:1] in ("-X", "X"):
        return is_isbn(figures + "X")
    return _ISBN_10.fullmatch(number) is not None and is_isbn(figures)


def _is_version(number: str, before: str) -> bool:
    """Return whether *number* is a version: 10.0.19045.4046, v2.31.1045; not 192.168.10.1."""
    if context.VERSION.search(before):
        return re.fullmatch(r"[0-9]{1,5}(?:\.[0-9]{1,6})+(?:-[0-9]{1,4})?", number) is not None
    if _VERSION.fullmatch(number) is None:
        return False
    groups = re.findall("[0-9]+", number)
    if any(len(group) > 1 and group[0] == "0" for group in groups):
        return False
    is_called = groups[0] == "1" and [len(group) for group in groups[1:]] == [3, 3, 4]
    return not is_called and any(len(group) == 1 for group in groups[1:])


def _is_count(number: str) -> bool:
    """Return whether *number* is a list in order: 10 20 30 40, or 3 7 12 25 31 44."""
    groups = re.findall("[0-9]+", number)
    if len(groups) < 4 or any(len(each) > 4 or each[0] == "0" != each for each in groups):
        return False
    differences = {int(after) - int(before) for before, after in pairwise(groups)}
    if len(differences) == 1:
        return abs(differences.pop()) in _STEPS
    short = sum(len(group) == 1 for group in groups)
    in_order = all(each > 0 for each in differences) or all(each < 0 for each in differences)
    # Five in order with one digit alone are a number to call in Chile: 9 12 34 56 78.
    return in_order and (len(groups) >= 6 or (len(groups) == 5 and 2 <= short <= 3))


def _figures(number: str) -> str:
    return re.sub("[^0-9]", "", number)
