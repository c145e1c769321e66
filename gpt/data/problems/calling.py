"""Calls of a user's reward function in a process of its own, each with a time limit.

So a function that hangs, exits or crashes ends its process, not the run.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from gpt.data.contents import plain
from gpt.data.problems.problem import Problem
from gpt.errors import DataError
from pytok.text import quoted

STARTING = 60.0
"""Most seconds that the file of the function can take to load: it may import large libraries."""
WORKER = Path(__file__).with_name("worker.py")
"""Program of the process."""


class RewardFunction:
    """A function FILE.py:FUNCTION, called in another process, which ends with this object."""

    def __init__(self, name: str, seconds: float) -> None:
        """Start the process; DataError if it does not load the function *name*."""
        self._name, self._seconds = name, seconds
        file, _, function = name.rpartition(":")
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), file, function],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,  # so that Ctrl-C stops the run, not the function
        )
        self._close = weakref.finalize(self, _end, self._process)
        self._answers: queue.Queue[str] = queue.Queue()
        stream = self._process.stdout
        threading.Thread(target=_read, args=(stream, self._answers), daemon=True).start()
        self._answer(STARTING, "")

    def __call__(self, problems: Sequence[Problem], completions: Sequence[str]) -> list[float]:
        """Return the rewards of *completions*; raises DataError naming the first that has none."""
        rewards = []
        for problem, completion in zip(problems, completions, strict=True):
            where = f"{problem.where}: " if problem.where else ""
            prompt = plain(problem.prompt)
            called = f"{where}prompt {quoted(prompt)}, completion {quoted(completion)}"
            self._ask([prompt, completion, dict(problem.fields)])
            rewards.append(self._answer(self._seconds, f"; {called}"))
        return rewards

    def close(self) -> None:
        """End the process."""
        self._close()

    def _ask(self, request: list[Any]) -> None:
        """Send *request*."""
        stream = self._process.stdin
        assert stream is not None
        with contextlib.suppress(OSError):  # it has ended, as the missing answer will say
            stream.write(json.dumps(request) + "\n")
            stream.flush()

    def _answer(self, seconds: float, called: str) -> float:
        """Return the next answer; raises DataError, ending with *called*."""
        try:
            line = self._answers.get(timeout=seconds)
        except queue.Empty:
            problem = f"no answer in {seconds:g} s; make it faster, or raise task.problems.seconds"
            line = json.dumps([False, problem])
        if not line:
            code = self._process.wait()
            line = json.dumps([False, f"its process ended with exit code {code}"])
        is_right, value = json.loads(line)
        if not is_right:
            self.close()
            raise DataError(f"{self._name}: {value}{called}")
        return 0.0 if value is None else float(value)


def _read(stream: IO[str], answers: queue.Queue[str]) -> None:
    """Pass on the lines of *stream*, and an empty one at its end."""
    with contextlib.suppress(ValueError):  # it was closed
        for line in stream:
            answers.put(line)
    answers.put("")


def _end(process: subprocess.Popen[str]) -> None:
    """End *process*."""
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
