"""The help of every command: groups, defaults, examples, width."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from pytok.__main__ import COMMANDS, cli
from pytok.commands import chat
from pytok.commands.help import Command, Group, LazyCommand, option


def help_of(command: click.Command, *words: str, columns: int = 80) -> str:
    result = CliRunner().invoke(command, [*words, "--help"], env={"COLUMNS": str(columns)})
    assert result.exit_code == 0, result.output
    return result.output


@click.command(cls=Command, examples="one --size 3\ntwo | one")
@click.argument("file")
@option("--size", metavar="N", default=2, help="Size of it.")
@option("--names-long-enough", group="Names", show_default="all names", help="Names of it.")
@option("--flag", is_flag=True, group="Names", help="Set it.")
def one(**values: object) -> None:
    """Do one thing."""


def test_options_are_listed_in_their_groups() -> None:
    """All groups have the same columns; the examples come last."""
    assert help_of(one).splitlines()[4:] == [
        "Options:",
        "  --size N                  Size of it.  [default: 2]",
        "  --help                    Show this message and exit.",
        "",
        "Names:",
        "  --names-long-enough TEXT  Names of it.  [default: all names]",
        "  --flag                    Set it.",
        "",
        "Examples:",
        "  one --size 3",
        "  two | one",
    ]


def test_a_group_lists_its_commands_in_order() -> None:
    """The class of click sorts them by name."""
    first, second = click.Command("zeta", help="Z."), click.Command("alpha", help="A.")
    group = Group("group", commands=[first, second])

    lines = help_of(group).splitlines()
    assert lines[lines.index("Commands:") + 1 :] == ["  zeta   Z.", "  alpha  A."]


@pytest.mark.parametrize(
    "command", [*COMMANDS, *chat.COMMANDS], ids=lambda command: str(command.name)
)
def test_a_lazy_command_has_the_summary_of_its_command(command: LazyCommand) -> None:
    """The group's help shows the first line of the command's own help."""
    assert (command.load().help or "").splitlines()[0] == command.help
    assert command.load().name == command.name


@pytest.mark.parametrize("words", [["--help"], ["chat", "--help"]], ids=" ".join)
def test_the_help_of_a_group_imports_no_command(words: list[str]) -> None:
    """Nor a reader of chats, nor what only the commands need."""
    code = f"import sys; from pytok.__main__ import main; sys.argv[1:] = {words}\n"
    code += "try: main()\nfinally: print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    loaded = set(shown.splitlines()[-1].split())

    assert "Examples:" in shown
    assert {name for name in loaded if name.startswith("pytok")} <= {
        *("pytok", "pytok.__main__", "pytok.distribution", "pytok.errors", "pytok.terminal"),
        "pytok.termination",
        *("pytok.commands", "pytok.commands.help", "pytok.commands.chat"),
    }
    assert not {"numpy", "rich", "json", "dataclasses", "pathlib", "hashlib"} & loaded


@pytest.mark.parametrize("columns", [80, 100, 200])
@pytest.mark.parametrize(
    "name", [command.name for command in COMMANDS if command.name != "chat"] + [""]
)
def test_help_fits_the_terminal_and_ends_with_examples(name: str, columns: int) -> None:
    """More than ten options are in groups."""
    shown = help_of(cli, *name.split(), columns=columns)
    command = cli.commands[name] if name else cli
    loaded = command.load() if isinstance(command, LazyCommand) else command

    assert isinstance(loaded, Command)
    assert max(map(len, shown.splitlines())) <= min(columns, 100)
    assert f"Examples:\n  {loaded.examples.splitlines()[0]}\n" in shown
    groups = {getattr(parameter, "group", None) for parameter in loaded.params} - {None}
    assert len(loaded.params) <= 10 or len(groups) > 1


def test_a_misspelled_command_gets_a_suggestion() -> None:
    result = CliRunner().invoke(cli, ["trian"])

    assert result.exit_code == 2
    assert "Did you mean 'train'?" in result.output
