"""``clone.json``: the options that each file or folder of a clone was made with.

Hours of training can be in the folder, so a call with other options must not mix with it or replace
it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpt.errors import ConfigError
from gpt.runs.retention import find_checkpoint
from pytok.atomic import replace_file

RECORD = "clone.json"
HISTORY, DATA, BASE, RUN = "chat.jsonl", "data", "base", "run"
"""Names in the folder of a clone, one per stage."""


def is_unfinished_clone(path: Path) -> bool:
    """Return whether *path* is a clone, or the run in one, that has no trained model yet."""
    clone = path.parent if path.name == RUN else path
    return (clone / RECORD).is_file() and find_checkpoint(clone / RUN) is None


def check_record(out: Path, name: str, options: Mapping[str, Any]) -> None:
    """Raise ConfigError if *out*/*name* exists and was made with other *options*."""
    if not (out / name).exists():
        return
    recorded = _read(out).get(name, {})
    for option, value in options.items():
        if recorded.get(option) != value:
            raise ConfigError(
                f"{out / name} was made with {option} = {recorded.get(option)}, not {value}; pass "
                "the same options to resume, or another --out"
            )


def write_record(out: Path, name: str, options: Mapping[str, Any]) -> None:
    """Record that *out*/*name* is about to be made with *options*, which JSON can represent."""
    record = _read(out) | {name: dict(options)}
    out.mkdir(parents=True, exist_ok=True)
    replace_file(out / RECORD, (json.dumps(record, indent=2) + "\n").encode())


def _read(out: Path) -> dict[str, Any]:
    """Return the options of each name; raises ConfigError if the file is damaged."""
    path = out / RECORD
    try:
        return dict(json.loads(path.read_bytes())) if path.exists() else {}
    except (ValueError, TypeError):
        raise ConfigError(f"{path}: damaged; choose another --out") from None
