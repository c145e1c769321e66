"""Numbers of things in words, for all that is printed."""


def counted(count: int, thing: str) -> str:
    """*count* of what *thing* is called where it is one.

    >>> counted(1, "message"), counted(1_000, "message")
    ('1 message', '1,000 messages')
    """
    return f"{count:,} {thing}{'s' * (count != 1)}"
