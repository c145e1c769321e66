"""Convert the chapters to notebooks: `make notebooks` writes build/notebooks/NN-name.ipynb."""

import os
import re
import sys
from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
HEADER = """\
---
jupyter:
  kernelspec:
    display_name: Python 3
    language: python
    name: python3
---

"""
SETUP = """\
# The chapter's files and commands are those of the repository's root.
import os

os.chdir("../..")
"""


def link(target: str) -> str:
    """Return the link of a notebook for that of a chapter: to notebooks, or to docs/learn/."""
    if re.fullmatch(r"\d\d-[\w-]+\.md", target):
        return target.removesuffix(".md") + ".ipynb"
    return "../../" + os.path.normpath(f"docs/learn/{target}").replace(os.sep, "/")


def notebook(path: Path) -> nbformat.NotebookNode:
    """Return a chapter as a notebook: the blocks that run are cells, after one of setup."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"(?<=\]\()(?!https?:|#)[^)\s]+", lambda match: link(match[0]), text)
    text = re.sub(r"(?m)^(<!-- not run: .+ -->\n```)\w+$", r"\1text", text)
    text = re.sub(r"(?m)^```sh$", "```bash", text)
    converted = jupytext.reads(HEADER + text, fmt="md")
    setup = nbformat.v4.new_code_cell(SETUP.rstrip())
    converted.cells.insert(0, setup)
    for index, cell in enumerate(converted.cells):
        cell.id = f"cell-{index}"  # random otherwise, and the file would differ each time
    return converted


def main() -> None:
    """Write all notebooks."""
    folder = ROOT / "build/notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(HERE.glob("[0-9][0-9]-*.md")):
        nbformat.write(notebook(path), folder / f"{path.stem}.ipynb")
    print(f"notebooks in {folder.relative_to(ROOT)}/", file=sys.stderr)


if __name__ == "__main__":
    main()
