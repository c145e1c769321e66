"""Errors of writing: they name what the user named, not a temporary file beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from gpt.errors import FormatError


@contextmanager
def naming_target(path: Path) -> Iterator[None]:
    """Turn an error of writing inside the context into a FormatError with the name *path*."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        # NumPy's has no strerror, only how many items of how many it has written.
        reason = getattr(error, "strerror", None) or error.args[0]
        raise FormatError(
            f"{path}: cannot be written: {reason}; nothing was left there: is the disk full, and "
            "may you write to the folder?"
        ) from error
