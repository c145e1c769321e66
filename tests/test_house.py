"""The plan of the house (docs/architecture.md), kept true: order, borders, twins, sizes."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tree import BLOCK, DOCUMENT, tree

ROOT = Path(__file__).resolve().parent.parent

ORDER = {
    # Lowest first: a module imports only from entries before its own. An entry is a module or a
    # package; inside a package imports make no circle.
    "pytok": re.findall(
        r"\w+",
        """
        distribution errors counted atomic termination text byte_order patterns merging definition
        renumbering reference blocks engine decoding special live terminal notebook
        fileids shardfile
        formats
        unstable truncation post_processing encoding model_inputs growing countfile
        tokenizer extension corpus sources encodings counting splits usage pruning healing shards
        report streams training chat commands
        """,
    ),
    "gpt": re.findall(
        r"\w+",
        """
        errors spec parallel data nn optim adapt model runs generation interop evaluation report
        training clone lab commands
        """,
    ),
}

ABOVE_PYTOK = ["errors", "data", *ORDER["gpt"][ORDER["gpt"].index("runs") :]]
"""The packages of gpt that may import pytok: for shards, tokenizers, whole files, errors."""
FOR_ALL = {"pytok.text"}
"""What every package of gpt may import: how an error quotes a value."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def entry(module: str) -> str:
    """The module or package directly inside pytok or gpt that holds *module*; "" for the top."""
    name = module.partition(".")[2].partition(".")[0]
    return "" if name == "__main__" else name


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
def test_a_module_imports_only_what_is_below_it(path: Path) -> None:
    """So that every package can be read with only the ones below it in mind."""
    project, mine = module_name(path).split(".")[0], entry(module_name(path))
    order = ORDER[project]
    assert mine in ("", *order), f"add {mine} to ORDER and to docs/architecture.md"
    for module in imports(path):
        theirs = entry(module)
        if module == "pytok._native":
            assert mine == "engine", f"only pytok.engine imports {module}"
        elif module.split(".")[0] != project:
            assert mine in ("", *ABOVE_PYTOK) or module in FOR_ALL, f"{mine} imports {module}"
        elif mine not in ("", "commands", theirs):
            assert theirs in order[: order.index(mine)], f"{mine} imports {theirs}"


def test_modules_of_a_package_import_each_other_without_circles() -> None:
    """Each package has a reading order."""
    graph = {module_name(path): imports(path) - {module_name(path)} for path in SOURCES}

    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


def test_the_tree_in_the_docs_is_that_of_the_files() -> None:
    """`python tests/tree.py` writes it."""
    found = BLOCK.search(DOCUMENT.read_text(encoding="utf-8"))

    assert found is not None
    assert found[0] == tree(ORDER)


def test_gpt_has_few_rooms() -> None:
    """Twenty entries can be scanned; `py.typed` is a marker."""
    names = {path.name for path in (ROOT / "gpt").iterdir()} - {"__pycache__", "py.typed"}

    assert len(names) <= 20


def test_pytok_never_imports_gpt() -> None:
    """Tokenizing needs no trainer."""
    for path in (ROOT / "pytok").rglob("*.py"):
        assert not any(name.split(".")[0] == "gpt" for name in imports(path)), path


def test_only_the_engine_imports_the_reference() -> None:
    """And only on demand: encoding, training and reading files never wait for the slow twin."""
    reference = ROOT / "pytok/reference"
    importers = {
        module_name(path)
        for path in SOURCES
        if reference not in path.parents
        and any(name.startswith("pytok.reference") for name in imports(path))
    }

    assert importers == {"pytok.engine"}
    assert not {"pytok.reference", "regex"} & modules_after("import pytok.engine")


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
    # The readers of pytok.formats are the twins of files/.
    alone = {"__init__", "bpe", "files", "newer", "unicode"}
    twins = {path.stem for path in (ROOT / "pytok/reference").glob("*.py")} - alone
    alone_in_rust = {"batch", "key", "memory"}  # speed, and memory whose lack Python reports itself
    crate = {path.stem for path in (ROOT / "bpe-rs/src").glob("*.rs")} - {"lib", "error"}
    crate -= alone_in_rust

    assert twins == crate
    for name in twins:
        assert f"bpe-rs/src/{name}.rs" in (ROOT / f"pytok/reference/{name}.py").read_text()
        assert f"pytok/reference/{name}.py" in (ROOT / f"bpe-rs/src/{name}.rs").read_text()


