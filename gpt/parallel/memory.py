"""The error of work that does not fit in the memory of the device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gpt.errors import TrainingError


@contextmanager
def fitting_in_memory(what: str, advice: str) -> Iterator[None]:
    """Raise TrainingError if the device runs out of memory inside the context.

    The message says that *what* does not fit, in the plural ("16 rows of 256 tokens"), and what to
    do: *advice*.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise TrainingError(f"{what} do not fit in the memory of the device; {advice}") from None
