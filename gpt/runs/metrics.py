"""`metrics.jsonl`, the history of a run: one JSON object per step. Also reads other JSON lines."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

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
    figures: dict[str, float] | None = None
    """Further figures of the objective and of the rows, means over the step, by name."""
    val: dict[str, float] | None = None
    """Figures on the validation split after the step, by name (`gpt.evaluation.score`). None if it
    was not evaluated."""

    @property
    def bits_per_byte(self) -> float:
        """Training loss in bits per byte, at the mean bytes per token of the training split."""
        return self.loss / math.log(2) * self.tokens / self.bytes


class Metrics(Protocol):
    """The history of a run in progress."""

    @property
    def last(self) -> Row | None:
        """The last row that there was when the history was opened."""

    @property
    def recent(self) -> Sequence[Row]:
        """The last `RECENT` rows that there were then."""

    @property
    def lost(self) -> Sequence[Row]:
        """The rows of steps that a kill has lost, until they are made again."""

    def forget_lost(self) -> None:
        """Forget these rows: their steps will not be made as before."""

    def replace_last(self, row: Row) -> None:
        """Replace the last row by *row*."""

    def append(self, row: Row) -> None:
        """Add *row*."""

    def sync(self) -> None:
        """Block until all rows are safe."""

    def close(self) -> None:
        """Release the history."""


LOST = "lost.jsonl"
"""Beside the metrics while a run repeats steps: the rows that these steps had before."""
RECENT = 6
"""Rows that are kept of those made before; their times say how long a step takes."""


class MetricsFile:
    """`metrics.jsonl`, open for appending."""

    recent: Sequence[Row]
    """The last `RECENT` rows that the file had when it was opened."""
    lost: Sequence[Row]
    """The rows of the steps after them, which a kill has lost."""

    def __init__(self, path: Path, *, keep: int) -> None:
        """Open *path* and drop an incomplete last line and the rows of steps after *keep*.

        A killed run has rows past its last checkpoint; it makes those steps again. Their rows are
        in another file until then, since they record what the clock has decided: a run that is
        killed twice still has those of the first time.
        """
        self._path, self._lost_path = path, path.with_name(LOST)
        before = read_metrics(self._lost_path) if self._lost_path.exists() else []
        rows = read_metrics(path) if path.exists() else []
        lost = {row.step: row for row in (*before, *rows) if row.step > keep}
        self.lost = [lost[step] for step in sorted(lost)]
        if self.lost:
            write_records(self._lost_path, self.lost)
        else:
            self.forget_lost()
        self._open([row for row in rows if row.step <= keep])

    @property
    def last(self) -> Row | None:
        """The last row that the file had when it was opened."""
        return self.recent[-1] if self.recent else None

    def forget_lost(self) -> None:
        """Forget the rows of lost steps, which will not be repeated, or have been."""
        self.lost = []
        self._lost_path.unlink(missing_ok=True)

    def _open(self, rows: Sequence[Row]) -> None:
        """Replace the file by one of *rows*, in a single step, and open it."""
        write_records(self._path, rows)
        self._file = self._path.open("ab", buffering=0)
        self.recent = rows[-RECENT:]

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
        if self.lost and row.step >= self.lost[-1].step:
            self.forget_lost()

    def sync(self) -> None:
        """Block until all rows are on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class NoMetrics:
    """A `MetricsFile` that ignores all rows, for processes that write no files."""

    last: Row | None = None
    recent: Sequence[Row] = ()
    lost: Sequence[Row] = ()

    def forget_lost(self) -> None:
        """Do nothing."""

    def replace_last(self, row: Row) -> None:
        """Do nothing."""

    def append(self, row: Row) -> None:
        """Do nothing."""

    def sync(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def open_metrics(run: Path, *, keep: int, write: bool) -> Metrics:
    """Open the metrics of *run* up to step *keep*; *write* is False except in the main process."""
    return MetricsFile(run / "metrics.jsonl", keep=keep) if write else NoMetrics()


def read_metrics(path: Path) -> list[Row]:
    """Read the rows of *path*, also as earlier versions wrote them; see `read_records`."""
    return read_records(path, Row, upgrade)


RENAMED_FIGURES = {"val_bpb": "bits_per_byte", "val_loss": "loss"}
"""Fields of earlier rows that are among the figures of `Row.val`."""


def upgrade(plain: Any) -> Any:
    """Return the fields of a row that this or an earlier version wrote as this version's."""
    if not isinstance(plain, Mapping) or RENAMED_FIGURES.keys().isdisjoint(plain):
        return plain
    fields = {name: value for name, value in plain.items() if name not in RENAMED_FIGURES}
    figures = {
        new: plain[old] for old, new in RENAMED_FIGURES.items() if plain.get(old) is not None
    }
    return {**fields, "val": figures or None}


def read_records(
    path: Path, kind: type[Record], upgrade: Callable[[Any], Any] = lambda plain: plain
) -> list[Record]:
    """Read the JSON lines of *path*, through *upgrade*, as instances of the dataclass *kind*.

    A last line without a line feed, as a kill leaves it, is ignored. Raises DataError with the
    number of a complete line that does not fit.
    """
    records = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            records.append(from_dict(kind, upgrade(json.loads(line))))
        except (ValueError, TypeError, AttributeError, RecursionError, ConfigError) as error:
            raise DataError(
                f"{path}:{number}: not a {kind.__name__.lower()} of a run: {error}; remove the line"
            ) from error
    return records


def write_records(path: Path, records: Iterable[Any]) -> None:
    """Write dataclasses as JSON lines, all of them or none; inverse of `read_records`."""
    replace_file(path, "".join(map(_line, records)).encode())


def _line(record: Any) -> str:
    return json.dumps(dataclasses.asdict(record)) + "\n"
