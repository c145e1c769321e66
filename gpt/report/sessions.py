"""Where a run was made: `sessions.jsonl`, one JSON object for each process that worked on it."""

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
    """One process that trained, on one machine."""

    after: int
    """Steps that were made before."""
    device: str
    """What it computed on, as the maker calls it."""
    dtype: str
    threads: int
    """CPU threads of torch."""
    torch: str
    """Its version."""
    python: str
    peak_memory: int | None = None
    """Bytes that it had at most: of the device's memory on CUDA, else of the machine's. None: it
    was killed, or the system does not say."""


class Sessions(NullReporter):
    """Keeps where a run is made."""

    def began(self, start: Start) -> None:
        """Note this process; sessions whose steps were all lost are dropped."""
        self._runtime, self._path = start.runtime, start.recipe.out / NAME
        before = read_sessions(start.recipe.out)
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
        write_records(self._path, self._sessions)

    def ended(self) -> None:
        """Note the memory that it took."""
        last = dataclasses.replace(self._sessions[-1], peak_memory=_peak_memory(self._runtime))
        write_records(self._path, [*self._sessions[:-1], last])


def read_sessions(run: Path) -> list[Session]:
    """Read the sessions of *run*, in the order of steps; none where none were kept."""
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
