"""Which checkpoints a run has and keeps: the newest `Recipe.keep` of them, and the best one.

Others are removed only after a new one is complete on the disk, so a kill at any moment leaves a
complete checkpoint.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from gpt.runs.sealed_folder import PARTIAL, REPLACED, SUMS, remove

CHECKPOINTS = "checkpoints"
"""Name of the folder of the checkpoints in that of a run."""
STEPS = "step-" + "[0-9]" * 8
"""Pattern of the folders that are ours; anything else beside them belongs to the user."""


def checkpoint_folder(run: Path, step: int) -> Path:
    """Return the folder of the checkpoint of *step* in *run*."""
    return run / CHECKPOINTS / f"step-{step:08d}"


def list_checkpoints(parent: Path) -> list[Path]:
    """Return all checkpoints in the folder *parent*, oldest first.

    One whose replacement a kill has interrupted is still there under its temporary name.
    """
    halfway = (f for f in parent.glob(STEPS + REPLACED) if not f.with_suffix("").exists())
    return sorted(filter(Path.is_dir, (*parent.glob(STEPS), *halfway)))


def find_checkpoint(path: Path) -> Path | None:
    """Return the newest checkpoint of the run *path*, or *path* if it is one; else None."""
    if (path / SUMS).is_file():
        return path
    return max(list_checkpoints(path / CHECKPOINTS), default=None)


def remove_leftovers(run: Path) -> None:
    """Remove what interrupted writes have left among the checkpoints of *run*."""
    parent = run / CHECKPOINTS
    replaced = {*parent.glob(STEPS + REPLACED)} - {*list_checkpoints(parent)}
    for leftover in (*replaced, *parent.glob(f"{STEPS}*{PARTIAL}")):
        shutil.rmtree(leftover)


def remove_old(run: Path, keep: int, best_step: int | None) -> None:
    """Remove the checkpoints of *run* except the newest *keep* and that of *best_step*."""
    best = None if best_step is None else checkpoint_folder(run, best_step).name
    for folder in list_checkpoints(run / CHECKPOINTS)[:-keep]:
        if folder.stem != best:
            remove(folder)
