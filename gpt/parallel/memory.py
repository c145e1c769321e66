"""Memory: the error of work that does not fit in that of the device, and what is given back."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

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


def return_freed_memory() -> None:
    """Return memory that was freed to the system, where the C library (glibc) would keep it.

    PERF: after a model of 124 million weights was quantized, layer by layer, the process had up to
    twice the memory of its tensors without this.
    """
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)
