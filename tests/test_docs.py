"""What the documents show is true: their Python runs, their files and commands exist."""

import re
from collections.abc import Mapping
from pathlib import Path

import click
import pytest

from gpt.__main__ import COMMANDS as GPT
from gpt.nn import build
from pytok.__main__ import COMMANDS as PYTOK
from pytok.commands.help import LazyCommand

ROOT = Path(__file__).resolve().parent.parent
PYTOK_COMMANDS = {str(lazy.name): lazy.load() for lazy in PYTOK}
GPT_COMMANDS = {str(lazy.name): lazy.load() for lazy in GPT}
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
    monkeypatch.setattr(build, "MECHANISMS", dict(build.MECHANISMS))
    for block in blocks(path, "python"):
        exec(compile(block, path.name, "exec"), {})


def test_the_recipe_in_the_readme_is_one(tmp_path: Path) -> None:
    """With fields and mechanisms that there are."""
    from gpt.spec.mlp import MLP
    from gpt.spec.recipe import Recipe, read_toml

    (block,) = blocks(ROOT / "README.md", "toml")
    (tmp_path / "recipe.toml").write_text(block)

    recipe = Recipe.from_dict(read_toml(tmp_path / "recipe.toml") | {"data": "d", "out": "o"})

    assert recipe.steps == 1000
    assert recipe.model.mlp == MLP(activation="silu", gated=True)


def test_the_readme_shows_python() -> None:
    """Else the test above would test nothing."""
    assert "assert" in "".join(blocks(ROOT / "README.md", "python"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_in_documents_lead_somewhere(path: Path) -> None:
    """Those to files of the repository."""
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def command_lines(program: str) -> list[str]:
    """The lines of the documents that run *program*."""
    return [
        line.split(f"{program} ", 1)[1].split("#")[0]
        for path in DOCUMENTS
        for block in blocks(path, "sh")
        for line in block.splitlines()
        if re.search(rf"(^|\| |-m ){program} ", line)
    ]


def loaded(command: click.Command) -> click.Command:
    """The command itself, if *command* stands for one that is imported when it runs."""
    return command.load() if isinstance(command, LazyCommand) else command


@pytest.mark.parametrize(
    ("program", "commands"), [("pytok", PYTOK_COMMANDS), ("gpt", GPT_COMMANDS)]
)
def test_commands_in_documents_exist_with_their_options(
    program: str, commands: Mapping[str, click.Command]
) -> None:
    """Each line names a subcommand, and options that it has."""
    lines = command_lines(program)
    assert lines
    for line in lines:
        name, *words = line.split()
        command = commands[name]
        if isinstance(command, click.Group):
            command = loaded(command.commands[words[0]])
        parameters = command.get_params(click.Context(command))  # with --help
        known = {option for parameter in parameters for option in parameter.opts}
        used = {word for word in words if word.startswith("-") and len(word) > 1}
        assert used <= known, line


def test_every_command_has_help_that_teaches() -> None:
    """A sentence for each command and each option."""
    commands = [*PYTOK_COMMANDS.values(), *GPT_COMMANDS.values()]
    groups = [each for each in commands if isinstance(each, click.Group)]
    within = [loaded(command) for group in groups for command in group.commands.values()]
    for command in [*commands, *within]:
        assert command.help
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, parameter.name
