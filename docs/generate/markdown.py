"""Plain text as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable

SPECIAL = re.compile(r"([\\*_{}\[\]<>#|$~])")
CODE = re.compile(r"(`+).+?\1|(?<!\S)--?[a-z](?:[\w.-]*\w)?(?:[ =][A-Z][A-Z=]+)?")
"""What is in backticks, or an option, perhaps with the placeholder of its value."""
EMPHASIS = re.compile(r"\*\w+\*")


def escaped(text: str, emphasis: bool = False) -> str:
    r"""Return the plain *text* as Markdown that shows it as it is; options become code.

    With *emphasis*, ``*name*`` stays as it is: docstrings have it, the help of commands does not.

    >>> escaped("Split at <|end|>, unless `a|b` or --set NAME=VALUE is given.")
    'Split at \\<\\|end\\|\\>, unless `a|b` or `--set NAME=VALUE` is given.'
    """
    if emphasis:
        return _each(EMPHASIS, text, escaped, lambda found: found)
    return _each(CODE, text, lambda part: SPECIAL.sub(r"\\\1", part), _code)


def fenced(language: str, text: str) -> list[str]:
    """Return the lines of a block of code, and an empty one."""
    return [f"```{language}", *text.splitlines(), "```", ""]


def _code(found: str) -> str:
    return found if found.startswith("`") else f"`{found}`"


def _each(
    pattern: re.Pattern[str], text: str, other: Callable[[str], str], match: Callable[[str], str]
) -> str:
    """Return *text* with *match* applied to all matches of *pattern*, and *other* to the rest."""
    parts = []
    end = 0
    for found in pattern.finditer(text):
        parts += [other(text[end : found.start()]), match(found[0])]
        end = found.end()
    return "".join([*parts, other(text[end:])])
