"""Text of others: repair of lone surrogates, which UTF-8 cannot encode, and values in errors."""

MOST_QUOTED = 60
"""Characters of a value that an error shows."""


def repair(text: str) -> str:
    r"""Return *text* with surrogate pairs joined and lone surrogates replaced by U+FFFD.

    >>> repair("a\ud800b")
    'a\ufffdb'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def cut(text: str, most: int = MOST_QUOTED) -> str:
    """Return *text* for an error: its beginning, if it has more than *most* characters.

    >>> cut("from a damaged file", 6)
    'from a...'
    """
    return text if len(text) <= most else text[:most] + "..."


def quoted(value: object) -> str:
    """Return *value*, which a file holds, as an error quotes it: its repr, cut.

    >>> quoted([1, "a"])
    "[1, 'a']"
    """
    try:
        return cut(repr(value))
    except (RecursionError, ValueError):  # nested too deeply, or an integer of too many digits
        return f"a value of type {type(value).__name__} that is too large to show"
