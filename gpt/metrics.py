"""The history of a run: `metrics.jsonl`, one JSON object a step."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpt.errors import ConfigError, DataError
from gpt.plain import from_plain
from pytok.atomic import replace_file


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
    val_bpb: float | None = None
    """Bits per byte on the validation split after the update; None where it was not measured."""


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
        replace_file(self._path, "".join(map(_line, rows)).encode())
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
    """Read the rows of *path*; a last line without its end, as a kill leaves it, is not one.

    Raises DataError naming the line where a whole one is not a row.
    """
    rows = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            rows.append(from_plain(Row, json.loads(line)))
        except (ValueError, ConfigError) as error:
            raise DataError(
                f"{path}:{number}: not a row of metrics: {error}; remove the line to go on"
            ) from error
    return rows


def _line(row: Row) -> str:
    return json.dumps(dataclasses.asdict(row)) + "\n"
