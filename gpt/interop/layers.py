"""Configs as flat tables, in which a field that differs from layer to layer is a list.

Names are dotted paths, as in recipes. The pattern of attention is always a list: the window of each
layer, None for the full context (`PATTERN`), if all of them are causal or windows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from gpt.spec.architecture import GPTConfig
from gpt.spec.pattern import Causal, Window
from gpt.spec.serialize import flatten, nest, to_dict

PATTERN = "attention.pattern"
BIAS = "attention.bias"
ATTENTION_BIASES = {
    (False, False): "off",
    (True, False): "qkv",
    (False, True): "output",
    (True, True): "all",
}
"""Values of `BIAS`, by whether there are biases of (queries, keys and values; the output)."""
_BY_LAYER = ("attention", "position")
"""Axes that can differ from layer to layer."""


def flat_table(config: GPTConfig) -> dict[str, Any]:
    """Return the fields of *config*, with the sizes that it derives from others."""
    layers = range(config.layers)
    attentions = [config.attention_in(layer).resolved(config.width) for layer in layers]
    mlp = config.mlp.resolved(config.width)
    tables = []
    for layer, attention in zip(layers, attentions, strict=True):
        position = config.position and config.position.in_layer(layer)
        one = to_dict(dataclasses.replace(config, mlp=mlp))
        one |= to_dict(_Layer(attention, position))
        tables.append(flatten(one))
    names = dict.fromkeys(name for table in tables for name in table)
    values = {name: [table.get(name) for table in tables] for name in names}
    flat = {name: each if _differ(each) else each[0] for name, each in values.items()}
    windows = windows_of([getattr(each, "pattern", None) for each in attentions], config.context)
    if windows is not None:
        flat = {name: value for name, value in flat.items() if not name.startswith(f"{PATTERN}.")}
        flat[PATTERN] = windows
    if flat.get(BIAS, "") is None:
        flat[BIAS] = ATTENTION_BIASES[config.bias, config.bias]
    return flat


def config_of(flat: Mapping[str, Any]) -> GPTConfig:
    """Invert `flat_table`; raises ConfigError."""
    shared = {name: value for name, value in flat.items() if not name.startswith(_BY_LAYER)}
    plain = nest(shared)
    for axis in _BY_LAYER:
        fields = {name: value for name, value in flat.items() if name.startswith(axis)}
        plain[axis] = _in_layers(axis, fields, flat["layers"])
    return GPTConfig.from_dict(plain)


def windows_of(patterns: Sequence[Any], context: int) -> list[int | None] | None:
    """Return the windows of the *patterns* of all layers; None if one of them is no window."""
    if not all(isinstance(each, Causal | Window) for each in patterns):
        return None
    layers = len(patterns)
    windows = [
        each.in_layer(layer, layers) if isinstance(each, Window) else None
        for layer, each in enumerate(patterns)
    ]
    return clipped(windows, context)


def clipped(windows: Sequence[int | None], context: int) -> list[int | None]:
    """Return *windows* with None for those that are not shorter than the context."""
    return [None if window is None or window >= context else window for window in windows]


@dataclasses.dataclass(frozen=True)
class _Layer:
    """What can differ from layer to layer."""

    attention: Any
    position: Any


_KINDS = {"attention": "Interleaved", "position": "InterleavedPositions"}


def _in_layers(axis: str, fields: Mapping[str, Any], layers: int) -> Any:
    """Return the plain spec of *axis* with *fields*, of which lists are by layer."""
    each = [_in_layer(axis, fields, layer) for layer in range(layers)]
    period = next(
        (n for n in range(1, layers) if all(each[i] == each[i % n] for i in range(layers))), layers
    )
    return each[0] if period == 1 else {"kind": _KINDS[axis], "layers": each[:period]}


def _in_layer(axis: str, fields: Mapping[str, Any], layer: int) -> Any:
    """Return the plain spec of *axis* in *layer*; None if its kind there is None."""
    one = {
        name: value[layer] if isinstance(value, list) else value for name, value in fields.items()
    }
    if axis in one or one.get(f"{axis}.kind", "") is None:
        return None
    if PATTERN in one:
        window = one.pop(PATTERN)
        one[f"{PATTERN}.kind"] = "Causal" if window is None else "Window"
        if window is not None:
            one[f"{PATTERN}.size"] = window
    return nest({name: value for name, value in one.items() if value is not None})[axis]


def _differ(values: Sequence[Any]) -> bool:
    return any(value != values[0] for value in values)
