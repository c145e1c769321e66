"""Older forms of ``state.json`` and of tensors' names, as those of now.

`upgrade` changes nothing that has the current form, so it is applied to every state that is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

RENAMED_FIELDS = {
    "respell": "bpe_dropout",
    "learn": "train_on",
    "share": "fraction",
    "val_bpb": "score",
    "best_val_bpb": "best_score",
    "first_val_bpb": "first_score",
}
"""Fields of states, recipes and specs that had other names; bits per byte was the only score."""
RENAMED_TENSORS = {"shift.share": "shift.fraction"}
"""Parameters that had other names in checkpoints of format 2."""
ABSENT = {"NoPosition", "NoShift", "NoValueEmbedding", "NoCap", "PlainResidual"}
"""Kinds of mechanisms that are off; now None."""


def upgrade(fields: Any) -> Any:
    """Return the *fields* of a state of format 2, or a table in it, in the current form."""
    if not isinstance(fields, Mapping):
        return fields
    kind = fields.get("kind")
    if not isinstance(kind, str):
        kind = ""  # whoever reads the fields says what is wrong
    if kind in ABSENT:
        return None
    fields = {RENAMED_FIELDS.get(name, name): upgrade(value) for name, value in fields.items()}
    change = CHANGED_KINDS.get(kind)
    if change is not None:
        return change(fields)
    if "kv_heads" in fields and "pattern" not in fields:
        return _attention(fields)
    return fields


def _attention(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return attention with its window as a pattern."""
    rest = {name: value for name, value in fields.items() if name not in ("window", "long_every")}
    window, every = fields.get("window"), fields.get("long_every")
    pattern: dict[str, Any] = {"kind": "Causal"}
    if window is not None:
        pattern = {"kind": "Window", "size": window, "long_every": every}
    return {**rest, "kind": "GroupedQuery", "pattern": pattern}


def _mlp(activation: str, gated: bool = False) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    def change(fields: Mapping[str, Any]) -> dict[str, Any]:
        name = activation + "_tanh" if fields.get("tanh") else activation
        return {"kind": "MLP", "activation": name, "gated": gated, "hidden": fields.get("hidden")}

    return change


def _tuning(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe with the fields that only tuning had as its task."""
    names = ("base", "adapter", "train_on", "row_length")
    task = {name: fields[name] for name in names if name in fields}
    rest = {name: value for name, value in fields.items() if name not in names}
    return {**rest, "kind": "Recipe", "task": {"kind": "Tuning", **task}}


CHANGED_KINDS = {
    "Gelu": _mlp("gelu"),
    "Relu2": _mlp("relu2"),
    "SwiGLU": _mlp("silu", gated=True),
    "TuningRecipe": _tuning,
}
"""Functions that replace a table of another kind."""
