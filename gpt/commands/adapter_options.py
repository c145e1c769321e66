"""Options that set up an adapter, of the commands that tune and classify."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpt.errors import ConfigError
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.overrides import Overrides
from gpt.spec.serialize import nest, parse_plain

ADAPTER = "task.adapter"
"""Dotted name of the adapter."""


def is_of_adapter(name: str) -> bool:
    """Return whether the field *name* is the adapter, or in it."""
    return name == ADAPTER or name.startswith(f"{ADAPTER}.")


def adapter_of(
    overrides: Overrides, ranks: Mapping[str, int | None], kind: str = "LoRA"
) -> LoRA | DoRA:
    """Return the adapter of *overrides*, unless they set another one of *kind*.

    *ranks* are options for its rank, by name, of which at most one is set. Raises ConfigError
    naming the option that is wrong.
    """
    fields = {name: value for name, value in overrides.values.items() if is_of_adapter(name)}
    chosen: dict[str, Any] = {f"{ADAPTER}.kind": kind, **fields}
    sources = dict(overrides.sources)
    for flag, rank in ranks.items():
        if rank is not None:
            chosen[f"{ADAPTER}.rank"], sources[f"{ADAPTER}.rank"] = rank, f"{flag} {rank}"
    try:
        adapter: LoRA | DoRA = parse_plain(LoRA | DoRA, nest(chosen)["task"]["adapter"], ADAPTER)
    except ConfigError as error:
        written = {name: value for name, value in chosen.items() if name in sources}
        raise ConfigError(Overrides(written, sources).with_sources(str(error))) from None
    return adapter
