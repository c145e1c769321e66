"""Folders of files that appear whole or not at all, and show when they were damaged since.

A sealed folder has a file of SHA-256 sums, which `sha256sum -c SHA256SUMS` reads, too. It is
written beside its place and renamed when all of it is on the disk; it is renamed again before it is
removed. So whatever has its name is whole, after a kill or a loss of power at any moment; only
between the two renames by which one replaces another has neither its name. Files are summed a block
at a time, and never in memory as a whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUMS = "SHA256SUMS"
PARTIAL = ".partial"
"""Ends the name of a folder that is being written or removed; nobody needs one that is left."""
REPLACED = ".replaced"
"""Ends the name of a folder for the moment in which another takes its place."""
BLOCK = 1 << 20


@contextmanager
def sealed_folder(folder: Path) -> Iterator[Path]:
    """Lend an empty folder to write files into; at the end it is sealed and becomes *folder*.

    An error that leaves removes it, and nothing is as if it had been begun. Where *folder* is there
    already it is replaced.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside, before = _aside(folder), folder.with_name(folder.name + REPLACED)
    aside.mkdir()
    try:
        yield aside
        sums = "".join(f"{digest(path)}  {path.name}\n" for path in sorted(aside.iterdir()))
        (aside / SUMS).write_text(sums, encoding="utf-8")
        mode = (aside / SUMS).stat().st_mode
        for path in aside.iterdir():
            path.chmod(mode)  # safetensors makes its files for their owner alone
            with path.open("r+b") as file:
                os.fsync(file.fileno())
        _sync_names(aside)
        if folder.exists():
            folder.rename(before)
        aside.rename(folder)
    except Exception:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    _sync_names(folder.parent)
    if before.exists():
        shutil.rmtree(before)


def remove(folder: Path) -> None:
    """Remove *folder*, which has its name to the last moment that it is whole."""
    shutil.rmtree(folder.rename(_aside(folder)))


def sealed_names(folder: Path) -> set[str]:
    """Return the names of the files that *folder* was sealed with; none if its sums are gone."""
    try:
        return set(_sums(folder))
    except OSError:
        return set()


def damage(folder: Path, name: str) -> str | None:
    """Say what is wrong with the file *name* of *folder*; None where it is what it was."""
    try:
        expected = _sums(folder).get(name)
    except OSError as error:
        return f"{SUMS} beside it: {error.strerror}"
    try:
        whole = expected == digest(folder / name)
    except OSError as error:
        return error.strerror
    return None if whole else f"damaged: its SHA-256 is not the one in {SUMS}"


def _aside(folder: Path) -> Path:
    """Return the name beside *folder*, which is free: what a kill has left of it is removed."""
    aside = folder.with_name(folder.name + PARTIAL)
    if aside.exists():
        shutil.rmtree(aside)
    return aside


def _sums(folder: Path) -> dict[str, str]:
    """The digest of each file, by its name."""
    lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def digest(path: Path) -> str:
    """The SHA-256 of the file *path*."""
    sums = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            sums.update(block)
    return sums.hexdigest()


def _sync_names(folder: Path) -> None:
    """Have the names in *folder* on the disk, where the system can (Windows cannot)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
