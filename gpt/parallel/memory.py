"""The memory of a device: how much is free, what does not fit in it, and what is given back."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

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


def free_memory(device: torch.device) -> int | None:
    """Return the bytes that are free on *device*; None where the system does not say it.

    Of a CPU, that is what Linux calls available, and what the limit of the container leaves.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    found: list[int] = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        found.append(int(line.split()[1]) * 1024)
    with suppress(OSError, ValueError):  # "max" is no limit
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        found.append(limit - int((group / "memory.current").read_text(encoding="ascii")))
    return max(0, min(found)) if found else None


def return_freed_memory() -> None:
    """Return memory that was freed to the system, where the C library (glibc) would keep it.

    PERF: after a model of 124 million weights was quantized, layer by layer, the process had up to
    twice the memory of its tensors without this.
    """
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)
