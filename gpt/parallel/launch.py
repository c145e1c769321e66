"""What torchrun tells each process that it starts, by the environment; no torch."""

from __future__ import annotations

import os


def launched() -> int:
    """How many processes torchrun started, this one included; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))
