"""The common command line of the benchmarks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from benches import report
from benches.libraries import LIBRARIES, PYTOK
from benches.report import Record
from benches.trainers import TRAINERS
from pytok import corpus
from pytok.errors import CorpusError

DEPENDENCIES = ("numpy", "regex")
"""Libraries that are not compared, but whose versions can affect the figures."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a benchmark.

    *files* are the user's texts by name, empty for the default texts; *sizes* are in bytes,
    *vocabularies* in ids, *encodings* are names; empty ones mean the defaults of each benchmark.
    """

    files: Mapping[str, str]
    quick: bool
    sizes: Sequence[int]
    vocabularies: Sequence[int]
    encodings: Sequence[str]
    minbpe: Path | None
    nanogpt: Path | None


def command(*benchmarks: Callable[[Settings], list[Record]]) -> click.Command:
    """Return a command that runs *benchmarks*, with exit code 1 if a result of pytok is wrong."""

    @click.command(
        help="Compare pytok with other libraries, on FILE... or on texts of Python's library."
    )
    @click.argument("files", nargs=-1, metavar="[FILE...]")
    @click.option("--quick", is_flag=True, help="Less text and fewer rounds: about two minutes.")
    @click.option(
        "--megabytes",
        "sizes",
        multiple=True,
        type=click.FloatRange(min=0.1),
        metavar="N",
        help="Size of the text of each kind to encode and train on; can be repeated, to train on "
        "each size. Shorter text is repeated for training.",
    )
    @click.option(
        "--vocab",
        "vocabularies",
        multiple=True,
        type=click.IntRange(min=257),
        metavar="N",
        help="Train vocabularies of N ids; can be repeated.",
    )
    @click.option(
        "--encoding",
        "encodings",
        multiple=True,
        metavar="NAME",
        help="Encode with NAME, such as o200k_base; can be repeated.",
    )
    @click.option(
        "--json",
        "records_path",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write every figure to FILE.",
    )
    @click.option(
        "--minbpe",
        metavar="FOLDER",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="A checkout of karpathy/minbpe, to compare with the reference engine.",
    )
    @click.option(
        "--nanogpt",
        metavar="FOLDER",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="A checkout of karpathy/nanoGPT, to compare with gpt.",
    )
    def run(
        files: tuple[str, ...],
        quick: bool,
        sizes: tuple[float, ...],
        vocabularies: tuple[int, ...],
        encodings: tuple[str, ...],
        records_path: Path | None,
        minbpe: Path | None,
        nanogpt: Path | None,
    ) -> None:
        in_bytes = [int(size * 1e6) for size in sizes]
        settings = Settings(
            _texts(files), quick, in_bytes, vocabularies, encodings, minbpe, nanogpt
        )
        rows = (*LIBRARIES, *TRAINERS)
        names = dict.fromkeys(row.distribution for row in rows if row.distribution)
        machine = report.machine([*names, *DEPENDENCIES])
        for line in report.describe(machine):
            click.echo(line)
        records = [record for benchmark in benchmarks for record in benchmark(settings)]
        if records_path is not None:
            report.save(records_path, machine, records)
        wrong = list(_wrong(records))
        if wrong:
            raise click.ClickException("\n".join(wrong))

    return run


def _texts(paths: Sequence[str]) -> dict[str, str]:
    """Read *paths*; return the texts by file name, or by path if two have the same name."""
    names = [Path(path).name for path in paths]
    unique = len(set(names)) == len(set(paths))
    return {name if unique else path: _read(path) for name, path in zip(names, paths, strict=True)}


def _read(path: str) -> str:
    try:
        text = "\n".join(corpus.read_documents([path]))
    except CorpusError as error:
        raise click.ClickException(str(error)) from None
    if not text.strip():
        raise click.ClickException(f"{path}: no text; pass another file")
    return text


def _wrong(records: Sequence[Record]) -> Iterator[str]:
    """Yield a line for each task on which pytok failed or had a wrong result."""
    for record in records:
        if record["name"].startswith(PYTOK.name) and record["state"] != "timed":
            yield f"{record['name']}, {record['question']}: {record['state']}: {record['reason']}"
