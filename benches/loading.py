"""``python -m benches.loading``: the time until a tokenizer is ready, in fresh processes.

Each process imports a library, opens a tokenizer and encodes one short text, or runs a command. The
contestants of a task take turns, and medians count. All of them include the start of Python itself,
which is the first row.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeAlias

import click

import pytok
from benches import report
from benches.command import Settings, command
from benches.ranks import in_cache, write_rank_file
from benches.report import Record

ROUNDS, QUICK_ROUNDS = 9, 5

TOKENS = 128_000
"""Tokens of the largest tokenizer.json: as many as Llama-3 has."""

TEXT = "Hello, world! Zdrqvlkw 31415926 déjà-vu 漢字 🦀"

SHOW_PEAK = "print(*(line for line in open('/proc/self/status') if line.startswith('VmHWM:')))"
"""Prints the peak memory of a process as Linux reports it."""

Tasks: TypeAlias = dict[str, dict[str, list[str]]]
"""The arguments of Python by task and contestant."""


class Run(NamedTuple):
    """A process: its wall-clock time, its processor time, user and system, and what it printed."""

    seconds: float
    cpu_seconds: float
    lines: list[str]


def run(settings: Settings) -> list[Record]:
    """Measure and print; return a record for each contestant and task."""
    rounds = QUICK_ROUNDS if settings.quick else ROUNDS
    encodings = settings.encodings or ("cl100k_base", "o200k_base")
    with tempfile.TemporaryDirectory() as name, in_cache(Path(name)):
        tasks = _tasks(Path(name), encodings)
        environment = _environment(Path(name))
        records = [
            record
            for task, programs in tasks.items()
            for record in _contest(task, programs, rounds, environment)
        ]
    columns = ["task", "contestant", "ms", "ms of processor", "peak MB"]
    title = f"Load, one process each, medians of {rounds}"
    report.show(title, columns, map(_row, records), names=2)
    return records


def _row(record: Record) -> list[str]:
    times = [f"{record[name] * 1000:.0f}" for name in ("seconds", "cpu_seconds")]
    peak = "" if record["peak_bytes"] is None else f"{record['peak_bytes'] / 1e6:.0f}"
    return [record["question"], record["name"], *times, peak]


def _tasks(folder: Path, encodings: Sequence[str]) -> Tasks:
    """Return the tasks; their files are in *folder*."""
    tasks: Tasks = {"start Python": {"python": ["-c", "pass"]}}
    for encoding in encodings:
        write_rank_file(encoding, folder)
        tasks[f"import, get_encoding({encoding!r}), encode"] = {
            module: _program(module, f"get_encoding({encoding!r}).encode({TEXT!r})")
            for module in ("pytok", "tiktoken")
        }
    files = {encoding: folder / f"{encoding}.json" for encoding in encodings}
    largest = f"{TOKENS:,} tokens of {encodings[-1]}"
    files[largest] = folder / "largest.json"
    whole = pytok.get_encoding(encodings[-1])
    whole.truncated(TOKENS + len(set(whole.special_tokens.values()))).save(files[largest])
    for content, path in files.items():
        name = repr(str(path))
        tasks[f"import, load tokenizer.json ({content}), encode"] = {
            "pytok": _program("pytok", f"load({name}).encode({TEXT!r})"),
            "tokenizers": _program(
                "tokenizers", f"Tokenizer.from_file({name}).encode({TEXT!r}).ids"
            ),
        }
    text = folder / "six-bytes.txt"
    text.write_bytes(b"hello\n")
    for words in (["--help"], ["count", "-t", encodings[0], str(text)]):
        shown = " ".join(words).replace(str(text), text.name)
        tasks[f"pytok {shown}"] = {"pytok": ["-m", "pytok", *words]}
    return tasks


def _program(module: str, expression: str) -> list[str]:
    show_peak = f"; {SHOW_PEAK}" if sys.platform == "linux" else ""
    return ["-c", f"import {module}; print({module}.{expression}){show_peak}"]


def _environment(folder: Path) -> dict[str, str]:
    """Return environment variables with which bytecode is cached in *folder*, as if installed."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def _contest(
    task: str, programs: Mapping[str, list[str]], rounds: int, environment: Mapping[str, str]
) -> list[Record]:
    """Return a record for each of *programs*; they take turns *rounds* times."""
    for arguments in programs.values():
        _run(arguments, environment)  # caches files and bytecode
    turns = [
        {name: _run(arguments, environment) for name, arguments in programs.items()}
        for _ in range(rounds)
    ]
    ids = {tuple(run.lines[:1]) for turn in turns for run in turn.values()}
    records = []
    for name in programs:
        runs = [turn[name] for turn in turns]
        lines = (line for run in runs for line in run.lines if line.startswith("VmHWM:"))
        peaks = [int(line.split()[1]) * 1024 for line in lines]
        records.append(
            {
                "question": task,
                "name": name,
                "state": "timed" if len(ids) == 1 else "DIFFERS",
                "reason": "" if len(ids) == 1 else "the contestants have different ids",
                "seconds": median(run.seconds for run in runs),
                "cpu_seconds": median(run.cpu_seconds for run in runs),
                "peak_bytes": median(peaks) if peaks else None,
            }
        )
    return records


def _run(arguments: Sequence[str], environment: Mapping[str, str]) -> Run:
    """Run Python with *arguments*. Raises ClickException if it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.stdout.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"python {' '.join(arguments)} failed")
    return Run(seconds, usage.ru_utime + usage.ru_stime, lines)


if __name__ == "__main__":
    command(run)()