def test_twins_define_the_same_functions_in_the_same_order() -> None:
    """Both can be read side by side. What only speed needs is the crate's own.

    Production needs the patterns of `pretokenize`, too: in Python they are in `pytok.patterns`.
    """
    patterns = (ROOT / "pytok/patterns.py").read_text()
    shared = {
        "vocab": [],
        "pretokenize": ["resolve", "split", "split_marked"],
        "search": [],
        "count": ["add", "add_files", "add_counted", "gather", "part"],
        "train": ["train", "first_tokens", "ends_of_unmade", "next_merge"],
        "encode": ["encode_piece", "merges", "merge"],
        "decode": ["decode"],
        "core": ["token", "id", "encode", "encode_piece", "pieces", "normalize"],
        "piece": [
            *("id", "encode_piece", "encode_ranges", "check_bytes", "check_text"),
            *("marked_vocab", "ended"),
        ],
        "normalize": ["normalize", "align"],
        "added": ["segments"],
        "split": ["apply"],
    }
    for name, functions in shared.items():
        python = (ROOT / f"pytok/reference/{name}.py").read_text()
        if name == "pretokenize":
            python = patterns + python
        rust = (ROOT / f"bpe-rs/src/{name}.rs").read_text().split("#[cfg(test)]")[0]
        ours = dict.fromkeys(re.findall(r"^ *def (\w+)", python, re.M))
        theirs = dict.fromkeys(re.findall(r"^ *(?:pub(?:\(crate\))? )?fn (\w+)", rust, re.M))
        assert [function for function in ours if function in theirs] == functions, name
        assert [function for function in theirs if function in ours] == functions, name


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_no_file_is_longer_than_can_be_held_in_mind(path: Path) -> None:
    """400 lines; longer ones have their reason here."""
    longer = {
        "pytok.tokenizer": 450,  # tiktoken's whole API, each member with its docstring
    }

    assert len(path.read_text().splitlines()) <= longer.get(module_name(path), 400)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "gpt/lab/experiments").glob("*.py")), ids=lambda p: p.stem
)
def test_an_experiment_reads_like_a_paragraph(path: Path) -> None:
    """170 lines; what is not of the claim is apparatus."""
    assert len(path.read_text().splitlines()) <= 170


@pytest.mark.parametrize("path", sorted((ROOT / "bpe-rs/src").rglob("*.rs")), ids=lambda p: p.name)
def test_no_rust_file_is_longer_than_can_be_held_in_mind(path: Path) -> None:
    """400 lines, tests included."""
    if path.name == "tables.rs":  # made by a program, and read by none
        return
    assert len(path.read_text().splitlines()) <= 400


def test_every_unsafe_block_has_its_proof_in_the_plan() -> None:
    """A table in docs/architecture.md has the files, and the number of blocks in each."""
    source = ROOT / "bpe-rs"
    blocks = {
        path.relative_to(source / "src").as_posix(): len(
            re.findall(r"^[^/\n]*\bunsafe (?:\{|fn|impl|trait|extern)", path.read_text(), re.M)
        )
        for path in sorted((source / "src").rglob("*.rs"))
    }
    rows = re.findall(r"^\| `([\w/]+\.rs)` \| (\d+) \|", DOCUMENT.read_text(), re.M)

    assert {path: number for path, number in blocks.items() if number} == {
        path: int(number) for path, number in rows
    }
    assert not [path for path in source.glob("[!s]*/**/*.rs") if "unsafe" in path.read_text()]


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_importing_pytok_loads_only_its_errors() -> None:
    """The rest of the package, and what takes long to load, comes with the first use."""
    heavy = {"numpy", "torch", "rich", "pyarrow", "http.client", "matplotlib", "click", "jinja2"}
    heavy |= {"regex", "inspect", "dataclasses", "json", "hashlib", "pathlib"}

    loaded = modules_after("import pytok")

    assert not heavy & loaded
    assert {name for name in loaded if name.startswith("pytok.")} == {"pytok.errors"}


def test_a_named_encoding_loads_no_format(rank_files: Path) -> None:
    """Nor what only files need: `get_encoding` and the first text take less than an import."""
    loaded = modules_after("import pytok; pytok.get_encoding('r50k_base').encode('ab')")

    assert "pytok._native" in loaded
    assert not {"pytok.formats", "pytok.atomic", "pytok.reference"} & loaded
    assert not {"numpy", "regex", "json", "pathlib", "tempfile", "base64", "random"} & loaded


def test_the_native_engine_never_loads_the_reference(tmp_path: Path) -> None:
    """Neither for training, nor for reading a tokenizer and encoding with it."""
    path = tmp_path / "tokenizer.json"
    train = f"import pytok; pytok.train(['abab'], 258, special_tokens=()).save({str(path)!r})"
    encode = f"import pytok; pytok.load({str(path)!r}).encode('ab')"

    for statement in (train, encode):
        loaded = modules_after(statement)
        assert "pytok._native" in loaded
        assert not {"pytok.reference", "regex"} & loaded


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

    assert top == {
        "bpe-rs",
        "pytok",
        "gpt",
        "tests",
        "docs",
        "benches",
        "examples",
        ".ci",
        ".github",
    }


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
