"""JSON that others wrote or edited: whatever is wrong with it is a ValueError with its reason."""

from __future__ import annotations

import json
from typing import Any


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
