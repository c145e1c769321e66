"""Write the English text in Python's standard library to a file: manual chapters and docstrings.

python examples/standard_library.py corpus.txt

This gives about two megabytes, without a download and under Python's own license.
"""

import ast
import inspect
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path


def chapters() -> Iterator[str]:
    """Yield the chapters of the manual that `help()` shows."""
    try:
        from pydoc_data.topics import topics
    except ImportError:  # some distributions have it in a separate package
        return
    yield from topics.values()


def docstrings() -> Iterator[str]:
    """Yield the docstrings of the standard library, each once."""
    seen = set()
    folder = Path(sysconfig.get_path("stdlib"))
    for path in sorted(folder.rglob("*.py")):
        if {"site-packages", "test", "tests", "idlelib", "lib2to3"} & set(path.parts):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes in old sources
                tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):  # some files are test data for parsers
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = inspect.cleandoc(ast.get_docstring(node) or "")
                if len(text) > 80 and text not in seen:
                    seen.add(text)
                    yield text


def main() -> None:
    """Write the text to the file named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: python standard_library.py FILE")
    texts = [*chapters(), *docstrings()]
    out = Path(sys.argv[1])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    print(f"{out}: {out.stat().st_size:,} bytes of Python's manual and docstrings")


if __name__ == "__main__":
    main()
