"""Objects of one kind as a file of JSON lines: out whole or not at all, in with the line named."""

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


def write_lines(path: str | os.PathLike[str], plain: Iterable[Any]) -> None:
    """Write each of *plain*, what JSON can hold, as a line of *path*."""
    replace_file(Path(path), "".join(map(json_line, plain)).encode())


def json_line(plain: Any) -> str:
    """*plain* as one line; what is within a string never ends it."""
    return json.dumps(plain, ensure_ascii=False) + "\n"


def parse(text: str, hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """What the JSON *text* says, each object as what *hook* makes of it.

    Lone surrogates, which UTF-8 cannot hold, become U+FFFD. Raises ValueError and RecursionError,
    as `json.loads` does.
    """
    if _SURROGATE.search(text):
        text = repair(json.dumps(json.loads(text), ensure_ascii=False))
    return json.loads(text, object_hook=hook)


def read_lines(path: str | os.PathLike[str], build: Callable[[Any], T], holds: str) -> Iterator[T]:
    """What *build* makes of each line of *path*; *holds* says what they should be, for an error.

    Raises ChatError naming file and line, with what *build* complains of in a ChatError of its own.
    """
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield build(parse(line.decode("utf-8-sig")))
            except ChatError as error:
                raise ChatError(f"{path}, line {number}: {error}") from None
            except (ValueError, RecursionError):
                raise ChatError(f"{path}, line {number}: not JSON; {holds}") from None
