"""JSON lines files of one kind of object.

A file is written completely or not at all. Errors of reading name the file and the line.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pytok.atomic import replace_file
from pytok.errors import ChatError
from pytok.text import repair

T = TypeVar("T")

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def write_lines(path: str | os.PathLike[str], values: Iterable[Any]) -> None:
    """Write each of *values*, which JSON can represent, as a line of *path*.

    A new file can be read by its owner only: its lines are messages.
    """
    replace_file(Path(path), "".join(map(json_line, values)).encode(), private=True)


def json_line(value: Any) -> str:
    """Serialize *value* as one line; line breaks within strings are escaped."""
    return json.dumps(value, ensure_ascii=False) + "\n"


def parse(text: str, hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Parse the JSON *text*; *hook* replaces each object by its return value.

    Lone surrogates, which UTF-8 cannot encode, become U+FFFD. Raises ValueError and RecursionError,
    as `json.loads` does.
    """
    if _SURROGATE.search(text):
        text = repair(json.dumps(json.loads(text), ensure_ascii=False))
    return json.loads(text, object_hook=hook)


def read_lines(
    path: str | os.PathLike[str], build: Callable[[Any], T], expected: str
) -> Iterator[T]:
    """Yield ``build(value)`` for the value of each line of *path*.

    Raises ChatError with the file and the line: for a ChatError of *build*, and for a line that is
    not JSON, where *expected* describes what the file should hold.
    """
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield build(parse(line.decode("utf-8-sig")))
            except ChatError as error:
                raise ChatError(f"{path}, line {number}: {error}") from None
            except (ValueError, RecursionError):
                raise ChatError(f"{path}, line {number}: not JSON; {expected}") from None
