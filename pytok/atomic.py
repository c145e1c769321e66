"""Atomic writes: a file is complete at every moment, the old one or the new one."""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    temporaries = {path: _beside(target) for path, target in targets.items()}
    try:
        for path, data in contents.items():
            try:
                _write(temporaries[path], data)
                if targets[path].exists():
                    temporaries[path].chmod(targets[path].stat().st_mode)
            except OSError as error:
                error.filename = str(path)
                raise
        for path, temporary in temporaries.items():
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
    temporary = _beside(target)
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode)
        temporary.replace(target)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _beside(target: Path) -> Path:
    """Return an unused name in the target's folder: a rename must not cross file systems."""
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}")


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
