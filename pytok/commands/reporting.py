"""The `--report` option of `pytok train` and `pytok show`: measure a tokenizer, write a page."""

import functools
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytok import corpus
from pytok.atomic import replace_file
from pytok.commands.help import option
from pytok.commands.options import Reading
from pytok.commands.paths import Output
from pytok.terminal import Bars, say
from pytok.tokenizer import Tokenizer

if TYPE_CHECKING:
    from pytok.report import Figures


def _check_path(context: object, parameter: object, path: str | None) -> str | None:
    """Raise, before any work is done, if no report can be written to *path*."""
    if path is not None:
        import_module("pytok.report")  # raises if a dependency of it is missing
        if Path(path).suffix.lower() not in (".html", ".htm"):  # it could be the tokenizer itself
            raise click.BadParameter(f"the report is an HTML page; name it {path}.html")
        if not (folder := Path(path).absolute().parent).is_dir():
            raise click.BadParameter(f"the folder {folder} does not exist; create it first")
    return path


report_option = option(
    "--report",
    type=Output(dir_okay=False),
    callback=_check_path,
    metavar="PAGE.html",
    help="Write an HTML report, measured on the corpus.",
)


def measure(
    tokenizer: Tokenizer,
    sources: corpus.Source | None,
    reading: Reading,
    num_threads: int | None,
) -> "Figures":
    """Measure *tokenizer*, on the corpus *sources* if there is one, with a progress bar."""
    from pytok import report

    with Bars() as bars:
        progress = functools.partial(bars.update, "measure")
        return report.measure(
            tokenizer, sources, num_threads=num_threads, progress=progress, **reading
        )


def write_report(path: str, figures: "Figures", text: str | None = None) -> None:
    """Write the page of *figures*, with *text* instead of excerpts if given, and report it."""
    from pytok.report import render

    page = render(figures, text=text).encode(errors="backslashreplace")  # for names of files
    replace_file(Path(path), page)
    say(f"{path}: report written")


def write_frequencies(path: Path, figures: "Figures") -> None:
    """Write the frequencies of all tokens of *figures*, measured on a corpus, and report it."""
    from pytok.report.frequencies import table

    usage = figures.usage
    assert usage is not None
    ids = list(figures.tokenizer.vocab.values())
    replace_file(path, table(ids, figures.tokens, usage.uses, usage.uses_in_longer))
    say(f"{path}: frequencies written")
