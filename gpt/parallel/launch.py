"""The environment that torchrun gives to each process that it starts. Imports no torch."""

from __future__ import annotations

import os


def launched() -> int:
    """Return how many processes torchrun started, including this one; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Return whether this is the process that prints and writes files; true without torchrun."""
    return os.environ.get("RANK", "0") == "0"
