"""Several exports in one file: where the next one begins.

People join exports to have one file. The next export begins with a byte order mark, with headers of
another shape that last to the end, or with times that are days back and stay there. A chat that is
pasted into a message has another shape, too, but the headers around it return.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from pytok.chat.whatsapp.headers import APP_MARK, shape_of

LEAST_LINES = 10
"""Headers of another shape at the end of a file that are an export for certain; of fewer lines the
form must be one that copying messages does not give."""

MAX_RUNS = 20
"""Runs of increasing times up to which a file is joined exports; more are one file out of order."""

_JUMP = timedelta(days=1)


def find_parts(candidates: Mapping[int, re.Match[str]], lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines that begin another export in the same file.

    *candidates* are the lines that look like headers.
    """
    numbers = list(candidates)
    marked = {number for number in numbers if number and lines[number].startswith("\ufeff")}
    # Some programs write the mark before every line.
    begins = {
        number
        for before, number, after in zip(numbers, numbers[1:], numbers[2:], strict=False)
        if number in marked and before not in marked and after not in marked
    }
    begins.update(_changes_of_shape(candidates, lines))
    return sorted(begins)


def _changes_of_shape(
    candidates: Mapping[int, re.Match[str]], lines: Sequence[str]
) -> Iterable[int]:
    """Yield the first lines of headers that have another shape than all headers before them."""
    own: dict[object, list[int]] = {}
    for number, match in candidates.items():
        own.setdefault(shape_of(match), []).append(number)
    runs = sorted(each for each in own.values() if len(each) > 1)
    if not runs:
        return
    end = runs[0][-1]
    for run in runs[1:]:
        if run[0] > end and _is_export(run, candidates, lines):
            yield run[0]
        end = max(end, run[-1])


def _is_export(
    run: Sequence[int], candidates: Mapping[int, re.Match[str]], lines: Sequence[str]
) -> bool:
    """Return whether headers at the end of a file are an export, and not copied messages."""
    first = candidates[run[0]]
    return (
        len(run) >= LEAST_LINES
        or not first["open"]  # what is copied has brackets
        or ":" not in lines[run[0]][first.end() :]  # a notice, which cannot be copied
        or any(lines[number].startswith(APP_MARK) for number in run)
        or lines[run[0] - 1].endswith("\r")  # the end of a message on an iPhone
        or lines[run[0]].endswith("\r")
    )


def find_runs(times: Sequence[datetime]) -> list[int] | None:
    """Return the indices at which *times* jump back by days and stay there.

    None means that the times have no order at all.
    """
    begins = []
    for index in range(1, len(times)):
        limit = times[index - 1] - _JUMP
        after = times[index + 1 : index + 3]
        if times[index] < limit and after and all(time < limit for time in after):
            begins.append(index)
    return begins if len(begins) < MAX_RUNS else None
