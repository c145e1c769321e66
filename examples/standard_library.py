"""Write English text that every Python carries: its manual's chapters and its docstrings.

python examples/standard_library.py corpus.txt

About two megabytes. It needs no download, and raises no question of licence for who has Python.
"""

import ast
import inspect
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path


def chapters() -> Iterator[str]:
    """The chapters that `help()` shows."""
    try:
        from pydoc_data.topics import topics
    except ImportError:  # some distributions package it apart
        return
    yield from topics.values()


def docstrings() -> Iterator[str]:
    """The docstrings of the standard library, each once."""
    seen = set()
    folder = Path(sysconfig.get_path("stdlib"))
    for path in sorted(folder.rglob("*.py")):
        if {"site-packages", "test", "tests", "idlelib", "lib2to3"} & set(path.parts):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of old sources' escapes
                tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):  # kept there on purpose, to test parsers
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = inspect.cleandoc(ast.get_docstring(node) or "")
                if len(text) > 80 and text not in seen:
                    seen.add(text)
                    yield text


def main() -> None:
    """Write the text to the file that the command line names."""
    if len(sys.argv) != 2:
        sys.exit("usage: python standard_library.py FILE")
    texts = [*chapters(), *docstrings()]
    out = Path(sys.argv[1])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    print(f"{out}: {out.stat().st_size:,} bytes of Python's own manual and docstrings")


if __name__ == "__main__":
    main()
