"""Numbers of things in words, for everything that is printed."""


def counted(count: int, thing: str) -> str:
    """Return *count* and *thing*, a singular noun, in the plural unless *count* is 1.

    >>> counted(1, "message"), counted(1_000, "message")
    ('1 message', '1,000 messages')
    """
    return f"{count:,} {thing}{'s' * (count != 1)}"


def duration(seconds: float) -> str:
    """Return *seconds* in words, rounded, in the unit that suits them.

    >>> duration(0.25), duration(1), duration(90.4), duration(450), duration(3600), duration(9000)
    ('0.2 seconds', '1 second', '90 seconds', '8 minutes', '1 hour', '2.5 hours')
    """
    if seconds < 0.95:
        return f"{seconds:.1f} seconds"
    if seconds < 120:
        return counted(round(seconds), "second")
    if seconds < 3600:
        return counted(round(seconds / 60), "minute")
    hours = round(seconds / 3600, 1)
    return f"{hours:g} hour{'s' * (hours != 1)}"


def abbreviated(number: int) -> str:
    """Return *number* with two digits or three and the unit K, M or B.

    >>> abbreviated(512), abbreviated(229_696), abbreviated(7_312_000), abbreviated(124_439_808)
    ('512', '230K', '7.3M', '124M')
    """
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if number >= unit:
            return f"{number / unit:.{1 if number < 9.95 * unit else 0}f}{name}"
    return str(number)
