"""Repair of lone surrogates, which UTF-8 cannot encode."""


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
