"""The record of an experiment: its trials, kept one by one, and what they were made on.

Trials are lines of ``ID.trials.jsonl``, each written when it is over, so a kill loses only those in
progress. When an experiment is complete, ``ID.json`` has them all, with the verdict.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import inspect
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpt.errors import DataError
from gpt.lab.experiment import Experiment, Figures, Setting, SizeName
from gpt.lab.results import key_of
from pytok.atomic import replace_file
from pytok.distribution import version

Key = tuple[str, str, "float | None", int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial that is over."""

    key: Key
    figures: Figures
    seconds: float
    """How long it took."""


class Record:
    """The trials of an experiment at one size, in *folder*."""

    def __init__(self, folder: Path, experiment: Experiment, size: SizeName) -> None:
        self.path = folder / f"{experiment.id}.json"
        self._lines = folder / f"{experiment.id}.trials.jsonl"
        self._made_by = {"size": size, "code": code_of(experiment, size)}
        self.trials: dict[Key, Trial] = {}
        self.dropped = 0
        """Trials of another version of the experiment, which count no more."""
        if self.path.exists():
            document = self._read(self.path, self.path.read_bytes())
            if document.get("size") != size:
                raise DataError(
                    f"{self.path} has results of size {document.get('size')}; choose another --out "
                    f"for those of {size}"
                )
            self._add(document, document.get("trials", []))
        self._end = 0
        """Bytes of the lines that are complete: a kill can have left half of another."""
        if self._lines.exists():
            content = self._lines.read_bytes()
            self._end = content.rfind(b"\n") + 1
            for line in content[: self._end].splitlines():
                trial = self._read(self._lines, line)
                self._add(trial, [trial])

    def add(self, part: str, setting: Setting, figures: Figures, seconds: float) -> None:
        """Keep the *figures* of a trial; they are on the disk when this returns."""
        trial = Trial(key=key_of(part, setting), figures=figures, seconds=seconds)
        self.trials[trial.key] = trial
        self._lines.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**_plain(trial), **self._made_by}) + "\n"
        with self._lines.open("r+b" if self._end else "wb") as file:
            file.seek(self._end)
            file.truncate()
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
            self._end = file.tell()

    def finish(self, document: Mapping[str, Any]) -> None:
        """Write ``ID.json``: *document*, and all trials."""
        trials = [_plain(self.trials[key]) for key in sorted(self.trials, key=str)]
        whole = {**document, **self._made_by, "trials": trials}
        replace_file(self.path, (json.dumps(whole, indent=1, allow_nan=True) + "\n").encode())
        self._lines.unlink(missing_ok=True)
        self._end = 0

    def _read(self, path: Path, content: bytes) -> dict[str, Any]:
        try:
            document = json.loads(content)
        except ValueError as error:
            raise DataError(f"{path}: not JSON: {error}; move it away to start again") from error
        if not isinstance(document, dict):
            raise DataError(f"{path}: not an object; move it away to start again")
        return document

    def _add(self, made_by: Mapping[str, Any], trials: list[Any]) -> None:
        """Add *trials*, unless they were made by another version."""
        if any(made_by.get(name) != value for name, value in self._made_by.items()):
            self.dropped += len(trials)
            return
        for trial in trials:
            key = (trial["part"], trial["arm"], trial["rate"], trial["seed"])
            self.trials[key] = Trial(key=key, figures=trial["figures"], seconds=trial["seconds"])


def code_of(experiment: Experiment, size: SizeName) -> str:
    """Return a digest of what the trials of *experiment* depend on in its own files.

    A change of what an experiment measures makes its earlier trials worthless; one of its texts,
    checks or panels does not. What the rest of the project does is not in the digest; its revision
    is in the results.
    """
    digest = hashlib.sha256()
    for part in experiment.parts:
        grid = (part.name, list(part.arms), sorted(part.sizes[size].items()), list(part.rates))
        digest.update(repr(grid).encode())
    files = {file for part in experiment.parts for file in _files(part.measure)}
    for file in sorted(files):
        digest.update(_code(Path(file).read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:16]


def _files(measure: Any) -> set[str]:
    """Return the files of the functions that make a trial: one, or those that an object holds."""
    if inspect.isfunction(measure):
        return {str(inspect.getsourcefile(measure))}
    return {file for each in vars(measure).values() if callable(each) for file in _files(each)}


def _code(source: str) -> str:
    """Return *source* without comments, docstrings and the assignment of EXPERIMENT."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
            node.body = [each for each in node.body if not _is_text(each)]
    return ast.dump(tree)


def _is_text(statement: ast.stmt) -> bool:
    """Return whether *statement* is a docstring, or the assignment of EXPERIMENT."""
    match statement:
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(targets=[ast.Name(id="EXPERIMENT")]):
            return True
    return False


def environment() -> dict[str, str]:
    """Return what results depend on besides the code of an experiment."""
    import torch

    return {
        "processor": _processor(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pytok": version(),
        "revision": _revision(),
        "threads": "1 for each trial",
    }


def _processor() -> str:
    """Return the name of the processor and its instruction set for products."""
    fields: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    except OSError:
        return platform.processor() or platform.machine()
    family = f"family {fields.get('cpu family', '?')} model {fields.get('model', '?')}"
    flags = set(fields.get("flags", "").split()) & {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}
    return f"{fields.get('model name', platform.machine())}, {family}, {' '.join(sorted(flags))}"


def _revision() -> str:
    """Return the revision of the checkout that this is run from; "" if it is none."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()


def _plain(trial: Trial) -> dict[str, Any]:
    part, arm, rate, seed = trial.key
    return {
        "part": part,
        "arm": arm,
        "rate": rate,
        "seed": seed,
        "figures": dict(trial.figures),
        "seconds": round(trial.seconds, 3),
    }
