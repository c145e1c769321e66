"""The help of commands: groups, defaults, examples."""

import click
from click.testing import CliRunner

from pytok.commands.help import Command, Group, option


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
    """In the same columns, each with its default, and the examples below."""
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
    """Not by the alphabet."""
    first, second = click.Command("zeta", help="Z."), click.Command("alpha", help="A.")
    group = Group("group", commands=[first, second])

    lines = help_of(group).splitlines()
    assert lines[lines.index("Commands:") + 1 :] == ["  zeta   Z.", "  alpha  A."]
