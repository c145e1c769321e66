"""No input ends in a traceback, a signal or a hang, whatever was changed in it.

Every door of pytok and gpt reads mutated files: it accepts them, or says in one line what is wrong,
with the name of the file, in bounded time and memory, and leaves nothing behind.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.doors import DOORS
from tests.fuzz.fuzzing import faults

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of processes of Linux")

FEW = 10
"""Inputs of each door in the short test."""

MANY = int(os.environ.get("PYTOK_FUZZ", "100000"))
"""Inputs of all doors together in the long test."""

CHUNK = 2000
"""Inputs of one process."""

WEIGHTS = sum(door.weight for door in DOORS.values())


@pytest.mark.parametrize("name", DOORS)
def test_a_few_mutated_inputs_are_read_or_refused(name: str, tmp_path: Path) -> None:
    """In this process."""
    assert list(faults(name, range(FEW), tmp_path)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", DOORS)
def test_many_mutated_inputs_are_read_or_refused(name: str, tmp_path: Path) -> None:
    """In processes of their own, whose end by a signal names the input."""
    many = MANY * DOORS[name].weight // WEIGHTS
    found = []
    for start in range(FEW, FEW + many, CHUNK):
        stop = min(start + CHUNK, FEW + many)
        while start < stop:
            progress = tmp_path / "progress"
            progress.write_text(str(start))
            command = [sys.executable, "-m", "tests.fuzz.fuzzing", name, str(start), str(stop)]
            ended = subprocess.run([*command, str(progress)], capture_output=True, text=True)
            found += ended.stdout.splitlines()
            if ended.returncode == 0:
                break
            last = int(progress.read_text())
            found.append(f"{last} the exit code is {ended.returncode}: {ended.stderr[-300:]}")
            start = last + 1

    assert found == []
