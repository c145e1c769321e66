"""Text that UTF-8 can hold: lone surrogates are replaced."""


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
