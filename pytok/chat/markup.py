"""Tags and texts of an HTML page or an XML file, in linear time.

The parser of the standard library takes quadratic time on unclosed tags (40 kB took 18 seconds with
Python 3.11), and a page comes from somebody else. This one is enough for pages that a program
wrote: no scripts, no comments with tags, and `<` in texts is escaped.
"""

import html
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias

_PART = re.compile(
    r"""<(/?)([a-zA-Z][a-zA-Z0-9]*)"""  # end or start, and the name of the tag
    r"""((?:[^"'<>]|"[^"]*"|'[^']*')*)>"""  # attributes
    r"""|<[!?][^<>]*>|([^<]+|<)"""  # a comment or a text
)
_ATTRIBUTE = re.compile(r"""(?<![a-zA-Z0-9_:-])([a-zA-Z0-9_:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")

VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source"})
"""Tags without content, which are never closed."""


Part: TypeAlias = tuple[str, str, str]
"""One tag or the text between two tags: name of the tag that starts, name of the tag that ends, and
the text or the attributes as written. A tuple, since a page has a million of them."""


def parts(page: str) -> Iterator[Part]:
    """Yield the parts of *page* in order, with the references in texts resolved."""
    for match in _PART.finditer(page):
        close, tag, written, text = match.groups()
        if text is not None:
            yield "", "", html.unescape(text) if "&" in text else text
        elif tag is not None:
            yield ("", tag.lower(), "") if close else (tag.lower(), "", written)


@lru_cache(maxsize=1024)
def attributes(written: str) -> dict[str, str]:
    """Return the attributes of a tag by their names; callers must not change the result."""
    return {
        name.lower(): html.unescape(double or single)
        for name, double, single in _ATTRIBUTE.findall(written)
    }
