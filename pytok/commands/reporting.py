"""The report: a tokenizer measured on a corpus, and the page that shows it.

It is the `--report` of `pytok train` and `pytok show`.
"""

import functools
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytok import corpus
from pytok.atomic import replace_file
from pytok.commands.options import Reading
from pytok.terminal import Bars, say
from pytok.tokenizer import Tokenizer

if TYPE_CHECKING:
    from pytok.report import Figures


def _refuse_early(context: object, option: object, path: str | None) -> str | None:
    """Refuse a report that cannot be written before any work is done."""
    if path is not None:
        import_module("pytok.report")  # what it needs may be missing
        if Path(path).suffix.lower() not in (".html", ".htm"):  # it could be the tokenizer itself
            raise click.BadParameter(f"a report is a page of HTML: call it {path}.html")
        if not (folder := Path(path).absolute().parent).is_dir():
            raise click.BadParameter(f"there is no folder {folder}: make it first")
    return path


report_option = click.option(
    "--report",
    type=click.Path(dir_okay=False),
    callback=_refuse_early,
    metavar="PAGE.html",
    help="Write a page that shows the tokenizer in pictures, measured on the corpus.",
)


def measure(
    tokenizer: Tokenizer,
    sources: corpus.Source | None,
    reading: Reading,
    num_threads: int | None,
) -> "Figures":
    """The figures of *tokenizer*, on a corpus if there is one, with a bar."""
    from pytok import report

    with Bars() as bars:
        bar = functools.partial(bars.update, "measure")
        return report.measure(tokenizer, sources, num_threads=num_threads, progress=bar, **reading)


def write_report(path: str, figures: "Figures", text: str | None = None) -> None:
    """Write the page of *figures*, with *text* in the place of excerpts, and say so."""
    from pytok.report import render

    page = render(figures, text=text).encode(errors="backslashreplace")  # names of files
    replace_file(Path(path), page)
    say(f"{path}: the report")
