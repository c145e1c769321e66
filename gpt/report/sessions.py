"""`sessions.jsonl`: the machine of each process that trained a run, one JSON object each."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from gpt.parallel.runtime import Runtime
from gpt.report.events import NullReporter, Start
from gpt.runs.metrics import read_records, write_records
from pytok.counted import counted

NAME = "sessions.jsonl"


@dataclass(frozen=True, kw_only=True)
class Session:
    """One training process."""

    after: int
    """Number of steps before it."""
    device: str
    """Name of the device, as the vendor gives it."""
    dtype: str
    """Precision of matrix products."""
    threads: int
    """CPU threads of torch."""
    torch: str
    """Version of torch."""
    python: str
    """Version of Python."""
    peak_memory: int | None = None
    """Peak memory in bytes, of the device on CUDA, else of the process. None if the process was
    killed, or the system does not report it."""


class Sessions(NullReporter):
    """Records the sessions of a run, if it has a folder."""

    def began(self, start: Start) -> None:
        """Add this process; drop sessions whose steps were all lost."""
        self._runtime, self._folder = start.runtime, start.folder
        if start.folder is None:
            return
        before = read_sessions(start.folder)
        self._sessions = [session for session in before if session.after < start.step]
        self._sessions.append(
            Session(
                after=start.step,
                device=_device(start.runtime),
                dtype=start.runtime.name,
                threads=torch.get_num_threads(),
                torch=torch.__version__,
                python=platform.python_version(),
            )
        )
        write_records(start.folder / NAME, self._sessions)

    def ended(self) -> None:
        """Add the peak memory."""
        if self._folder is None:
            return
        last = dataclasses.replace(self._sessions[-1], peak_memory=_peak_memory(self._runtime))
        write_records(self._folder / NAME, [*self._sessions[:-1], last])


def read_sessions(run: Path) -> list[Session]:
    """Read the sessions of *run*, in order; an empty list if there is no file."""
    path = run / NAME
    return read_records(path, Session) if path.exists() else []


def _device(runtime: Runtime) -> str:
    if runtime.device.type == "cuda":
        return torch.cuda.get_device_name(runtime.device)
    return f"CPU, {platform.machine()}, {counted(os.cpu_count() or 1, 'core')}"


def _peak_memory(runtime: Runtime) -> int | None:
    if runtime.device.type == "cuda":
        return torch.cuda.max_memory_allocated(runtime.device)
    if sys.platform == "win32":
        return None
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else 1024 * largest  # Linux counts in KiB
