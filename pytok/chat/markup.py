"""Tags and texts of an HTML page, in linear time.

The parser of the standard library takes quadratic time on unclosed tags (40 kB took 18 seconds with
Python 3.11), and a page comes from somebody else. This one is enough for pages that a program
wrote: no scripts, no comments with tags, and `<` in texts is escaped.
"""

import html
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_PART = re.compile(
    r"""<(?P<close>/?)(?P<tag>[a-zA-Z][a-zA-Z0-9]*)"""
    r"""(?P<attributes>(?:[^"'<>]|"[^"]*"|'[^']*')*)>"""
    r"""|<[!?][^<>]*>|(?P<text>[^<]+|<)"""
)
_ATTRIBUTE = re.compile(r"""(?<![a-zA-Z-])([a-zA-Z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")

VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source"})
"""Tags without content, which are never closed."""


class Part(NamedTuple):
    """One tag, or the text between two tags."""

    opens: str
    """Name of the tag that starts; "" for texts and ends."""
    closes: str
    """Name of the tag that ends."""
    text: str
    """The text, or the attributes as written."""


def parts(page: str) -> Iterator[Part]:
    """Yield the parts of *page* in order, with the references in texts resolved."""
    for match in _PART.finditer(page):
        tag, text = match["tag"], match["text"]
        if text is not None:
            yield Part("", "", html.unescape(text) if "&" in text else text)
        elif tag is not None and match["close"]:
            yield Part("", tag.lower(), "")
        elif tag is not None:
            yield Part(tag.lower(), "", match["attributes"])


@lru_cache(maxsize=1024)
def attributes(written: str) -> dict[str, str]:
    """Return the attributes of a tag by their names; callers must not change the result."""
    return {
        name.lower(): html.unescape(double or single)
        for name, double, single in _ATTRIBUTE.findall(written)
    }
