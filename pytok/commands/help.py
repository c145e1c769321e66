"""How the help of a command looks: options in groups, examples at the end.

    @click.command(cls=Command, examples="gpt sample runs/x --tokens 200")
    @click.argument("run")
    @option("--tokens", metavar="N", default=256, help="Number of tokens to generate.")
    @option("--top-k", metavar="N", group="Sampling", help="Sample from the N most likely tokens.")
    @option("--seed", metavar="N", group="Sampling", show_default="random", help="Random seed.")
    def sample(run: str, tokens: int, top_k: int | None, seed: int | None) -> None:

`Option` is the class behind `option`, for options that are made in a loop. A default is shown as
`[default: 256]`; a string for *show_default* describes one that is not a value. A `Group` lists its
commands in the order in which they were added. A `LazyCommand` in it imports the module of its
command when the command runs:

    commands = [LazyCommand("sample", "gpt.commands.sample:sample", "Generate text.")]

    @click.group(cls=Group, commands=commands)
    def cli() -> None:

click adds the rest: `--help`, exit code 2 and "Did you mean" for misspelled options and commands.
"""

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from inspect import cleandoc
from typing import Any, TypeVar, cast

import click

from pytok.distribution import version

F = TypeVar("F", bound=Callable[..., Any])

MAX_WIDTH = 100
"""Columns of help text at most."""

NAME_WIDTH = 30
"""Columns for the names of options at most; a longer one gets its own line."""

CONTEXT: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": MAX_WIDTH,
}
"""Settings of all commands. click keeps the help option of the first context of a command."""

INPUTS = "inputs"
"""Attribute of an error of a command: the names of what the command reads."""


class Option(click.Option):
    """An option that is listed under *group* in the help of its command."""

    def __init__(self, names: Sequence[str], *, group: str = "Options", **settings: Any) -> None:
        settings.setdefault("show_default", True)
        super().__init__(names, **settings)
        self.group = group

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option's names and help."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        record = record[0], _without_range(record[1])
        if not isinstance(self.show_default, str):
            return record
        # click sets a described default in parentheses: "[default: (all cores)]".
        described = f"default: {self.show_default}"
        return record[0], record[1].replace(f"default: ({self.show_default})", described)


def _without_range(text: str) -> str:
    """Return the help *text* without the range of a number, which an error names.

    >>> _without_range("Fraction to hold out.  [default: 0.1; 0<=x<1]")
    'Fraction to hold out.  [default: 0.1]'
    """
    sentence, bracket, facts = text.rpartition("  [")
    if not bracket or not facts.endswith("]"):
        return text
    kept = [each for each in facts[:-1].split("; ") if not re.fullmatch(r"[\d.<>=x-]+", each)]
    return f"{sentence}  [{'; '.join(kept)}]" if kept else sentence


def option(*names: str, group: str = "Options", **settings: Any) -> Callable[[F], F]:
    """Decorate a command with an `Option`; *settings* are those of `click.option`."""
    return click.option(*names, cls=Option, group=group, **settings)


class Command(click.Command):
    """A command whose help groups the options and ends with *examples*, one in a line."""

    def __init__(self, *arguments: Any, examples: str = "", **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = cleandoc(examples)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, unless an output of it would replace an input.

        An error that it raises has the names of its inputs, as the attribute `INPUTS`.
        """
        if not ctx.params:  # a group
            return super().invoke(ctx)
        from pytok.commands.paths import check_outputs, inputs_of  # here: help needs no paths

        check_outputs(ctx)
        try:
            return super().invoke(ctx)
        except Exception as error:
            setattr(error, INPUTS, inputs_of(ctx))
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group, in the order in which they first occur.

        What is required comes first.
        """
        sections: dict[str, list[tuple[bool, tuple[str, str]]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and not isinstance(parameter, click.Argument):
                section = sections.setdefault(getattr(parameter, "group", "Options"), [])
                section.append((not parameter.required, record))
        names = [name for section in sections.values() for _, (name, _) in section]
        width = min(max(map(len, names), default=0), NAME_WIDTH)
        for title, records in sections.items():
            with formatter.section(title):
                # Padded, so that all sections have the same columns.
                ordered = sorted(records, key=lambda record: record[0])
                rows = [(name.ljust(width), text) for _, (name, text) in ordered]
                formatter.write_dl(rows, col_max=NAME_WIDTH)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, then the epilog."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.splitlines():
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")
        super().format_epilog(ctx, formatter)


class Group(Command, click.Group):
    """A group of commands, listed in the order in which they were added."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        settings["context_settings"] = CONTEXT | (settings.get("context_settings") or {})
        super().__init__(*arguments, **settings)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names, in the order of addition."""
        return list(self.commands)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


class LazyCommand(click.Command):
    """A command that is imported from *target*, `module:attribute`, when it runs.

    Until then a group shows *summary*, which is the first line of the command's help.
    """

    def __init__(self, name: str, target: str, summary: str) -> None:
        super().__init__(name, help=summary)
        self.target = target

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.target.partition(":")
        return cast(click.Command, getattr(import_module(module), attribute))

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Return a context of the imported command, with which click continues."""
        return self.load().make_context(info_name, args, parent=parent, **extra)


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"{context.info_name}, version {version()}")
        context.exit()


version_option = click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
"""The option of both commands, which come in one distribution."""
