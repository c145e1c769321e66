"""The plan of the house (docs/architecture.md), kept true: floors, borders, twins, sizes."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FLOORS = {
    # A module imports only from modules on floors strictly below its own.
    "pytok.errors": 0,
    "pytok.atomic": 0,
    "pytok.counted": 0,
    "pytok.reference": 1,
    "pytok.blocks": 1,
    "pytok.definition": 2,
    "pytok.engine": 2,
    "pytok.streaming": 2,
    "pytok.terminal": 2,
    "pytok.shardfile": 2,
    "pytok.formats": 3,
    "pytok.unstable": 3,
    "pytok.special": 2,
    "pytok.tokenizer": 4,
    "pytok.corpus": 4,
    "pytok.countfile": 3,
    "pytok.encodings": 5,
    "pytok.counting": 5,
    "pytok.shards": 5,
    "pytok.report": 5,
    "pytok.streams": 6,
    "pytok.training": 6,
    "pytok.chat": 7,
    "pytok": 7,
    "pytok.commands": 8,
    "pytok.__main__": 9,
    "gpt.errors": 0,
    "gpt.accuracy": 0,
    "gpt.interruption": 0,
    "gpt.launch": 0,
    "gpt.distributed": 1,
    "gpt.sharded": 2,
    "gpt.sealed": 0,
    "gpt.runtime": 1,
    "gpt.plain": 1,
    "gpt.learning": 1,
    "gpt.adapt": 2,
    "gpt.optim": 2,
    "gpt.peak": 2,
    "gpt.config": 2,
    "gpt.metrics": 2,
    "gpt.batch": 2,
    "gpt.respelling": 0,
    "gpt.recipe": 3,
    "gpt.presets": 4,
    "gpt.zoo": 3,
    "gpt.plot": 3,
    "gpt.data": 3,
    "gpt.sources": 4,
    "gpt.model": 4,
    "gpt.choosing": 1,
    "gpt.choices": 5,
    "gpt.conversations": 3,
    "gpt.flops": 5,
    "gpt.reporting": 5,
    "gpt.decoding": 5,
    "gpt.growing": 5,
    "gpt.checkpoint": 5,
    "gpt.parallel": 5,
    "gpt.divergence": 5,
    "gpt.evaluate": 5,
    "gpt.ensemble": 6,
    "gpt.formats": 6,
    "gpt.chatting": 6,
    "gpt.sample": 6,
    "gpt.tasks": 6,
    "gpt.learner": 6,
    "gpt.style": 7,
    "gpt.training": 7,
    "gpt.reporters": 7,
    "gpt.tuning": 8,
    "gpt.cloning": 9,
    "gpt": 9,
    "gpt.commands": 10,
    "gpt.__main__": 11,
}
"""A package named here is one room: its modules may import each other."""


BRIDGES = {
    "gpt.data",
    "gpt.sources",
    "gpt.chatting",
    "gpt.choices",
    "gpt.checkpoint",
    "gpt.conversations",
    "gpt.divergence",
    "gpt.metrics",
    "gpt.plot",
    "gpt.formats",
    "gpt.sample",
    "gpt.style",
    "gpt.tuning",
    "gpt.cloning",
    "gpt.reporters",
    "gpt.commands",
    "gpt.__main__",
}
"""The rooms of gpt that know pytok: those that need shards, a tokenizer, or whole files."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    """The longest prefix of *module* that has a floor."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if (name := ".".join(parts[:length])) in FLOORS and (length > 1 or len(parts) == 1):
            return name
    raise AssertionError(f"{module} has no floor: add it to FLOORS and to docs/architecture.md")


