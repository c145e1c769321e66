"""How fast text becomes ids, on one thread, one call for each text.

The ids are first compared with tiktoken's on the very text that is timed. Not measured here:
batches, threads, loading, memory, decoding.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from statistics import median

import click

from benches import report, texts
from benches.command import Settings, command
from benches.encoders import ENCODERS, OWN, Encode, Encoder
from benches.ranks import lay_out
from benches.report import Record
from benches.timing import take_turns
from pytok.errors import FormatError

ENCODINGS = ("r50k_base", "cl100k_base", "o200k_base")

LEAST = 10_000
"""Bytes: on less, the first call weighs more than the rest."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Texts to encode one by one."""

    name: str
    texts: list[str]

    def share(self, part: float) -> list[str]:
        """The leading *part* of the bytes, at least `LEAST`."""
        if part == 1:
            return self.texts
        return texts.leading(self.texts, max(LEAST, int(_size(self.texts) * part)))


def run(settings: Settings) -> list[Record]:
    """Measure and show; a record for every encoder, encoding and workload."""
    workloads = _workloads(settings.text, 200_000 if settings.quick else 1_000_000)
    rounds = 3 if settings.quick else 7
    records: list[Record] = []
    with tempfile.TemporaryDirectory() as name, _one_thread(Path(name)):
        for encoding in ENCODINGS:
            try:
                ranks = lay_out(encoding, Path(name))
            except FormatError as error:
                click.echo(f"\n{encoding}: left out, {error}")
                continue
            found = _measure(encoding, ranks, workloads, rounds)
            _show(encoding, workloads, rounds, found)
            records += found
    return records


