"""Output of the benchmarks: the machine, tables for people, records for programs."""

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pytok import distribution as own
from pytok.atomic import replace_file

Record: TypeAlias = dict[str, Any]
"""One contestant on one task: the task, the name, and the figures or the reason for none."""


def machine(distributions: Iterable[str]) -> Record:
    """Return CPU, cores, Python, and the versions of *distributions*, ``None`` if not installed."""
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": {name: version(name) for name in distributions},
    }


def version(distribution: str) -> str | None:
    """Return the installed version, ``None`` if it is not installed."""
    if distribution == own.NAME:
        return own.version()  # a checkout need not be installed
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def describe(machine: Mapping[str, Any]) -> list[str]:
    """Return the lines above the tables: machine, versions, and what is not installed."""
    versions: dict[str, str | None] = machine["versions"]
    present = ", ".join(f"{name} {found}" for name, found in versions.items() if found)
    absent = ", ".join(name for name, found in versions.items() if not found)
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, {machine['python']}"
    return [where, f"with {present}", f"not installed: {absent or 'none'}"]


def show(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    note: str = "",
    names: int = 1,
) -> None:
    """Print a table: drawn on a terminal, otherwise in Markdown.

    The first *names* columns are text, the others figures.
    """
    console = Console()
    if console.is_terminal:
        table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
        for number, column in enumerate(columns):
            table.add_column(escape(column), justify="left" if number < names else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        console.print(note, highlight=False, markup=False)
        return
    rules = ["---" if number < names else "---:" for number in range(len(columns))]
    lines = [columns, rules, *rows]
    print(f"\n{title}\n")
    for line in lines:
        print("| " + " | ".join(line) + " |")
    if note:
        print(f"\n{note}")
    sys.stdout.flush()


@contextmanager
def status(message: str) -> Iterator[None]:
    """Show *message* on a terminal while the context lasts."""
    with Console(stderr=True).status(message):
        yield


def save(path: Path, machine: Record, records: Sequence[Record]) -> None:
    """Write *records* as JSON; the file appears complete or not at all."""
    document = {"machine": machine, "records": records}
    replace_file(path, json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n")


def reason(error: BaseException) -> str:
    """Return the type of *error* and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def cpu() -> str:
    """Return the model of the CPU, from the kernel if it has one."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
