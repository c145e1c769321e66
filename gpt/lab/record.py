"""The record of an experiment: its trials, kept one by one.

Trials are lines of ``ID.trials.jsonl``, each written when it is over, so a kill loses only those in
progress. When an experiment is complete, ``ID.json`` has them all, with the verdict. Figures that
are not finite are the strings "inf", "-inf" and "nan", since JSON has no such numbers.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpt.errors import DataError
from gpt.lab.digest import digest_of
from gpt.lab.experiment import Experiment, Figures, Setting, SizeName
from gpt.lab.results import key_of
from pytok.atomic import replace_file

Key = tuple[str, str, "float | None", int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial that is over."""

    key: Key
    figures: Figures
    seconds: float
    """How long it took, in seconds of the processor."""


class Record:
    """The trials of an experiment at one size, in *folder*."""

    def __init__(self, folder: Path, experiment: Experiment, size: SizeName) -> None:
        self.path = folder / f"{experiment.id}.json"
        self._lines = folder / f"{experiment.id}.trials.jsonl"
        self._size = size
        self._code = {part.name: digest_of(part, size) for part in experiment.parts}
        self.trials: dict[Key, Trial] = {}
        self.dropped = 0
        """Trials of another version of the experiment, which count no more."""
        self.environment: dict[str, Any] | None = None
        """What the trials were made on; None if some are not yet in the file of the results."""
        if self.path.exists():
            document = _read(self.path, self.path.read_bytes())
            if document.get("size") != size:
                raise DataError(
                    f"{self.path} has results of size {document.get('size')}; choose another --out "
                    f"for those of {size}"
                )
            self.environment = document.get("environment")
            for trial in document.get("trials", []):
                self._add(trial, size, document["code"].get(trial["part"]))
        self._end = 0
        """Bytes of the lines that are complete: a kill can have left half of another."""
        if self._lines.exists():
            content = self._lines.read_bytes()
            self._end = content.rfind(b"\n") + 1
            for line in content[: self._end].splitlines():
                trial = _read(self._lines, line)
                self._add(trial, trial["size"], trial["code"])
                self.environment = None

    def add(self, part: str, setting: Setting, figures: Figures, seconds: float) -> None:
        """Keep the *figures* of a trial; they are on the disk when this returns."""
        trial = Trial(key=key_of(part, setting), figures=figures, seconds=seconds)
        self.trials[trial.key] = trial
        self.environment = None
        self._lines.parent.mkdir(parents=True, exist_ok=True)
        line = {**_plain(trial), "size": self._size, "code": self._code[part]}
        with self._lines.open("r+b" if self._end else "wb") as file:
            file.seek(self._end)
            file.truncate()
            file.write((json.dumps(line, allow_nan=False) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
            self._end = file.tell()

    def finish(self, document: Mapping[str, Any]) -> None:
        """Write ``ID.json``: *document*, and all trials, a line each."""
        head = {**document, "size": self._size, "code": self._code}
        text = json.dumps(head, indent=1, allow_nan=False).removesuffix("\n}")
        trials = [_plain(self.trials[key]) for key in sorted(self.trials, key=str)]
        lines = ",\n".join("  " + json.dumps(trial, allow_nan=False) for trial in trials)
        replace_file(self.path, f'{text},\n "trials": [\n{lines}\n ]\n}}\n'.encode())
        self._lines.unlink(missing_ok=True)
        self._end = 0

    def _add(self, trial: Mapping[str, Any], size: str, code: str | None) -> None:
        """Add *trial*, unless another version made it."""
        part = trial["part"]
        if size != self._size or code != self._code.get(part):
            self.dropped += 1
            return
        key = (part, trial["arm"], trial["rate"], trial["seed"])
        figures = {name: _figure(value) for name, value in trial["figures"].items()}
        self.trials[key] = Trial(key=key, figures=figures, seconds=trial["seconds"])


def finite(value: Any) -> Any:
    """Return *value* as JSON can hold it: numbers that are not finite as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    return [finite(each) for each in value] if isinstance(value, list | tuple) else value


def _read(path: Path, content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}; move it away to start again") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: not an object; move it away to start again")
    return document


def _figure(value: Any) -> float | list[float]:
    return [float(each) for each in value] if isinstance(value, list) else float(value)


def _plain(trial: Trial) -> dict[str, Any]:
    part, arm, rate, seed = trial.key
    return {
        "part": part,
        "arm": arm,
        "rate": rate,
        "seed": seed,
        "figures": finite(trial.figures),
        "seconds": round(trial.seconds, 3),
    }