def _workloads(text: str | None, size: int) -> list[Workload]:
    """Up to *size* bytes each; more of the one kind would not make the figures steadier."""
    if text is None:
        code = "".join(texts.leading(texts.code(), size))
        kinds = {"English": texts.english(), "code": code, "scripts": texts.many_scripts(size)}
        text = texts.mixed(*("".join(texts.leading([part], size // 3)) for part in kinds.values()))
    else:
        kinds = {"documents": text}
    found = [
        Workload(name, texts.leading(texts.documents(kind), size)) for name, kind in kinds.items()
    ]
    messages = list(texts.messages(text))
    Random(0).shuffle(messages)
    found.append(Workload("messages", texts.leading(messages, size)))
    found.append(Workload("one long text", texts.leading([text], size)))
    return found


def _measure(
    encoding: str, ranks: Path, workloads: Sequence[Workload], rounds: int
) -> list[Record]:
    records: list[Record] = []
    loaded: dict[Encoder, Encode] = {}
    for encoder in ENCODERS:
        state, reason = "absent", _absent(encoder, encoding)
        if not reason:
            try:
                loaded[encoder] = encoder.load(encoding, ranks)
                continue
            except BaseException as error:
                state, reason = "failed", _caught(error)
        records += [_record(encoding, load.name, encoder, state, reason) for load in workloads]
    for workload in workloads:
        records += _compare(encoding, workload, loaded, rounds)
    return records


def _compare(
    encoding: str, workload: Workload, loaded: dict[Encoder, Encode], rounds: int
) -> list[Record]:
    """Check everyone's ids, then time those whose ids are right."""
    records: list[Record] = []
    samples = {share: workload.share(share) for share in {encoder.share for encoder in loaded}}
    right = {share: _right_ids(encoding, sample) for share, sample in samples.items()}
    ready: list[Encoder] = []
    for encoder, encode in loaded.items():
        try:
            answers = zip(samples[encoder.share], right[encoder.share], strict=True)
            different = next((text for text, ids in answers if list(encode(text)) != ids), None)
        except BaseException as error:
            records.append(_record(encoding, workload.name, encoder, "failed", _caught(error)))
            continue
        if different is None:
            ready.append(encoder)
        else:
            reason = f"on {different[:40]!r}"
            records.append(_record(encoding, workload.name, encoder, "DIFFERS", reason))
    calls = [partial(_encode_all, loaded[encoder], samples[encoder.share]) for encoder in ready]
    for encoder, timing in zip(ready, take_turns(calls, rounds), strict=True):
        sample = samples[encoder.share]
        record = _record(encoding, workload.name, encoder, "timed")
        record |= {"texts": len(sample), "bytes": _size(sample), "seconds": timing.seconds}
        record |= {"mb_per_s": _size(sample) / timing.best / 1e6, "spread": timing.spread}
        records.append(record)
    return records


def _right_ids(encoding: str, sample: Sequence[str]) -> list[list[int]]:
    """The ids that tiktoken gives each text: what everyone's must be."""
    import tiktoken

    try:
        oracle = tiktoken.get_encoding(encoding)
        return [oracle.encode_ordinary(text) for text in sample]
    except BaseException as error:
        raise click.ClickException(f"tiktoken, the oracle, fails: {_caught(error)}") from None


def _absent(encoder: Encoder, encoding: str) -> str:
    """Why *encoder* does not take part, nothing if it does."""
    if report.version(encoder.distribution) is None:
        return "not installed"
    return "" if encoding in encoder.encodings else "not offered"


def _encode_all(encode: Encode, sample: Sequence[str]) -> None:
    for text in sample:
        encode(text)


def _record(encoding: str, workload: str, encoder: Encoder, state: str, reason: str = "") -> Record:
    return {
        "question": f"encode, {encoding}, {workload}",
        "encoding": encoding,
        "workload": workload,
        "name": encoder.name,
        "returns": encoder.returns,
        "state": state,
        "reason": reason,
    }


def _caught(error: BaseException) -> str:
    """What *error* says; the panic of a Rust extension is no Exception, so all were caught."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise error
    return report.reason(error)


def _show(
    encoding: str, workloads: Sequence[Workload], rounds: int, records: Sequence[Record]
) -> None:
    place = {(record["name"], record["returns"], record["workload"]): record for record in records}
    rows: list[list[str]] = []
    for encoder in ENCODERS:
        cells = [place[encoder.name, encoder.returns, workload.name] for workload in workloads]
        if any(cell["state"] != "absent" for cell in cells):
            own = [place[OWN, encoder.returns, workload.name] for workload in workloads]
            rows.append([encoder.name, encoder.returns, *map(_cell, cells, own)])
    sizes = [f"{load.name} ({len(load.texts):,})" for load in workloads]
    spreads = [record["spread"] for record in records if record["state"] == "timed"]
    note = (
        f"MB for each second of processor time, best of {rounds} rounds, and the ratio to pytok's "
        "row of the same kind; beside each workload its number of texts. The median round took "
        f"longer than the best by {median(spreads):.0%} in the middle of all cells, by "
        f"{max(spreads):.0%} at most."
    )
    report.show(f"Encode, {encoding}, one thread", ["encoder", "returns", *sizes], rows, note)
    for record in records:
        if record["state"] in ("DIFFERS", "failed"):
            click.echo(f"{record['name']}, {record['workload']}: {record['reason']}")


def _cell(record: Record, own: Record) -> str:
    if record["state"] != "timed":
        return str(record["state"])
    if own["state"] != "timed":
        return f"{record['mb_per_s']:.1f}"
    return f"{record['mb_per_s']:.1f} ({record['mb_per_s'] / own['mb_per_s']:.2f}×)"


def _size(sample: Sequence[str]) -> int:
    return sum(len(text.encode()) for text in sample)


@contextmanager
def _one_thread(ranks: Path) -> Iterator[None]:
    """Hold the process to one thread, and point tiktoken and pytok to the rank files in *ranks*.

    Where the system allows it, the process is tied to one core, since a library may start threads
    whatever it is told. All is undone at the end.
    """
    wanted = {
        "RAYON_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TIKTOKEN_CACHE_DIR": str(ranks),
    }
    before = {name: os.environ.get(name) for name in wanted}
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    os.environ.update(wanted)
    try:
        if cores:
            os.sched_setaffinity(0, {max(cores)})
        yield
    finally:
        if cores:
            os.sched_setaffinity(0, cores)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


if __name__ == "__main__":
    command(run)()
