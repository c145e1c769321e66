"""`gpt mechanisms`."""

from __future__ import annotations

import textwrap

import click

from gpt.commands.settings import OptionsError
from gpt.errors import ConfigError
from gpt.spec.zoo import Axis, axes, described, find
from pytok.commands.help import Command

WIDTH = 80
"""Columns of what is printed."""


@click.command(
    cls=Command,
    examples="""
    gpt mechanisms
    gpt mechanisms position
    gpt mechanisms Experts
    """,
)
@click.argument("name", required=False)
def mechanisms(name: str | None) -> int:
    """List the mechanisms that a model can have, with their sources.

    NAME is an axis, such as position, to list only its mechanisms, or a mechanism, to show its
    formula, its fields with their defaults, and what it costs.
    """
    if name is None:
        click.echo("\n\n".join(map(_listing, axes())))
        return 0
    try:
        axis, kind = find(name)
    except ConfigError as error:
        raise OptionsError(str(error)) from error
    if kind is None:
        click.echo(_listing(axis))
        return 0
    from gpt.report.mechanism import entry

    click.echo(entry(axis, kind))
    return 0


def _listing(axis: Axis) -> str:
    """Return the mechanisms of *axis*, each with its summary."""
    lines = textwrap.wrap(f"model.{axis.name}: {axis.doc}", WIDTH, subsequent_indent="  ")
    names = [kind.__name__ for kind in axis.kinds]
    indent = 2 + max(map(len, names), default=0) + 2
    for name, kind in zip(names, axis.kinds, strict=True):
        lines += textwrap.wrap(
            described(kind),
            WIDTH,
            initial_indent=f"  {name}".ljust(indent),
            subsequent_indent=" " * indent,
        )
    if axis.words:
        lines += textwrap.wrap(
            ", ".join(axis.words), WIDTH, initial_indent="  ", subsequent_indent="  "
        )
    return "\n".join(lines)
