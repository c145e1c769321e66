"""Completion of a JSON text that ends early, such as an export that was cut when it was copied."""

import re

MAX_DEPTH = 100
"""Depth of nesting up to which a text is completed; exports have less than ten."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_CLOSING = {"[": "]", "{": "}"}


def complete(text: str) -> str | None:
    """Return *text* up to the last complete object of a list, with all brackets closed.

    Returns None if it does not end inside a list of objects, and for nesting that is too deep.
    """
    closing: list[str] = []
    end, rest = 0, ""
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in _CLOSING:
            closing.append(_CLOSING[token])
            if len(closing) > MAX_DEPTH:
                return None
        elif token in ("]", "}"):
            if not closing or closing.pop() != token:
                return None
            if token == "}" and closing and closing[-1] == "]":
                end, rest = match.end(), "".join(reversed(closing))
    return text[:end] + rest if end and closing else None
