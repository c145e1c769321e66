"""Files that appear whole or not at all."""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def replace_file(path: Path, data: bytes) -> None:
    """Write *data* to *path*, which is whole at every moment: the old file, or the new one."""
    replace_files({path: data})


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Write several files that belong together: all are on the disk before the first appears.

    A link is followed, and a file that is there keeps its mode. Raises OSError that names the file.
    """
    # Beside the target, since a rename must not cross file systems.
    targets = {path: path.resolve() for path in contents}
    asides = {path: _beside(target) for path, target in targets.items()}
    try:
        for path, data in contents.items():
            try:
                _write(asides[path], data)
                if targets[path].exists():
                    asides[path].chmod(targets[path].stat().st_mode)
            except OSError as error:
                error.filename = str(path)
                raise
        for path, aside in asides.items():
            aside.replace(targets[path])
    finally:
        for aside in asides.values():
            aside.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Lend a file to write to; at the end it becomes *path*, unless an error leaves.

    For what is too large to have in memory; a link is followed, and a file that is there keeps its
    mode. Raises OSError that names *path*.
    """
    target = path.resolve()
    aside = _beside(target)
    try:
        with aside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            aside.chmod(target.stat().st_mode)
        aside.replace(target)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        aside.unlink(missing_ok=True)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}")


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
