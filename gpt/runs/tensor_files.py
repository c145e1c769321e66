"""Safetensors files of any name: the library opens only names that are UTF-8."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Map the tensors of the safetensors file *path*; raises SafetensorError or OSError."""
    with utf8_name(path) as name:
        return load_file(name)


@contextmanager
def utf8_name(path: Path) -> Iterator[Path]:
    """Return a context with a name of the file *path* that is UTF-8: its own, or a temporary link.

    What has been opened or mapped by it stays so.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder, "file.safetensors")
            link.symlink_to(path.absolute())
            yield link
    else:
        yield path
