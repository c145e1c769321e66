"""``adapter_config.json`` of peft: what it says of an adapter, written and read.

A field that would change what an adapter computes, and that gpt does not have, is rejected by its
name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpt.errors import FormatError
from gpt.interop.fields import Fields
from pytok.text import quoted

CONFIG = "adapter_config.json"
_READ = frozenset(
    {"peft_type", "use_rslora", "use_dora", "lora_alpha", "lora_dropout", "alpha_pattern"}
    | {"trainable_token_indices", "init_lora_weights"}
)
_UNUSED = frozenset(
    {"auto_mapping", "base_model_name_or_path", "revision", "task_type", "inference_mode", "r"}
    | {"peft_version", "target_modules", "exclude_modules", "layers_to_transform", "rank_pattern"}
    | {"layers_pattern", "fan_in_fan_out", "modules_to_save", "megatron_core", "runtime_config"}
    | {"qalora_group_size", "ensure_weight_tying", "loftq_config"}
)
"""Fields that say nothing about the tensors that their names and shapes do not."""
_INITIAL = (True, False, None, "gaussian", "orthogonal")
"""Values of init_lora_weights that leave the weights of the base as they are."""


@dataclass(frozen=True, kw_only=True)
class PeftConfig:
    """What a config says that the tensors do not."""

    alpha: float
    """Scale of a product, times its rank or, with *rslora*, the root of that."""
    rslora: bool = False
    dora: bool = False
    dropout: float = 0.0
    alphas: Mapping[str, float] = field(default_factory=dict)
    """Alpha of modules, by their names or the ends of these."""
    tokens: Mapping[str, list[int]] = field(default_factory=dict)
    """Ids of trained rows, by the end of the name of their table; of "" those of the embedding."""

    def scale(self, module: str, rank: int) -> float:
        """Return the scale of the product of *module*, which has *rank*."""
        found = (alpha for name, alpha in self.alphas.items() if is_end(name, module))
        return next(found, self.alpha) / (math.sqrt(rank) if self.rslora else rank)


def is_end(name: str, module: str) -> bool:
    """Return whether the dotted *module* is *name*, or ends with it.

    >>> is_end("attn.c_proj", "h.0.attn.c_proj"), is_end("proj", "h.0.attn.c_proj")
    (True, False)
    """
    return f".{module}".endswith(f".{name}")


def read_config(path: Path, fields: Mapping[str, Any]) -> PeftConfig:
    """Return what *fields*, the content of the file *path*, say. Raises FormatError."""
    try:
        return _read(Fields(fields))
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None


def _read(fields: Fields) -> PeftConfig:
    kind = fields.get("peft_type", str)
    if kind != "LORA":
        raise FormatError(f"peft_type is {quoted(kind)}; supported: LORA, and DoRA as its variant")
    for name, value in fields.values.items():
        if name not in _READ | _UNUSED and value not in (None, False, "none", {}, []):
            raise FormatError(f"{name} is {quoted(value)}, which gpt does not support")
    initial = fields.values.get("init_lora_weights")
    if initial not in _INITIAL:
        raise FormatError(
            f"init_lora_weights is {quoted(initial)}, which changes the weights of the base; save "
            "the adapter with path_initial_model_for_weight_conversion of peft"
        )
    alphas = fields.get("alpha_pattern", dict, {})
    tokens = fields.values.get("trainable_token_indices") or {}
    return PeftConfig(
        alpha=_number("lora_alpha", fields.get("lora_alpha", float, 8.0)),
        rslora=fields.get("use_rslora", bool, False),
        dora=fields.get("use_dora", bool, False),
        dropout=fields.get("lora_dropout", float, 0.0),
        alphas={_plain(name): _number(name, alpha) for name, alpha in alphas.items()},
        tokens={
            name: _ids(ids)
            for name, ids in (tokens if isinstance(tokens, dict) else {"": tokens}).items()
        },
    )


def _plain(pattern: str) -> str:
    """Return the name that *pattern* of alpha_pattern is; raises FormatError for a real regex."""
    name = pattern.removeprefix("^")
    if not name.replace("_", "").replace(".", "").isalnum():
        raise FormatError(f"alpha_pattern has {quoted(pattern)}; supported: names of modules")
    return name


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise FormatError(f"{name} is {quoted(value)}, not a number above 0")
    return float(value)


def _ids(ids: Any) -> list[int]:
    if not isinstance(ids, list) or not all(type(each) is int and each >= 0 for each in ids):
        raise FormatError("trainable_token_indices has something other than ids of tokens")
    return ids


def written_config(
    *,
    modules: Mapping[str, tuple[int, float]],
    rslora: bool,
    dora: bool,
    dropout: float,
    transposed: bool,
    tokens: Mapping[str, list[int]],
    task: str | None,
) -> dict[str, Any]:
    """Return the fields of an adapter.

    *modules* has the rank and the scale of each, by names that `is_end` finds; *tokens* are the ids
    of trained rows by the names of their tables. *transposed* says whether modules are Conv1D.
    """
    ranks = {name: rank for name, (rank, _) in modules.items()}
    alphas = {
        name: _tidy(scale * (math.sqrt(rank) if rslora else rank))
        for name, (rank, scale) in modules.items()
    }
    rank = _commonest(list(ranks.values()))
    alpha = _commonest([each for name, each in alphas.items() if ranks[name] == rank])
    return {
        "peft_type": "LORA",
        "task_type": task,
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": dropout,
        "use_rslora": rslora,
        "use_dora": dora,
        "fan_in_fan_out": transposed,
        "bias": "none",
        "init_lora_weights": True,
        "target_modules": sorted(modules),
        "rank_pattern": {name: each for name, each in ranks.items() if each != rank},
        "alpha_pattern": {name: each for name, each in alphas.items() if each != alpha},
        "trainable_token_indices": dict(tokens) or None,
        "modules_to_save": None,
    }


def _commonest(values: list[Any]) -> Any:
    return max(values, key=values.count)


def _tidy(value: float) -> float:
    """Return *value* as an integer if it is one, up to rounding."""
    return round(value) if math.isclose(value, round(value)) and round(value) else value
