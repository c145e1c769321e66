"""docs/learn/ is true: chapters run, exercises can be solved, figures are what scripts draw."""

import ast
import contextlib
import importlib.util
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest

from tests.docs.shell import Session, Setting, commands_in

ROOT = Path(__file__).resolve().parent.parent
LEARN = ROOT / "docs/learn"
CHAPTERS = sorted(LEARN.glob("[0-9][0-9]-*.md"))
FIGURES = sorted((LEARN / "figures").glob("[0-9][0-9]_*.py"))
SECTIONS = ["## In the source", "## Common mistakes", "## Exercises", "## Read next"]

FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?"
    r"```(?P<language>\w*)\n(?P<text>.*?)^```$"
    r"(?:\n\n```text\n(?P<output>.*?)^```$)?",
    re.M | re.S,
)
"""A block of code, why it is not run, and the output below it."""


def by_name(path: Path) -> str:
    return path.stem


@dataclass(frozen=True)
class Block:
    """A fenced block that runs, and its output: None if the chapter does not show it."""

    language: str
    code: str
    output: str | None
    line: int


def blocks(path: Path) -> list[Block]:
    """The blocks of a chapter that run, in order."""
    text = path.read_text(encoding="utf-8")
    return [
        Block(
            found["language"],
            found["text"],
            found["output"],
            text[: found.start("text")].count("\n"),
        )
        for found in FENCE.finditer(text)
        if found["language"] in ("python", "sh") and not found["reason"]
    ]


def commands(code: str) -> Iterator[str]:
    """The commands of a block: a line each, or several lines while a quotation mark is open."""
    command = ""
    for line in code.splitlines():
        command += line
        try:
            words = shlex.split(command, comments=True)
        except ValueError:
            command += "\n"
        else:
            if words:
                yield command
            command = ""


def matches(printed: str, shown: str) -> bool:
    """Whether the output is as shown: `...` is any part of a line, or alone any lines."""
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    patterns = [
        "(?s:.*)" if line == "..." else re.escape(line).replace(re.escape("..."), ".*")
        for line in shown.strip("\n").split("\n")
    ]
    return re.fullmatch("\n".join(patterns), "\n".join(lines)) is not None


@pytest.mark.parametrize(
    ("printed", "same"),
    [
        ("a 12 b\nx\ny\nend\n", True),
        ("a 12 b\nx\nend\n", True),
        ("a 12 b\nend\n", False),
        ("a 12\n b\nx\nend\n", False),
        ("a 12 b\nx\nend\nmore\n", False),
    ],
)
def test_three_dots_stand_for_a_part_of_a_line_or_for_lines(printed: str, same: bool) -> None:
    """Everything else of an output is compared."""
    assert matches(printed, "a ... b\n...\nend\n") == same


def checkout(folder: Path) -> Path:
    """Make *folder* look like the repository's root; what is written there stays there."""
    for path in ROOT.iterdir():
        if path.name not in {".git", "build", "data", "demo", "runs", "target"}:
            (folder / path.name).symlink_to(path)
    return folder


