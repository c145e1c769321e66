"""The pages of the site that are files of the repository outside docs/, and the groups of pages."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
GROUPS = {
    "Learn": ["learn", "learn/README", "learn/[0-9]*"],
    "Use": [
        "install",
        "tokenizer",
        "training",
        "tuning",
        "python",
        "corpora",
        "smaller-vocabulary",
        "report",
        "many-machines",
        "many-processes",
        "translating",
        "your-own-chat",
        "anonymizing",
        "your-own-format",
        "[!_]*",
    ],
    "The lab": ["lab/README", "lab/*"],
    "Reference": [
        "reference/pytok",
        "reference/gpt",
        "reference/pytok-commands",
        "reference/gpt-commands",
        "reference/recipe",
        "mechanisms",
        "file-formats",
        "families",
        "chat-formats",
    ],
    "Read the code": [
        "architecture",
        "reference/pytok-modules",
        "reference/gpt-modules",
        "benchmarks",
    ],
    "Project": ["project/*"],
}
"""The pages of each group in order, as patterns. "Use" has all pages in docs/ of no other group."""
NO_GROUP = {"index", "404"}


def root_pages() -> dict[Path, Path]:
    """Return the file of the page that each Markdown file at the root of the repository has.

    >>> root_pages()[ROOT / "CONTRIBUTING.md"].relative_to(DOCS).as_posix()
    'project/contributing.md'
    """
    pages = {
        path: DOCS / "project" / f"{path.stem.lower().replace('_', '-')}.md"
        for path in sorted(ROOT.glob("*.md"))
    }
    return pages | {README: DOCS / "index.md"}


def pages_of_repository() -> dict[Path, Path]:
    """Return the file of the page that each Markdown file of the repository has."""
    inside = [path for path in DOCS.rglob("*.md") if not _generated(path)]
    return {path: path for path in inside} | root_pages()


def members(group: str, known: Iterable[str]) -> list[str]:
    """Return the pages of *group*, out of the *known* pages of the site, in order.

    >>> members("Use", ["index", "corpora", "training", "families", "new-guide", "learn/01-bytes"])
    ['training', 'corpora', 'new-guide']
    """
    left = sorted(set(known) - NO_GROUP)
    found = []
    for name, patterns in sorted(GROUPS.items(), key=lambda item: item[0] == "Use"):  # the last
        for pattern in patterns:
            matching = [page for page in left if _matches(page, pattern)]
            left = [page for page in left if page not in matching]
            found += matching if name == group else []
    return found


def _matches(page: str, pattern: str) -> bool:
    return page.count("/") == pattern.count("/") and fnmatchcase(page, pattern)


def _generated(path: Path) -> bool:
    return path.relative_to(DOCS).parts[0] in ("reference", "project", "_build")
