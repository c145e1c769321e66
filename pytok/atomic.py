"""Atomic writes: a file or folder is complete at every moment, the old one or the new one.

New contents are written under a hidden name beside the target, and renamed. They are removed on any
error, including signals of `pytok.termination`. What a process has left that was killed, the next
write of the same target removes: the hidden name has the process in it.

A target keeps its mode; a new one that is *private* can be read by its owner only. A symbolic link
is followed if nobody else can have made it, and replaced otherwise. A pipe or a device, such as
``/dev/stdout``, is written to.
"""

import functools
import os
import re
import secrets
import shutil
import stat
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

ROOT = 0
"""The user who can write everywhere anyway."""

_MAX_LINKS = 40
"""Links to follow one after another, as many as Linux does."""


def replace_file(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write *data* to *path* atomically. Raises OSError with the file's name."""
    replace_files({path: data}, private=private)


def replace_files(contents: Mapping[Path, bytes], *, private: bool = False) -> None:
    """Write several files that belong together: all are on disk before the first is replaced.

    Raises OSError with the file's name.
    """
    with ExitStack() as files:
        for path, data in reversed(list(contents.items())):  # the last is closed first
            with _naming(path):
                file = files.enter_context(_replacing(path, private=private))
                file.write(data)
                _sync(file)


@contextmanager
def atomic_file(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """Open a temporary file for writing, which replaces *path* at the end unless an error occurs.

    Use it for contents that are too large for memory. Raises OSError with the name of *path*.
    """
    with _replacing(path, private=private) as file:
        yield file
        _sync(file)


@contextmanager
def atomic_folder(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Return a context with a new folder, which replaces *path* unless an error occurs.

    Missing parents are made at the end. Raises OSError.
    """
    target = followed(path)
    # In the nearest existing parent: a rename must not cross file systems.
    parent = next(parent for parent in (*target.parents, target) if parent.exists())
    new = _hidden_beside(parent / target.name, ".new")
    old = new.with_suffix(".old")
    _restore(target)
    mode = _mode_of(target)
    try:
        new.mkdir(0o700 if private else 0o777 if mode is None else mode)
        yield new
        if mode is not None:
            new.chmod(mode)
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target):
            target.rename(old)
        new.rename(target)
    except BaseException:
        if os.path.lexists(old) and not os.path.lexists(target):
            old.rename(target)
        _remove(new)
        raise
    _remove(old)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Return a context with a folder for temporary files, which only their owner can read.

    It is in ``TMPDIR``, and removed at the end; what a killed process left there, the next removes.
    """
    import tempfile

    folder = _hidden_beside(Path(tempfile.gettempdir(), "pytok"))
    folder.mkdir(0o700)
    try:
        yield folder
    finally:
        _remove(folder)


def followed(path: Path) -> Path:
    """Return the absolute path of the file that is replaced when *path* is written.

    A symbolic link is followed only where nobody else can have planted it to have another file
    overwritten: it belongs to this user or to root, in a folder that not everybody can write to.
    """
    for _ in range(_MAX_LINKS):
        if not path.is_symlink():
            return Path(os.path.realpath(path))
        if _could_be_planted(path):
            break
        path = path.parent / path.readlink()
    return Path(os.path.realpath(path.parent), path.name)


def _could_be_planted(link: Path) -> bool:
    if not hasattr(os, "getuid"):  # Windows, where making links is a privilege
        return False
    return link.lstat().st_uid not in (ROOT, os.getuid()) or bool(
        link.parent.stat().st_mode & stat.S_IWOTH
    )


def _is_stream(path: Path) -> bool:
    """Return whether *path* is a pipe, a device or a socket, which a file must not replace."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISSOCK(mode)


def _mode_of(target: Path) -> int | None:
    return target.stat().st_mode & 0o7777 if target.exists() else None


@contextmanager
def _replacing(path: Path, *, private: bool) -> Iterator[BinaryIO]:
    """Return a context with a file that replaces *path*. Whoever writes to it syncs it."""
    if _is_stream(path):
        with path.open("wb") as stream:
            yield stream
        return
    target = followed(path)
    temporary = _hidden_beside(target)
    try:
        with _naming(path, temporary):
            with _create(temporary, _mode_of(target), private) as file:
                yield file
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _create(path: Path, mode: int | None, private: bool) -> Iterator[BinaryIO]:
    """Create the file *path* with the mode of the one that it replaces, ``None`` if there is none.

    At no moment it is more open to others than that.
    """
    first = mode if mode is not None else 0o600 if private else 0o666

    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, first)) as file:
        yield file
    if mode is not None:
        path.chmod(mode)


def _sync(file: BinaryIO) -> None:
    file.flush()
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # others cannot be synced
        os.fsync(file.fileno())


@contextmanager
def _naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Name *path* in an OSError without a name, or with that of the temporary file."""
    try:
        yield
    except OSError as error:
        if error.filename is None or error.filename == str(temporary):
            error.filename = str(path)
        raise


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


# The names of temporary files: .NAME.MACHINE-PROCESS-RANDOM, and .new or .old for folders.

_LONGEST_NAME = 200
"""Bytes of a name in that of its temporary file; with the rest it has 255 at most."""


def _hidden_beside(target: Path, suffix: str = "") -> Path:
    """Return an unused name in the target's folder; remove what killed processes left there."""
    for path in _left_behind(target, suffix):
        with suppress(OSError):  # somebody else's
            _remove(path)
    owner = f"{_machine()}-{os.getpid()}"
    return target.with_name(f".{_short(target.name)}.{owner}-{secrets.token_hex(4)}{suffix}")


def _restore(target: Path) -> None:
    """Give the folder *target* its name back, if a process was killed when it replaced it."""
    for path in _left_behind(target, ".old"):
        if os.path.lexists(target):
            _remove(path)
        else:
            path.rename(target)


def _left_behind(target: Path, suffix: str) -> Iterator[Path]:
    """Yield what processes of this machine that have ended left behind for *target*."""
    short = re.escape(_short(target.name))
    name = re.compile(rf"\.{short}\.{_machine()}-(\d+)-[0-9a-f]{{8}}{suffix}")
    found: list[Path] = []
    with suppress(OSError):  # the folder does not exist, or cannot be listed
        found.extend(target.parent.iterdir())
    for path in found:
        match = name.fullmatch(path.name)
        if match and not _is_running(int(match[1])):
            yield path


def _short(name: str) -> str:
    encoded = os.fsencode(name)
    return name if len(encoded) <= _LONGEST_NAME else f"{zlib.crc32(encoded):08x}"


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
