"""Lines between messages that only name a day, as other apps write them.

Such a line is the last one before the first message of each day, and has the numbers of its date.
"""

import re
from collections.abc import Sequence
from datetime import date
from itertools import pairwise

from pytok.chat.whatsapp.headers import Header

LONGEST = 60
"""Characters of a line up to which it can be a day's."""

_NUMBER = re.compile(r"\d{1,4}")


def find_day_lines(lines: Sequence[str], headers: Sequence[Header]) -> frozenset[int]:
    """Return the numbers of the lines that name the day of the message after them.

    They are found only if every change of the day has one: a person can write a date, too.
    """
    found: list[int] = []
    changes = blanks = 0
    for before, after in pairwise(headers):
        day = after.time.date()
        if day == before.time.date():
            continue
        changes += 1
        number = after.number - 1
        if number > before.number and _names(lines[number], day):
            found.append(number)
            blanks += number - 1 > before.number and not lines[number - 1].strip()
    # A single one must have an empty line before it.
    if len(found) < changes or (changes < 3 and blanks < changes):
        return frozenset()
    return frozenset(found)


def _names(line: str, day: date) -> bool:
    """Return whether *line* has the year and the day of *day*, and its month by number or name."""
    if len(line) > LONGEST:
        return False
    numbers = [int(number) for number in _NUMBER.findall(line)]
    if len(numbers) > 6 or day.day not in numbers:
        return False
    if not {day.year, day.year % 100}.intersection(numbers):
        return False
    return day.month in numbers or any(character.isalpha() for character in line)
