"""The history of a run: `metrics.jsonl`, one JSON object a step, and how such files are read."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gpt.errors import ConfigError, DataError
from gpt.spec.serialize import from_dict
from pytok.atomic import replace_file

Record = TypeVar("Record")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one step did."""

    step: int
    """Updates so far, this one included."""
    tokens: int
    """Tokens predicted so far."""
    bytes: int
    """The same as bytes of text, at the mean length of the training split's tokens."""
    seconds: float
    """Training time so far; evaluation and checkpoints are left out."""
    loss: float
    """Mean over the step's rows, before the update, in nats per token."""
    lr: float
    """Learning rate of this update."""
    gradient_norm: float | None = None
    """Length of this update's gradient, before it was clipped."""
    val_bpb: float | None = None
    """Bits per byte on the validation split after the update; None where it was not measured."""
    val_loss: float | None = None
    """The same in nats per token."""

    @property
    def bits_per_byte(self) -> float:
        """The loss in bits per byte of text, at the mean length of the training split's tokens."""
        return self.loss / math.log(2) * self.tokens / self.bytes


class MetricsFile:
    """`metrics.jsonl`, open for more rows."""

    def __init__(self, path: Path, *, keep: int) -> None:
        """Open *path*, dropping rows of steps after *keep* and a last line that was cut off.

        A run that was killed has rows past its last checkpoint; it makes them again.
        """
        self._path = path
        found = read_metrics(path) if path.exists() else []
        self._begin([row for row in found if row.step <= keep])

    def _begin(self, rows: Sequence[Row]) -> None:
        """Have *rows* in the file, all at once."""
        write_records(self._path, rows)
        self._file = self._path.open("ab", buffering=0)
        self.last = rows[-1] if rows else None
        """The last row that was there when the file was opened."""

    def replace_last(self, row: Row) -> None:
        """Put *row* in the place of the last one."""
        self.close()
        self._begin([*read_metrics(self._path)[:-1], row])

    def append(self, row: Row) -> None:
        """Add *row*; a reader sees it at once. Raises OSError that names the file."""
        line = _line(row).encode()
        try:
            written = self._file.write(line)
            if written != len(line):  # the disk is full
                self._file.write(line[written:])
        except OSError as error:
            error.filename = str(self._path)
            raise

    def sync(self) -> None:
        """Return when all rows are on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class NoMetrics:
    """In place of a `MetricsFile` in a process that writes none."""

    last: Row | None = None

    def replace_last(self, row: Row) -> None:
        """Forget *row*."""

    def append(self, row: Row) -> None:
        """Forget *row*."""

    def sync(self) -> None:
        """Return."""

    def close(self) -> None:
        """Return."""


def open_metrics(run: Path, *, keep: int, write: bool) -> MetricsFile | NoMetrics:
    """Open the metrics of *run* up to step *keep*; *write* is False where another process does."""
    return MetricsFile(run / "metrics.jsonl", keep=keep) if write else NoMetrics()


def read_metrics(path: Path) -> list[Row]:
    """Read the rows of *path*; see `read_records`."""
    return read_records(path, Row)


def read_records(path: Path, kind: type[Record]) -> list[Record]:
    """Read the JSON lines of *path*, each a dataclass *kind*.

    A last line without its end, as a kill leaves it, is not one. Raises DataError naming the line
    where a whole one is no *kind*.
    """
    records = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            records.append(from_dict(kind, json.loads(line)))
        except (ValueError, ConfigError) as error:
            raise DataError(
                f"{path}:{number}: not a {kind.__name__.lower()} of a run: {error}; remove the "
                "line to go on"
            ) from error
    return records


def write_records(path: Path, records: Iterable[Any]) -> None:
    """Write dataclasses as JSON lines, all of them or none; the inverse of `read_records`."""
    replace_file(path, "".join(map(_line, records)).encode())


def _line(record: Any) -> str:
    return json.dumps(dataclasses.asdict(record)) + "\n"
