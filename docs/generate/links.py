"""Links in Markdown files of the repository, as the site needs them.

On GitHub a link leads to a file. On the site it leads to the page of that file if there is one, and
else to the file on GitHub.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

REPOSITORY = "https://github.com/pytok-lm/pytok"
FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1\s*?$|`+[^`\n]+`+(?!\])", re.M | re.S)
"""Blocks of code, and code in a line, which have no links."""
ON_GITHUB = f"{REPOSITORY}/blob/main/"
"""Begins absolute links to files, which README.md has, since package indexes show it, too."""
TARGET = re.compile(
    rf"(?<=\]\()({re.escape(ON_GITHUB)})?(?![a-z]+:|#|/)([^)\s#]+)(#[^)\s]*)?(?=[)\s])"
)
"""The target of a link or a picture that is a path, and the fragment after it."""


def resolved(
    text: str, path: Path, page: Path, root: Path, pages: Mapping[Path, Path]
) -> tuple[str, list[str]]:
    """Return *text* with links that lead somewhere on the site, and the targets that lead nowhere.

    *text* is that of the file *path*, from which its links start, and becomes the page of the file
    *page*. *pages* has the file of the page for each file of the repository at *root* that has one.
    """
    lost: list[str] = []

    def target_of(match: re.Match[str]) -> str:
        start = root if match[1] else path.parent
        target = Path(os.path.normpath(start / match[2]))
        fragment = match[3] or ""
        if (found := pages.get(target)) is not None:
            return os.path.relpath(found, page.parent) + fragment
        if not target.exists() or not target.is_relative_to(root):
            lost.append(match[2])
            return match[0]
        if match.string[: match.start()].rpartition("[")[0].endswith("!"):  # a picture
            return os.path.relpath(target, page.parent)
        kind = "tree" if target.is_dir() else "blob"
        return f"{REPOSITORY}/{kind}/main/{target.relative_to(root).as_posix()}{fragment}"

    return _outside_code(text, lambda part: TARGET.sub(target_of, part)), lost


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Return *text*, with *change* applied to all that is not code."""
    parts = []
    end = 0
    for code in FENCE.finditer(text):
        parts += [change(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, change(text[end:])])
