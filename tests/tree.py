"""The tree in docs/architecture.md, made from the first sentences of the modules' docstrings.

``python tests/tree.py`` writes it; `tests/test_house.py` checks it.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "architecture.md"
BLOCK = re.compile(r"(?<=^```\n)pytok/ .*?(?=^```$)", re.M | re.S)


def first_sentence(path: Path) -> str:
    """The first sentence of the docstring of the module *path*, without its period."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(docstring.split("\n\n")[0].split()).replace("``", "`")
    return re.split(r"\.(?= [A-Z`]|$)", paragraph, maxsplit=1)[0]


def lines(folder: Path, names: list[str], depth: int) -> Iterator[str]:
    """One line for each of *names* in *folder*, and for what the packages among them hold."""
    for name in names:
        package = folder / name
        path = package / "__init__.py" if package.is_dir() else folder / f"{name}.py"
        label = "  " * depth + (f"{name}/" if package.is_dir() else f"{name}.py")
        yield f"{label:<26}{first_sentence(path)}"
        if package.is_dir():
            modules = {child.stem for child in package.iterdir() if is_module(child)}
            yield from lines(package, sorted(modules), depth + 1)


def is_module(path: Path) -> bool:
    """Whether *path* is a module or a package, and not the ``__init__.py`` of one."""
    if path.is_dir():
        return (path / "__init__.py").exists()
    return path.suffix == ".py" and path.name != "__init__.py"


def tree(order: dict[str, list[str]]) -> str:
    """The tree of the packages in *order*, which lists the entries of each, lowest first."""
    parts = []
    for project, entries in order.items():
        head = f"{project + '/':<26}{first_sentence(ROOT / project / '__init__.py')}"
        parts.append("\n".join([head, *lines(ROOT / project, [*entries, "__main__"], 1)]))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from tests.test_house import ORDER

    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(BLOCK.sub(lambda _: tree(ORDER), text), encoding="utf-8")
