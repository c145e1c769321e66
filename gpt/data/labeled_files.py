"""A file of labeled texts becomes a folder: its classes, and a file for each split.

The folder is ``data`` of the run, or one that the user has made. It is written once, completely or
not at all, and reused when the run is resumed.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt.data.json_files import parse_json
from gpt.data.labeled_texts import (
    USUAL,
    Columns,
    LabeledText,
    balanced,
    check_labels,
    classes_of,
    read_labeled,
    stratified,
)
from gpt.errors import DataError
from pytok.atomic import atomic_folder
from pytok.counted import counted

CLASSES = "classes.json"
"""The classes of a folder, and what it was made from; the file that says that it holds labels."""
TRAIN, VAL, TEST = "train", "val", "test"
SPLITS = (TRAIN, VAL, TEST)
VAL_FRACTION, TEST_FRACTION = 0.1, 0.2
"""Fractions of the texts that are held out, as in Raschka 2024, chapter 6."""


@dataclass(frozen=True, kw_only=True)
class Division:
    """How the texts of a file are divided."""

    columns: Columns = USUAL
    val: float | None = None
    """Fraction of the texts to evaluate on during training. [default: `VAL_FRACTION`]"""
    test: float | None = None
    """Fraction of the texts to test the finished model on. [default: `TEST_FRACTION`]"""
    val_data: Path | None = None
    """File of the former, instead of a fraction."""
    test_data: Path | None = None
    """File of the latter, instead of a fraction."""
    balance: bool = False
    """Whether all classes get as many texts as the smallest has."""
    seed: int = 0
    """Seed of the choice."""

    def check(self) -> None:
        """Raise DataError for options that exclude each other."""
        for name, fraction, file in (
            ("val", self.val, self.val_data),
            ("test", self.test, self.test_data),
        ):
            if fraction is not None and file is not None:
                raise DataError(f"--{name} and --{name}-data both choose the split; remove one")
        if (self.val or 0) + (self.test or 0) >= 1:
            raise DataError("--val and --test leave nothing to train on; lower them")

    @property
    def fractions(self) -> tuple[float, float]:
        """The fractions to hold out."""
        val = VAL_FRACTION if self.val is None else self.val
        test = TEST_FRACTION if self.test is None else self.test
        return (0.0 if self.val_data else val, 0.0 if self.test_data else test)


AS_THE_BOOK = Division()
"""70% to train on, 10% to evaluate on during training, 20% to test on."""


def is_labeled_folder(path: Path) -> bool:
    """Return whether *path* is a folder of labeled texts."""
    return (path / CLASSES).is_file() and split_file(path, TRAIN).is_file()


def split_file(folder: Path, split: str) -> Path:
    """Return the file of *split* in *folder*."""
    return folder / f"{split}.jsonl"


def read_classes(folder: Path) -> tuple[str, ...]:
    """Return the classes of *folder*; raises DataError if it holds no labeled texts."""
    try:
        classes = parse_json((folder / CLASSES).read_bytes())["classes"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: not a folder of labeled texts: {error}") from None
    if not isinstance(classes, list) or not all(isinstance(each, str) for each in classes):
        raise DataError(f"{folder / CLASSES}: classes must be a list of labels")
    return tuple(classes)


def prepare_labeled(
    data: Path,
    out: Path,
    division: Division = AS_THE_BOOK,
    *,
    notice: Callable[[str], object] = lambda text: None,
) -> Path:
    """Return the folder for the labeled texts *data*: itself, or that of the run *out*.

    *notice* is called with a line for each fact of a folder that is made. An existing folder is
    reused if it was made from the same texts in the same way. Raises DataError if it was not, and
    for texts that cannot be read.
    """
    division.check()
    if is_labeled_folder(data):
        if division != Division(seed=division.seed):
            raise DataError(
                f"{data}: has its own splits; remove --val, --test, --val-data, --test-data, "
                "--balance and the names of columns"
            )
        return data
    if data.is_dir():
        raise DataError(
            f"{data}: no labeled texts; pass a file, or a folder that `gpt classify train` has made"
        )
    parts = _divided(data, division)
    origin, target = _origin(parts), out / "data"
    if (target / CLASSES).is_file():
        if parse_json((target / CLASSES).read_bytes()).get("origin") != origin:
            raise DataError(
                f"{target} was made from other data than {data} as it is now, or divided in "
                f"another way; choose another --out, or pass --data {target} to use it as it is"
            )
        return target
    classes = classes_of(parts[TRAIN], data)
    with atomic_folder(target) as folder:
        for name, texts in parts.items():
            if texts:
                split_file(folder, name).write_bytes(b"".join(map(LabeledText.to_json, texts)))
        document: dict[str, Any] = {"classes": classes, "origin": origin}
        (folder / CLASSES).write_text(json.dumps(document) + "\n", encoding="utf-8")
    for line in _described(data, parts, classes):
        notice(line)
    return target


def _divided(data: Path, division: Division) -> dict[str, list[LabeledText]]:
    """Read *data*, and the files of *division*; return the texts of each split."""
    texts = read_labeled(data, division.columns)
    classes = classes_of(texts, data)
    if division.balance:
        texts = balanced(texts, division.seed)
    parts = dict(zip(SPLITS, stratified(texts, division.fractions, division.seed), strict=True))
    for name, file in ((VAL, division.val_data), (TEST, division.test_data)):
        if file is not None:
            parts[name] = read_labeled(file, division.columns)
            check_labels(parts[name], classes, file, f"fix it, or add such texts to {data}")
    return parts


def _described(
    data: Path, parts: dict[str, list[LabeledText]], classes: Sequence[str]
) -> list[str]:
    """Return the lines about a new folder: its splits by class, and texts that are in two."""
    lines = [f"{data}: {counted(sum(map(len, parts.values())), 'text')}"]
    for name, texts in parts.items():
        counts = Counter(each.label for each in texts)
        of_classes = ", ".join(f"{counts[label]:,} {label}" for label in classes)
        lines.append(f"  {name}: {of_classes}" if texts else f"  {name}: none")
    known = {each.text for each in parts[TRAIN]}
    repeated = sum(each.text in known for name in (VAL, TEST) for each in parts[name])
    if repeated:
        lines.append(
            f"  {counted(repeated, 'held-out text')} also in train, so held-out figures are a "
            "little too good"
        )
    return lines


def _origin(parts: dict[str, list[LabeledText]]) -> str:
    """Return a digest of the texts of all splits."""
    digest = hashlib.sha256()
    for name, texts in parts.items():
        digest.update(f"{name} {len(texts)}\n".encode())
        for each in texts:
            digest.update(each.to_json())
    return digest.hexdigest()
