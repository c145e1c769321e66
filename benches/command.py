"""The command line that the benchmarks share."""

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
"""Not in the race, but their versions can move its figures."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asked for.

    *files* are the user's own texts by name, none for the defaults; *sizes* are in bytes,
    *vocabularies* in ids, *encodings* by name: none for each benchmark's own.
    """

    files: Mapping[str, str]
    quick: bool
    sizes: Sequence[int]
    vocabularies: Sequence[int]
    encodings: Sequence[str]
    minbpe: Path | None
    nanogpt: Path | None


def command(*benchmarks: Callable[[Settings], list[Record]]) -> click.Command:
    """A command that runs *benchmarks* and exits 1 where pytok's answer is not the peers'."""

    @click.command(help="Compare pytok with its peers, on FILE... or on texts that Python carries.")
    @click.argument("files", nargs=-1, metavar="[FILE...]")
    @click.option("--quick", is_flag=True, help="Less text, fewer rounds: some two minutes.")
    @click.option(
        "--megabytes",
        "sizes",
        multiple=True,
        type=click.FloatRange(min=0.1),
        metavar="N",
        help="How much text of each kind is encoded, and trained on; may be given several times, "
        "for trainings on each. Text that is shorter is repeated for training.",
    )
    @click.option(
        "--vocab",
        "vocabularies",
        multiple=True,
        type=click.IntRange(min=257),
        metavar="N",
        help="TrainOn vocabularies of N ids; may be given several times.",
    )
    @click.option(
        "--encoding",
        "encodings",
        multiple=True,
        metavar="NAME",
        help="Encode with NAME, such as o200k_base; may be given several times.",
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
        help="A checkout of karpathy/minbpe, to train beside the reference.",
    )
    @click.option(
        "--nanogpt",
        metavar="FOLDER",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="A checkout of karpathy/nanoGPT, to learn beside gpt.",
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
    """The text of each of *paths* by its file name; by the path where two have one name."""
    names = [Path(path).name for path in paths]
    unique = len(set(names)) == len(set(paths))
    return {name if unique else path: _read(path) for name, path in zip(names, paths, strict=True)}


def _read(path: str) -> str:
    try:
        text = "\n".join(corpus.read_documents([path]))
    except CorpusError as error:
        raise click.ClickException(str(error)) from None
    if not text.strip():
        raise click.ClickException(f"no text in {path}: name a file that has some")
    return text


def _wrong(records: Sequence[Record]) -> Iterator[str]:
    """Where pytok, in whatever kind, gave no answer or a wrong one."""
    for record in records:
        if record["name"].startswith(PYTOK.name) and record["state"] != "timed":
            yield f"{record['name']}, {record['question']}: {record['state']}: {record['reason']}"
