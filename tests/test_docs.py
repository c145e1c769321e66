"""What the documents show is true: their Python runs, their files and commands exist."""

import re
from pathlib import Path

import click
import pytest

from pytok.__main__ import COMMANDS as LAZY_COMMANDS

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {str(lazy.name): lazy.load() for lazy in LAZY_COMMANDS}
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_python_in_documents_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its assertions."""
    monkeypatch.chdir(tmp_path)
    for block in blocks(path, "python"):
        exec(compile(block, path.name, "exec"), {})


def test_the_recipe_in_the_readme_is_one(tmp_path: Path) -> None:
    """With fields and mechanisms that there are."""
    from gpt.spec.recipe import Recipe, read_toml

    (block,) = blocks(ROOT / "README.md", "toml")
    (tmp_path / "recipe.toml").write_text(block)

    recipe = Recipe.from_dict(read_toml(tmp_path / "recipe.toml") | {"data": "d", "out": "o"})

    assert recipe.steps == 1000
    assert type(recipe.model.mlp).__name__ == "SwiGLU"


def test_the_readme_shows_python() -> None:
    """Else the test above would test nothing."""
    assert "assert" in "".join(blocks(ROOT / "README.md", "python"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_in_documents_lead_somewhere(path: Path) -> None:
    """Those to files of the repository."""
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_pytok_commands_in_documents_exist_with_their_options() -> None:
    """Each line that begins with `pytok` names a subcommand, and options that it has."""
    lines = [
        line.split("#")[0]
        for path in DOCUMENTS
        for block in blocks(path, "sh")
        for line in block.splitlines()
        if re.search(r"(^|\| )pytok ", line)
    ]
    assert lines
    for line in lines:
        name, *words = line.split("pytok ", 1)[1].split()
        command = COMMANDS[name]
        if isinstance(command, click.Group):
            command = command.commands[words[0]]
        known = {option for parameter in command.params for option in parameter.opts}
        used = {word for word in words if word.startswith("-") and len(word) > 1}
        assert used <= known, line


def test_every_command_has_help_that_teaches() -> None:
    """A sentence for each command and each option."""
    groups = [each for each in COMMANDS.values() if isinstance(each, click.Group)]
    within = [command for group in groups for command in group.commands.values()]
    for command in [*COMMANDS.values(), *within]:
        assert command.help
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, parameter.name