def imports(path: Path) -> set[str]:
    """The project's modules that a file imports, at the top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}".replace(".", "/")
                is_module = any(ROOT.glob(f"{inner}.py*")) or (ROOT / inner).is_dir()
                found.add(f"{node.module}.{alias.name}" if is_module else node.module)
    return {name for name in found if name.split(".")[0] in ("pytok", "gpt")}


SOURCES = sorted([*(ROOT / "pytok").rglob("*.py"), *(ROOT / "gpt").rglob("*.py")])


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_a_module_imports_only_from_floors_below(path: Path) -> None:
    """So that every file can be read with only those below it in mind."""
    mine = room(module_name(path))
    for module in imports(path):
        if module == "pytok._native":
            assert mine == "pytok.engine", f"only pytok.engine imports {module}"
            continue
        theirs = room(module)
        if module.split(".")[0] != mine.split(".")[0]:
            assert mine in BRIDGES, f"{mine} imports {theirs}: only {sorted(BRIDGES)} cross over"
            continue
        assert theirs == mine or FLOORS[theirs] < FLOORS[mine], f"{mine} imports {theirs}"


def test_pytok_never_imports_gpt() -> None:
    """Tokenizing needs no trainer."""
    for path in (ROOT / "pytok").rglob("*.py"):
        assert not any(name.split(".")[0] == "gpt" for name in imports(path)), path


def test_one_rust_folder_names_pyo3() -> None:
    """The border is thin."""
    named = {
        path.parent.name
        for path in (ROOT / "bpe-rs/src").rglob("*.rs")
        if "pyo3::" in path.read_text()
    }

    assert named == {"python"}


def test_each_file_of_the_reference_has_a_twin_in_the_crate() -> None:
    """With the same name, naming each other."""
    alone = {"__init__", "unicode"}
    twins = {path.stem for path in (ROOT / "pytok/reference").glob("*.py")} - alone
    only_speed = {"batch", "key"}
    crate = {path.stem for path in (ROOT / "bpe-rs/src").glob("*.rs")} - {"lib", "error"}
    crate -= only_speed

    assert twins == crate
    for name in twins:
        assert f"bpe-rs/src/{name}.rs" in (ROOT / f"pytok/reference/{name}.py").read_text()
        assert f"pytok/reference/{name}.py" in (ROOT / f"bpe-rs/src/{name}.rs").read_text()


def test_twins_define_the_same_functions_in_the_same_order() -> None:
    """Both can be read side by side. What only speed needs is the crate's own."""
    shared = {
        "vocab": [],
        "pretokenize": ["resolve", "split"],
        "search": [],
        "count": ["add", "add_files", "add_counted", "gather", "part"],
        "train": ["train", "first_tokens", "next_merge"],
        "encode": ["encode_piece", "merges", "merge"],
        "decode": ["decode"],
        "core": ["token", "id", "encode", "encode_piece"],
    }
    for name, functions in shared.items():
        python = (ROOT / f"pytok/reference/{name}.py").read_text()
        rust = (ROOT / f"bpe-rs/src/{name}.rs").read_text().split("#[cfg(test)]")[0]
        ours = dict.fromkeys(re.findall(r"^ *def (\w+)", python, re.M))
        theirs = dict.fromkeys(re.findall(r"^ *(?:pub )?fn (\w+)", rust, re.M))
        assert [function for function in ours if function in theirs] == functions, name
        assert [function for function in theirs if function in ours] == functions, name


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_no_file_is_longer_than_can_be_held_in_mind(path: Path) -> None:
    """400 lines; longer ones have their reason here."""
    longer = {
        "pytok.tokenizer": 600,  # tiktoken's whole API, each member with its docstring
    }

    assert len(path.read_text().splitlines()) <= longer.get(module_name(path), 400)


@pytest.mark.parametrize("path", sorted((ROOT / "bpe-rs/src").rglob("*.rs")), ids=lambda p: p.name)
def test_no_rust_file_is_longer_than_can_be_held_in_mind(path: Path) -> None:
    """400 lines, tests included."""
    if path.name == "tables.rs":  # made by a program, and read by none
        return
    assert len(path.read_text().splitlines()) <= 400


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_importing_pytok_loads_neither_numpy_nor_torch() -> None:
    """Nor anything else that takes long and may not be needed."""
    heavy = {"numpy", "torch", "rich", "pyarrow", "http.client", "matplotlib", "click", "jinja2"}

    assert not heavy & modules_after("import pytok")


def test_help_loads_neither_numpy_nor_torch() -> None:
    """`pytok --help` answers at once."""
    loaded = modules_after("import pytok.__main__")

    assert not {"numpy", "torch", "rich", "pyarrow", "jinja2"} & loaded


def test_encoding_never_needs_torch() -> None:
    """Not even the whole round trip."""
    loaded = modules_after("import pytok; t = pytok.train(['abab'], 258); t.decode(t.encode('ab'))")

    assert "torch" not in loaded


def test_the_top_level_is_the_plan() -> None:
    """New rooms are a decision."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    top = {name.split("/")[0] for name in tracked.stdout.splitlines() if "/" in name}

    assert top == {"bpe-rs", "pytok", "gpt", "tests", "docs", "benches", "examples", ".ci"}


def test_no_room_is_a_drawer() -> None:
    """A file or folder is named for what it holds."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    stems = {Path(part).stem for name in tracked.stdout.splitlines() for part in Path(name).parts}

    assert stems
    assert not stems & {"utils", "common", "helpers", "misc"}


def test_every_public_name_exists() -> None:
    """And __all__ is sorted."""
    import pytok

    assert sorted(pytok.__all__) == pytok.__all__
    assert all(hasattr(pytok, name) for name in pytok.__all__)
