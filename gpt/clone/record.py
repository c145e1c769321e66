"""``clone.json``: the options that each file or folder of a clone was made with.

Hours of training can be in the folder, so a call with other options must not mix with it or replace
it.
"""

from __future__ import annotations

import json
import re
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
            before, now = _described(option, recorded.get(option)), _described(option, value)
            if before == now:  # files of the same names
                now = "of the changed file given now"
            raise ConfigError(
                f"{out} already holds a model {before}, not {now}; to resume that one, repeat its "
                f"command; for another model give another --out, or delete the folder {out}"
            )


def _described(option: str, value: Any) -> str:
    """Return what *value* of *option* says of a model, to follow "a model"."""
    if option == "me":
        return f"of {value}"
    if option == "exports":
        return f"of {re.sub(r' [(][0-9a-f]{16}[)]', '', str(value))}"
    if option == "gap" and value is not None:
        value = f"{value:g}s"
    if option == "adapter":
        return "with all weights tuned" if value is None else f"with {_adapter(value)}"
    if isinstance(value, float):
        value = f"{value:g}"
    flag = f"--{option.replace('_', '-')}"
    if value is None:
        return f"without {flag}"
    return f"with {flag}" if value is True else f"with {flag} {value}"


def _adapter(fields: Any) -> str:
    fields = fields if isinstance(fields, dict) else {}
    return f"{fields.get('kind', 'LoRA')} of rank {fields.get('rank')}"


def write_record(out: Path, name: str, options: Mapping[str, Any]) -> None:
    """Record that *out*/*name* is about to be made with *options*, which JSON can represent."""
    record = _read(out) | {name: dict(options)}
    out.mkdir(mode=0o700, parents=True, exist_ok=True)  # a new one is its owner's alone
    replace_file(out / RECORD, (json.dumps(record, indent=2) + "\n").encode(), private=True)


def _read(out: Path) -> dict[str, dict[str, Any]]:
    """Return the options of each name; raises ConfigError if the file is damaged."""
    path = out / RECORD
    try:
        record = json.loads(path.read_bytes()) if path.exists() else {}
        return {name: dict(options) for name, options in record.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise ConfigError(
            f"{path} is damaged, so it is unknown what this folder holds; give another --out"
        ) from None
