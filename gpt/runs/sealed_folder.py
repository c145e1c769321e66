"""Sealed folders: written completely or not at all, with checksums that reveal later damage.

Files are written to ``NAME.partial``, together with their SHA-256 checksums (``sha256sum -c
SHA256SUMS`` verifies them), and synced to the disk before the folder is renamed to ``NAME``. Before
a folder is removed it is renamed again. So a folder called ``NAME`` is complete, even after a kill
or a power failure at any moment. When one folder replaces another, there is a moment between two
renames in which neither has the name; the old one is then ``NAME.replaced``.
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
"""Suffix of a folder that is being written or removed; a leftover is worthless."""
REPLACED = ".replaced"
"""Suffix of a folder while another one replaces it."""
BLOCK = 1 << 20
"""Bytes to hash at a time, since files can be larger than memory."""


@contextmanager
def sealed_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to write files into; at the end, seal it and rename it to *folder*.

    An existing *folder* is replaced. On an error the new files are removed, and *folder* is
    unchanged.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial, replaced = _free_partial(folder), folder.with_name(folder.name + REPLACED)
    partial.mkdir()
    try:
        yield partial
        sums = "".join(f"{digest(path)}  {path.name}\n" for path in sorted(partial.iterdir()))
        (partial / SUMS).write_text(sums, encoding="utf-8")
        # Everything is on the disk before the rename: a complete name means complete files.
        mode = (partial / SUMS).stat().st_mode
        for path in partial.iterdir():
            path.chmod(mode)  # safetensors makes its files readable by their owner only
            with path.open("r+b") as file:
                os.fsync(file.fileno())
        _sync_directory(partial)
        if folder.exists():
            folder.rename(replaced)
        partial.rename(folder)
    except Exception:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _sync_directory(folder.parent)
    if replaced.exists():
        shutil.rmtree(replaced)


def remove(folder: Path) -> None:
    """Remove *folder*, so that it never has its name while it is incomplete."""
    shutil.rmtree(folder.rename(_free_partial(folder)))


def sealed_names(folder: Path) -> set[str]:
    """Return the names of the files that *folder* was sealed with; none without its checksums."""
    try:
        return set(_read_sums(folder))
    except OSError:
        return set()


def damage(folder: Path, name: str) -> str | None:
    """Describe what is wrong with the file *name* of *folder*; return None if it is intact."""
    try:
        expected = _read_sums(folder).get(name)
    except OSError as error:
        return f"cannot be verified: {SUMS}: {error.strerror}"
    try:
        intact = expected == digest(folder / name)
    except OSError as error:
        return error.strerror
    return None if intact else f"damaged: its SHA-256 is not the one in {SUMS}"


def digest(path: Path) -> str:
    """Return the SHA-256 of the file *path*, in hexadecimal."""
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            sha256.update(block)
    return sha256.hexdigest()


def _free_partial(folder: Path) -> Path:
    """Return the partial name of *folder*, after removing a leftover of an interrupted write."""
    partial = folder.with_name(folder.name + PARTIAL)
    if partial.exists():
        shutil.rmtree(partial)
    return partial


def _read_sums(folder: Path) -> dict[str, str]:
    """Return the checksum of each file, by name."""
    lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _sync_directory(folder: Path) -> None:
    """Write the names in *folder* to the disk, if the system supports it (Windows does not)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