@pytest.mark.parametrize("path", CHAPTERS, ids=by_name)
def test_a_chapter_runs_from_top_to_bottom(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one folder and one namespace, as in a notebook; each block prints what is below it."""
    (folder := tmp_path / "checkout").mkdir()
    monkeypatch.chdir(checkout(folder))
    session = Session(folder, Setting(), commands_in(tmp_path / "bin"))
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(path):
        if block.language == "sh":
            printed = "".join(session.run_line(command) for command in commands(block.code))
        else:
            stdout = io.StringIO()
            with contextlib.redirect_stdout(stdout):
                code = "\n" * block.line + block.code  # so that a traceback has the page's lines
                exec(compile(code, str(path), "exec", dont_inherit=True), names)
            printed = stdout.getvalue()
        if block.output is not None:
            assert matches(printed, block.output), f"{path.name}:{block.line} prints\n{printed}"


def exercises(path: Path) -> dict[str, ast.FunctionDef]:
    """The public functions of a file of exercises or solutions."""
    return {
        node.name: node
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }


@pytest.mark.parametrize("path", CHAPTERS, ids=by_name)
def test_a_chapter_has_a_command_a_figure_and_exercises(path: Path) -> None:
    """Besides the same sections, in the same order."""
    text = path.read_text(encoding="utf-8")
    number = int(path.name[:2])
    headings = [heading for heading in re.findall(r"^## .*", text, re.M) if heading in SECTIONS]

    assert text.startswith(f"# {number}. ")
    assert "**You will be able to**" in text
    assert headings == SECTIONS
    assert re.search(r"^```sh$", text, re.M)
    assert re.search(rf"!\[[^\]]+\]\(images/{number:02}-[\w-]+\.svg\)", text)
    assert 2 <= len(re.findall(rf"^### {number}[a-d]\. ", text, re.M)) <= 4


@pytest.mark.parametrize("path", CHAPTERS, ids=by_name)
def test_each_exercise_has_a_task_a_hint_a_solution_and_tests(path: Path) -> None:
    """A heading each; the function has the same signature and task in both files."""
    number = path.name[:2]
    tasks = exercises(LEARN / f"exercises/chapter_{number}.py")
    solutions = exercises(LEARN / f"solutions/chapter_{number}.py")
    sections = re.split(
        rf"^### {int(number)}[a-d]\. ", path.read_text(encoding="utf-8"), flags=re.M
    )

    assert list(tasks) == list(solutions)
    assert len(tasks) == len(sections) - 1
    for (name, task), section in zip(tasks.items(), sections[1:], strict=True):
        assert f"`{name}" in section, name
        assert "<summary>Hint</summary>" in section, name
        assert ast.unparse(task.args) == ast.unparse(solutions[name].args), name
        assert ast.get_docstring(task) == ast.get_docstring(solutions[name]), name


def run_exercises(tmp_path: Path, *options: str) -> dict[str, str]:
    """Run the tests of all exercises, and return the message of each: "" if it passed."""
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "docs/learn"]
    done = subprocess.run(
        [*command, f"--junitxml={report}", *options],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    messages = {}
    for case in ElementTree.parse(report).iter("testcase"):
        failed = [*case.iter("failure"), *case.iter("error")]
        name = f"{case.get('classname', '').split('.')[-1]}.{case.get('name')}"
        messages[name] = "".join(node.get("message", "") for node in failed)
        assert not list(case.iter("skipped")), name
    return messages


def test_the_solutions_pass(tmp_path: Path) -> None:
    """With `--solutions`, every test of every exercise."""
    messages = run_exercises(tmp_path, "--solutions")

    assert {f"test_{path.name[:2]}" for path in CHAPTERS} == {
        name.split(".")[0] for name in messages
    }
    assert not {name: message for name, message in messages.items() if message}


def test_an_untouched_exercise_fails_with_its_task(tmp_path: Path) -> None:
    """Each test fails, and each exercise is what some test asks to write."""
    messages = run_exercises(tmp_path)
    said = "\n".join(messages.values())

    assert not [name for name, message in messages.items() if not message]
    for path in CHAPTERS:
        file = f"exercises/chapter_{path.name[:2]}.py"
        for name in exercises(LEARN / file):
            assert re.search(rf"{file}:\d+: write {name}\(\)", said), name


def module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", FIGURES, ids=by_name)
def test_a_figure_is_what_its_script_draws(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte, if the same matplotlib drew both; another one may lay it out differently."""
    monkeypatch.syspath_prepend(str(path.parent))
    with matplotlib.rc_context():
        style = module_of(path.parent / "style.py")
        drawn = style.svg(module_of(path).draw())
    committed = (LEARN / f"images/{path.stem.replace('_', '-')}.svg").read_text(encoding="utf-8")

    assert len(committed) < 150_000
    if f"Matplotlib v{matplotlib.__version__}," in committed:
        assert drawn == committed, f"run: python {path.relative_to(ROOT)}"


def test_the_tokens_of_each_language_are_those_of_the_encodings(
    rank_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that chapter 6 draws its figure from, counted again."""
    monkeypatch.syspath_prepend(str(LEARN / "figures"))
    figure = module_of(LEARN / "figures/06_languages.py")

    assert figure.measured() == json.loads(figure.MEASURED.read_text(encoding="utf-8"))


def test_images_are_those_of_the_scripts() -> None:
    """None is left over, and each is shown."""
    images = {path.stem for path in (LEARN / "images").iterdir()}
    pages = "".join(path.read_text(encoding="utf-8") for path in LEARN.glob("*.md"))

    assert images == {path.stem.replace("_", "-") for path in FIGURES}
    assert all(f"(images/{name}.svg)" in pages for name in images)


def test_the_table_of_contents_has_every_chapter() -> None:
    """With its title, in order."""
    contents = (LEARN / "README.md").read_text(encoding="utf-8")
    titles = [path.read_text(encoding="utf-8").splitlines()[0] for path in CHAPTERS]
    links = [
        f"| {int(path.name[:2])} | [{title.split('. ', 1)[1]}]({path.name}) |"
        for path, title in zip(CHAPTERS, titles, strict=True)
    ]

    assert CHAPTERS
    assert re.findall(r"^\| \d+ \| \[.*?\|", contents, re.M) == links


@pytest.mark.parametrize("path", CHAPTERS, ids=by_name)
def test_a_notebook_has_the_code_of_its_chapter(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one cell of setup: the same blocks, in the same order, and links that work there."""
    import nbformat

    monkeypatch.syspath_prepend(str(LEARN))
    notebook = module_of(LEARN / "notebooks.py").notebook(path)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    text = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    code = ["%%bash\n" * (block.language == "sh") + block.code.rstrip() for block in blocks(path)]

    nbformat.validate(notebook)
    assert cells[1:] == code
    for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", text):
        if not target.endswith(".ipynb"):
            assert (ROOT / "build/notebooks" / target).resolve().exists(), target
