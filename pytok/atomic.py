"""Atomic writes: a file or folder is complete at every moment, the old one or the new one.

New contents are written under a hidden name beside the target, and renamed. They are removed on any
error, including signals of `pytok.termination`. What a process has left that was killed, the next
write of the same target removes: the hidden name has the process in it.
"""

import functools
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def replace_file(path: Path, data: bytes) -> None:
    """Write *data* to *path* atomically."""
    replace_files({path: data})


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Write several files that belong together: all are on disk before the first is replaced.

    Links are followed, and an existing file keeps its mode. Raises OSError with the file's name.
    """
    targets = {path: path.resolve() for path in contents}
    temporaries = {path: _hidden_beside(target) for path, target in targets.items()}
    try:
        for path, data in contents.items():
            with _naming(path), _create(temporaries[path], targets[path]) as file:
                file.write(data)
        for path, temporary in temporaries.items():
            with _naming(path):
                temporary.replace(targets[path])
    finally:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file for writing, which replaces *path* at the end unless an error occurs.

    Use it for contents that are too large for memory. A link is followed, and an existing file
    keeps its mode. Raises OSError with the name of *path*.
    """
    target = path.resolve()
    temporary = _hidden_beside(target)
    try:
        with _naming(path):
            with _create(temporary, target) as file:
                yield file
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Return a context with a new folder, which replaces *target* unless an error occurs.

    Missing parents of *target* are made at the end. Raises OSError.
    """
    # In the nearest existing parent: a rename must not cross file systems.
    parent = next(parent for parent in (*target.parents, target) if parent.exists())
    new = _hidden_beside(parent / target.name, ".new")
    old = new.with_suffix(".old")
    _restore(target)
    try:
        new.mkdir()
        yield new
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(old)
        new.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(new, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _create(temporary: Path, target: Path) -> Iterator[BinaryIO]:
    """Create *temporary* with the mode of *target*, if that exists, and sync it to the disk."""
    mode = target.stat().st_mode & 0o7777 if target.exists() else None

    def opener(name: str, flags: int) -> int:  # never more open to others than the target
        return os.open(name, flags, 0o666 if mode is None else mode)

    with open(temporary, "xb", opener=opener) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    if mode is not None:
        temporary.chmod(mode)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name *path* in an OSError, not the temporary file."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


# The names of temporary files: .NAME.MACHINE-PROCESS-RANDOM, and .new or .old for folders.


def _hidden_beside(target: Path, suffix: str = "") -> Path:
    """Return an unused name in the target's folder; remove what killed processes left there."""
    for path in _left_behind(target, suffix):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    owner = f"{_machine()}-{os.getpid()}"
    return target.with_name(f".{target.name}.{owner}-{secrets.token_hex(4)}{suffix}")


def _restore(target: Path) -> None:
    """Give the folder *target* its name back, if a process was killed when it replaced it."""
    for path in _left_behind(target, ".old"):
        if target.exists():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.rename(target)


def _left_behind(target: Path, suffix: str) -> Iterator[Path]:
    """Yield what processes of this machine that have ended left behind for *target*."""
    name = re.compile(rf"\.{re.escape(target.name)}\.{_machine()}-(\d+)-[0-9a-f]{{8}}{suffix}")
    found: list[Path] = []
    with suppress(OSError):  # the folder does not exist, or cannot be listed
        found.extend(target.parent.iterdir())
    for path in found:
        match = name.fullmatch(path.name)
        if match and not _is_running(int(match[1])):
            yield path


def _is_running(process: int) -> bool:
    if os.name != "posix":  # elsewhere os.kill ends the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


@functools.cache
def _machine() -> str:
    """Return a short name of the machine, and of the container, in which process ids are unique."""
    name = os.uname().nodename if hasattr(os, "uname") else ""
    with suppress(OSError):
        name += str(Path("/proc/self/ns/pid").stat().st_ino)
    return f"{zlib.crc32(name.encode(errors='surrogateescape')):08x}"
