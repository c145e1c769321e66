"""Numbers of things in words, for everything that is printed."""


def counted(count: int, thing: str) -> str:
    """Return *count* and *thing*, a singular noun, in the plural unless *count* is 1.

    >>> counted(1, "message"), counted(1_000, "message")
    ('1 message', '1,000 messages')
    """
    return f"{count:,} {thing}{'s' * (count != 1)}"
