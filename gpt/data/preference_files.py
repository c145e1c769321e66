"""Files of preferences: JSON lines of a prompt and completions of which some are preferred.

A line is a pair, ``{"prompt": "2 + 2 =", "chosen": " 4", "rejected": " 5"}``, or a completion that
is labeled good or bad, ``{"prompt": "2 + 2 =", "completion": " 4", "label": true}``. Each can be a
text, or a list of messages, ``[{"role": "user", "content": "2 + 2?"}]``. Pairs of messages need no
prompt: it is what both begin with. Other fields are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gpt.data.contents import Content, Message, content_of
from gpt.data.json_files import parse_json
from gpt.errors import DataError
from pytok.counted import counted
from pytok.text import quoted


class Preference(NamedTuple):
    """A prompt with a pair of completions, or with one that is labeled."""

    line: int
    """Its line in the file, from 1."""
    prompt: Content
    completions: tuple[Content, ...]
    """The chosen and the rejected one, or a single one."""
    desirable: bool | None = None
    """Whether the single one is labeled good; None for a pair."""


class PreferenceFile(NamedTuple):
    """What is read from a file."""

    preferences: list[Preference]
    equal: list[int]
    """Lines of pairs that are omitted, since both completions are the same."""

    @property
    def omitted(self) -> str:
        """The omitted lines in words; empty without any."""
        if not self.equal:
            return ""
        return (
            f"{counted(len(self.equal), 'pair')} omitted, of two equal completions: line "
            f"{self.equal[0]}" + (" first" if len(self.equal) > 1 else "")
        )


PAIR = 'expected {"prompt": "...", "chosen": "...", "rejected": "..."}'
LABELED = 'expected {"prompt": "...", "completion": "...", "label": true}'


def read_preferences(path: Path, *, paired: bool) -> PreferenceFile:
    """Read the JSON lines *path*: pairs if *paired*, otherwise labeled completions.

    A pair counts as two labeled completions where these are read. Raises DataError with the file,
    the line and the field for what is neither, and if no preference is left.
    """
    preferences, equal = list[Preference](), list[int]()
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}, line {number}"
            found = _preferences(where, number, _fields(where, line, paired), paired)
            if found:
                preferences += found
            else:
                equal.append(number)
    if not preferences:
        what = "both completions of every pair are equal" if equal else "empty"
        raise DataError(f"{path}: {what}; {PAIR if paired else LABELED} on each line")
    return PreferenceFile(preferences, equal)


def _opened(path: Path) -> Any:
    """Open *path* to read bytes; raises DataError if it cannot."""
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror}; pass a file of JSON lines with a preference on each"
        ) from error


def _fields(where: str, line: bytes, paired: bool) -> dict[str, Any]:
    """Return the object of a *line*."""
    expected = PAIR if paired else LABELED
    try:
        fields = parse_json(line)
    except ValueError as error:
        reason = "an empty line" if not line.strip() else f"not JSON: {error}"
        raise DataError(f"{where}: {reason}; {expected}") from None
    if not isinstance(fields, dict):
        raise DataError(f"{where}: {quoted(fields)} is no object; {expected}")
    return fields


def _preferences(
    where: str, line: int, fields: Mapping[str, Any], paired: bool
) -> list[Preference]:
    """Return the preferences of *fields*: none if both completions are equal."""
    if paired or {"chosen", "rejected"} <= fields.keys():
        pair = _pair(where, line, fields)
        if pair.completions[0] == pair.completions[1]:
            return []
        if paired:
            return [pair]
        labeled = zip(pair.completions, (True, False), strict=True)
        return [Preference(line, pair.prompt, (each,), good) for each, good in labeled]
    completion = content_of(where, fields, "completion", LABELED)
    prompt = _prompt(where, fields, completion, LABELED)
    label = fields.get("label")
    if not isinstance(label, bool):
        problem = f"field label is {quoted(label)}" if "label" in fields else "no field label"
        raise DataError(f"{where}: {problem}; it is true for a good completion, else false")
    return [Preference(line, prompt, (completion,), label)]


def _pair(where: str, line: int, fields: Mapping[str, Any]) -> Preference:
    """Return the pair of *fields*; its prompt is what both completions begin with, or a field."""
    chosen, rejected = (content_of(where, fields, name, PAIR) for name in ("chosen", "rejected"))
    if isinstance(chosen, str) != isinstance(rejected, str):
        raise DataError(f"{where}: one of chosen and rejected is text, the other a list; {PAIR}")
    if isinstance(chosen, str) or isinstance(rejected, str):
        return Preference(line, _prompt(where, fields, chosen, PAIR), (chosen, rejected))
    if isinstance(fields.get("prompt"), list):
        return Preference(line, _prompt(where, fields, chosen, PAIR), (chosen, rejected))
    shared = _common(chosen, rejected)
    if chosen == rejected:  # the prompt is what comes before the reply
        shared = len(chosen) - 1
    prompt = fields.get("prompt")
    if prompt is not None and prompt not in [each.content for each in chosen[:shared]]:
        raise DataError(
            f"{where}: field prompt is {quoted(prompt)}, and chosen and rejected are lists of "
            "messages that do not begin with it; pass it as a list of messages, too"
        )
    if not 0 < shared < min(len(chosen), len(rejected)):
        raise DataError(
            f"{where}: no field prompt, and chosen and rejected have "
            f"{'no message' if not shared else 'nothing but messages'} in common; {PAIR}"
        )
    return Preference(line, chosen[:shared], (chosen[shared:], rejected[shared:]))


def _prompt(where: str, fields: Mapping[str, Any], completion: Content, expected: str) -> Content:
    """Return the prompt of *fields*, of the same form as *completion*; a text can be empty."""
    prompt: Content = ""
    if fields.get("prompt") != "":
        prompt = content_of(where, fields, "prompt", expected)
    if isinstance(prompt, str) != isinstance(completion, str):
        form = "text" if isinstance(prompt, str) else "a list of messages"
        raise DataError(
            f"{where}: field prompt is {form}, and the completion is not; pass all as text, or all "
            "as lists of messages"
        )
    return prompt


def _common(first: tuple[Message, ...], second: tuple[Message, ...]) -> int:
    """Return with how many equal messages *first* and *second* begin."""
    return next(
        (
            index
            for index, pair in enumerate(zip(first, second, strict=False))
            if pair[0] != pair[1]
        ),
        min(len(first), len(second)),
    )
