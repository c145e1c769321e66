"""The type of arguments that are paths."""

import os

import click


class PathName(click.Path):
    """A path, which must not be empty: that is an unset variable, and would be the working folder.

    Arguments are those of `click.Path`.
    """

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        """Return *value*, or a Path if that was asked for."""
        if not os.fspath(value):
            self.fail("the path is empty: name a file or folder; is a variable unset?", param, ctx)
        return super().convert(value, param, ctx)
