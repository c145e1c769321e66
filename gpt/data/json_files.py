"""JSON that others wrote or edited: whatever is wrong with it is a ValueError with its reason."""

from __future__ import annotations

import json
from typing import Any

from pytok.text import quoted


def parse_json(data: bytes) -> Any:
    r"""Parse the JSON in *data*: UTF-8, with or without a byte order mark.

    >>> parse_json(b'\xef\xbb\xbf{"answer": 1}')
    {'answer': 1}
    """
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def checked_text(value: Any) -> str:
    """Return *value*, of a field that is a text; raises ValueError with what is wrong with it.

    >>> checked_text("")
    Traceback (most recent call last):
    ValueError: is empty
    """
    if not isinstance(value, str) or not value:
        raise ValueError("is empty" if value == "" else f"is {quoted(value)}, not text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"has half of a surrogate pair at character {error.start}, which no text can have; fix "
            "it"
        ) from None
    return value
