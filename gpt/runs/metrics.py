"""`metrics.jsonl`, the history of a run: one JSON object per step. Also reads other JSON lines."""

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
    """The figures of one optimizer step."""

    step: int
    """Optimizer steps so far, including this one."""
    tokens: int
    """Tokens predicted so far."""
    bytes: int
    """Their length in bytes of text, at the mean of the training split's tokens."""
    seconds: float
    """Training time so far, without evaluations and checkpoints."""
    loss: float
    """Mean over the step's rows, before its update, in nats per token."""
    lr: float
    """Learning rate of the step."""
    fraction: float | None = None
    """Fraction of the run that is over after the step, by its steps or its time; 1 at its end. The
    schedule follows it. None in rows of versions without it."""
    gradient_norm: float | None = None
    """Norm of the step's gradient, before clipping."""
    val_bpb: float | None = None
    """Bits per byte on the validation split after the step. None if not evaluated."""
    val_loss: float | None = None
    """The same in nats per token."""

    @property
    def bits_per_byte(self) -> float:
        """Training loss in bits per byte, at the mean bytes per token of the training split."""
        return self.loss / math.log(2) * self.tokens / self.bytes


class MetricsFile:
    """`metrics.jsonl`, open for appending."""

    last: Row | None
    """The last row that the file had when it was opened."""

    def __init__(self, path: Path, *, keep: int) -> None:
        """Open *path* and drop an incomplete last line and the rows of steps after *keep*.

        A killed run has rows past its last checkpoint; it makes those steps again.
        """
        self._path = path
        rows = read_metrics(path) if path.exists() else []
        self._open([row for row in rows if row.step <= keep])

    def _open(self, rows: Sequence[Row]) -> None:
        """Replace the file by one of *rows*, in a single step, and open it."""
        write_records(self._path, rows)
        self._file = self._path.open("ab", buffering=0)
        self.last = rows[-1] if rows else None

    def replace_last(self, row: Row) -> None:
        """Replace the last row by *row*."""
        self.close()
        self._open([*read_metrics(self._path)[:-1], row])

    def append(self, row: Row) -> None:
        """Add *row*, which readers see at once. Raises OSError with the file's name."""
        line = _line(row).encode()
        try:
            written = self._file.write(line)
            if written != len(line):  # the disk is full: the second write raises
                self._file.write(line[written:])
        except OSError as error:
            error.filename = str(self._path)
            raise

    def sync(self) -> None:
        """Block until all rows are on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class NoMetrics:
    """A `MetricsFile` that ignores all rows, for processes that write no files."""

    last: Row | None = None

    def replace_last(self, row: Row) -> None:
        """Do nothing."""

    def append(self, row: Row) -> None:
        """Do nothing."""

    def sync(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def open_metrics(run: Path, *, keep: int, write: bool) -> MetricsFile | NoMetrics:
    """Open the metrics of *run* up to step *keep*; *write* is False except in the main process."""
    return MetricsFile(run / "metrics.jsonl", keep=keep) if write else NoMetrics()


def read_metrics(path: Path) -> list[Row]:
    """Read the rows of *path*; see `read_records`."""
    return read_records(path, Row)


def read_records(path: Path, kind: type[Record]) -> list[Record]:
    """Read the JSON lines of *path* as instances of the dataclass *kind*.

    A last line without a line feed, as a kill leaves it, is ignored. Raises DataError with the
    number of a complete line that does not fit.
    """
    records = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            records.append(from_dict(kind, json.loads(line)))
        except (ValueError, ConfigError) as error:
            raise DataError(
                f"{path}:{number}: not a {kind.__name__.lower()} of a run: {error}; remove the line"
            ) from error
    return records


def write_records(path: Path, records: Iterable[Any]) -> None:
    """Write dataclasses as JSON lines, all of them or none; inverse of `read_records`."""
    replace_file(path, "".join(map(_line, records)).encode())


def _line(record: Any) -> str:
    return json.dumps(dataclasses.asdict(record)) + "\n"
