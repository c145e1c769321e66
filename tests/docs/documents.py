"""The documents of the project, and the fenced blocks in them."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
GENERATED = {"_build", "project", "reference"}
"""Folders of docs/ that `make docs` writes."""
DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if path.relative_to(ROOT).parts[1:2] not in [(name,) for name in GENERATED]
)

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, "" if it names none, its text, and the line of its first."""

    language: str
    text: str
    line: int

    @property
    def lines(self) -> list[str]:
        """The lines, with those that a backslash continues joined."""
        return self.text.replace("\\\n", " ").splitlines()


def name_of(path: Path) -> str:
    """Return the path of a document in the project."""
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, *languages: str) -> list[Block]:
    """Return the blocks of *languages*, all if there are none, in their order."""
    text = path.read_text(encoding="utf-8")
    found = [
        Block(
            match["language"], textwrap.dedent(match["text"]), text[: match.start()].count("\n") + 2
        )
        for match in FENCE.finditer(text)
    ]
    return [block for block in found if not languages or block.language in languages]


def prose(path: Path) -> str:
    """Return the text of a document without its blocks."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))
