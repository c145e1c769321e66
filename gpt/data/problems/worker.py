"""The program of the process in which a user's reward function runs.

It reads lines of JSON, ``[prompt, completion, fields]``, and answers each with a line: ``[true,
reward]``, or ``[false, problem]``. Its first line says whether the function could be loaded. What
the function prints goes to stderr, so that it cannot be taken for an answer. It imports nothing but
the standard library, so it starts at once.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO


def load(file: Path, function: str) -> Callable[..., object]:
    """Return *function* of the Python file *file*, which can import what is beside it.

    Raises ValueError with the reason if there is none.
    """
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise ValueError("not a Python file")
    sys.path.insert(0, str(file.resolve().parent))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, function, None)
    if not callable(found):
        names = sorted(name for name, value in vars(module).items() if inspect.isfunction(value))
        known = f"it has {', '.join(names)}" if names else "it has none"
        raise ValueError(f"no function {function}; {known}")
    return found  # type: ignore[no-any-return]


def number(value: object) -> float:
    """Return the reward *value* as a float; ValueError unless it is from 0 to 1.

    Whatever converts to a float by itself is a number: a bool, a NumPy scalar, a tensor of one.
    """
    problem = f"returned {value!r:.60}; return a number from 0 to 1"
    if value is None or isinstance(value, (str, bytes)):
        raise ValueError(problem)
    try:
        reward = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ValueError(problem) from None
    if not 0 <= reward <= 1:  # NaN, too
        raise ValueError(problem)
    return reward


def described(error: BaseException, file: Path) -> str:
    """Return *error* in a line: where in *file* it was raised, and what it says."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == file]
    if isinstance(error, SyntaxError) and error.lineno is not None:
        lines = [error.lineno]
    where = f"line {lines[-1]}: " if lines else ""
    text = " ".join(str(error).split())
    return f"{where}{type(error).__name__}{': ' if text else ''}{text}"


def serve(file: Path, function: str, requests: Iterable[str], answers: TextIO) -> None:
    """Answer *requests* until there are no more."""

    def answer(is_right: bool, value: object) -> None:
        answers.write(json.dumps([is_right, value]) + "\n")
        answers.flush()

    try:
        reward = load(file, function)
    except ValueError as error:
        answer(False, str(error))
        return
    except BaseException as error:  # whatever the user's file does, sys.exit included
        answer(False, described(error, file))
        return
    answer(True, None)
    for line in requests:
        prompt, completion, fields = json.loads(line)
        try:
            value = reward(prompt, completion, **fields)
        except BaseException as error:
            answer(False, described(error, file))
            continue
        try:
            answer(True, number(value))
        except ValueError as error:
            answer(False, str(error))


def main(arguments: list[str]) -> None:
    """Serve the function that *arguments* name on this process's standard streams."""
    beside = Path(__file__).parent
    sys.path[:] = [entry for entry in sys.path if Path(entry) != beside]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            requests.put(line)
        os._exit(0)  # the run has ended, perhaps killed, whatever the function is doing

    threading.Thread(target=read, daemon=True).start()
    file, function = arguments
    serve(Path(file), function, iter(requests.get, None), answers)


if __name__ == "__main__":
    main(sys.argv[1:])
