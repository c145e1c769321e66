"""The pages of both command lines, from their click commands: a page for each command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc

import click

from generate.markdown import escaped, fenced
from gpt.__main__ import cli as gpt
from pytok.__main__ import cli as pytok
from pytok.commands.help import CONTEXT, LazyCommand

PROGRAMS = {"pytok": pytok, "gpt": gpt}
VERBATIM = "\b"
"""The line by which click knows a paragraph that must not be wrapped."""


def pages() -> dict[str, str]:
    """Return the text of each page, in Markdown, by its file in docs/reference/."""
    found = {}
    for program, group in PROGRAMS.items():
        commands = dict(_commands(group, program))
        found[f"{program}-commands.md"] = _index(program, group, list(commands))
        for name, command in commands.items():
            found[f"commands/{_slug(name)}.md"] = _page(name, command)
    return found


def _commands(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
    """Yield the full name of each command in *group*, with the command."""
    for name, command in group.commands.items():
        full = f"{prefix} {name}"
        loaded = command.load() if isinstance(command, LazyCommand) else command
        if isinstance(loaded, click.Group):
            yield from _commands(loaded, full)
        else:
            yield full, loaded


def _slug(name: str) -> str:
    return name.replace(" ", "-")


def _index(program: str, group: click.Group, names: list[str]) -> str:
    """Return the page of a *program*: what it is, and its commands *names*."""
    commands = dict(_commands(group, program))
    rows = [
        f"| [{name}](commands/{_slug(name)}.md) | {escaped(_summary(commands[name]))} |"
        for name in names
    ]
    return "\n".join(
        [
            f"# The command {program}",
            "",
            *_prose(group.help or ""),
            "| command | purpose |",
            "|---|---|",
            *rows,
            "",
            *_examples(group),
            *_prose(group.epilog or ""),
            "```{toctree}",
            ":hidden:",
            "",
            *(f"commands/{_slug(name)}" for name in names),
            "```",
            "",
        ]
    )


def _page(name: str, command: click.Command) -> str:
    """Return the page of the *command* that is called by the full *name*."""
    context = click.Context(command, info_name=name, **CONTEXT)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    lines = [f"# {name}", "", *fenced("sh", usage), *_prose(command.help or "")]
    lines += [*_examples(command), "```{program} " + name, "```", ""]
    for title, options in _sections(command, context).items():
        lines += [f"## {escaped(title)}", ""]
        for names, text in options:
            lines += ["```{option} " + names, *_prose(text)[:-1], "```", ""]
    lines += [*_prose(command.epilog or "")]
    return "\n".join(lines)


def _sections(command: click.Command, context: click.Context) -> dict[str, list[tuple[str, str]]]:
    """Return the options of *command* as its help shows them, by group: names and text."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and not isinstance(parameter, click.Argument):
            sections.setdefault(getattr(parameter, "group", "Options"), []).append(record)
    return sections


def _summary(command: click.Command) -> str:
    """Return the first sentence of the help of *command*."""
    return cleandoc(command.help or "").partition("\n\n")[0].replace("\n", " ")


def _examples(command: click.Command) -> list[str]:
    """Return the examples of *command* as a block of code."""
    examples = getattr(command, "examples", "")
    return fenced("sh", examples) if examples else []


def _prose(text: str) -> list[str]:
    """Return the help *text* of click as lines of Markdown; the last is empty."""
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", cleandoc(text)):
        if paragraph.startswith(VERBATIM):
            lines += fenced("text", cleandoc(paragraph.removeprefix(VERBATIM).strip("\n")))
        elif paragraph:
            lines += [escaped(" ".join(paragraph.split())), ""]
    return lines
