"""The graph of a block for drawing: what stands in each box, and on which lanes lines pass beside.

Nodes stand below each other, in the order of computation. The line from a node to the next one is
straight; every other line leaves the column and passes the nodes between on a lane.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from dataclasses import dataclass
from typing import Any

from torch import nn

from gpt.model.anatomy import Anatomy, Node
from gpt.spec.architecture import GPTConfig

INNER = ("heads", "kv_heads", "head_width", "hidden")
"""Fields that are sizes of axes inside a module."""
OFF = (None, False, 0)
"""Values of a field that is off, which is not shown."""


@dataclass(frozen=True)
class Lane:
    """A line that passes nodes."""

    source: int
    target: int
    lane: int
    """Number of the lane, from 0, the nearest to the nodes."""


@dataclass(frozen=True)
class Box:
    """What is written about a node."""

    title: str
    """The name of the module, or the sign of an operation."""
    kind: str = ""
    """The class of the module."""
    formula: str = ""
    """What it computes: the first sentence of its documentation."""
    settings: tuple[str, ...] = ()
    """Fields of its spec."""
    axes: tuple[str, ...] = ()
    """Axes of the tensors inside."""
    weights: tuple[str, ...] = ()
    """Shapes of its weights: inputs → outputs of matrices."""
    parameters: int = 0


def lanes_of(nodes: list[Node]) -> list[Lane]:
    """Return the lines that pass nodes, on as few lanes as possible; short ones are nearest."""
    edges = [
        (source, target)
        for target, node in enumerate(nodes)
        for source in dict.fromkeys(node.sources)
        if source != target - 1
    ]
    lanes: list[Lane] = []
    for source, target in sorted(edges, key=lambda edge: edge[1] - edge[0]):
        taken = {each.lane for each in lanes if max(each.source, source) < min(each.target, target)}
        free = next(lane for lane in range(len(lanes) + 1) if lane not in taken)
        lanes.append(Lane(source, target, free))
    return lanes


def box_of(node: Node, config: GPTConfig, layer: int) -> Box:
    """Describe *node* of block *layer* of a model of *config*."""
    if node.module is None:
        return Box(node.name)
    spec = _spec(node.name, config, layer)
    return Box(
        title=node.name.replace("_", " "),
        kind=type(node.module).__name__,
        formula=_formula(node.module),
        settings=tuple(_settings(spec)),
        axes=tuple(_inner_axes(spec)),
        weights=tuple(_weights(node.module)),
        parameters=sum(each.numel() for each in node.module.parameters()),
    )


def boxes_of(anatomy: Anatomy, layer: int) -> list[Box]:
    """Describe all nodes of *anatomy*, which is one of block *layer*."""
    return [box_of(node, anatomy.model.config, layer) for node in anatomy.nodes]


def stream_of(config: GPTConfig) -> str:
    """Return the axes of the residual stream."""
    return f"B × T × width {config.width}"


def _spec(name: str, config: GPTConfig, layer: int) -> Any:
    """Return the spec of the module *name*, which ends with the name of an axis, or None."""
    axis = name.rpartition("_")[2]
    spec: Any = getattr(config, axis, None)
    if axis == "attention":
        spec = config.attention_in(layer)
    return spec.resolved(config.width) if hasattr(spec, "resolved") else spec


def _settings(spec: Any) -> list[str]:
    """Return the fields of *spec* that are on and are not in `_inner_axes`, as text.

    Without numbers and switches at their defaults, and the further settings of what is off.
    """
    if not dataclasses.is_dataclass(spec):
        return []
    settings = []
    off = [each.name for each in dataclasses.fields(spec) if getattr(spec, each.name) in OFF]
    for field in dataclasses.fields(spec):
        value, name = getattr(spec, field.name), field.name.replace("_", " ")
        if field.name in off or any(field.name.startswith(f"{each}_") for each in off):
            continue
        if isinstance(value, bool | float) and value == field.default:
            continue
        if value is True:
            settings.append(name)
        elif dataclasses.is_dataclass(value):
            inner = ", ".join(_settings(value))
            text = type(value).__name__ + (f" ({inner})" if inner else "")
            settings.append(text if name == type(value).__name__.casefold() else f"{name} {text}")
        elif field.name not in INNER:
            settings.append(f"{name} {value}")
    return settings


def _inner_axes(spec: Any) -> list[str]:
    """Return the axes of the tensors inside a module of *spec*: heads, and hidden layers."""
    heads, kv_heads, width, hidden = (getattr(spec, name, None) for name in INNER)
    axes = []
    if heads and width:
        shared = kv_heads not in (None, heads)
        name = "queries" if shared else "queries, keys, values"
        axes.append(f"{name}: B × heads {heads} × T × head width {width}")
        if shared:
            axes.append(f"keys, values: B × kv heads {kv_heads} × T × head width {width}")
    if hidden := hidden or getattr(getattr(spec, "expert", None), "hidden", None):
        axes.append(f"hidden: B × T × {hidden}")
    return axes


def _formula(module: nn.Module) -> str:
    """Return the first sentence of the documentation of *module*, in one line."""
    doc = " ".join((inspect.getdoc(type(module)) or "").partition("\n\n")[0].split())
    doc = doc.replace("`", "")
    return re.split(r"(?<=[\w`)])\.(?: |$)", doc, maxsplit=1)[0]


def _weights(module: nn.Module) -> list[str]:
    """Return the shapes of the weights of *module*: inputs → outputs, and how many there are."""
    weights = []
    for name, parameter in module.named_parameters():
        owner, _, kind = name.rpartition(".")
        if kind == "bias" and owner:
            continue
        *many, outputs, inputs = parameter.shape if parameter.ndim > 1 else (*parameter.shape, 0)
        shape = f"{inputs} → {outputs}" if inputs else f"{outputs}"
        times = f"{math.prod(many)} × " if many else ""
        label = owner if kind == "weight" and owner else name
        biases = f"{owner}.bias" in dict(module.named_parameters()) if owner else False
        weights.append(f"{label} {times}{shape}{' + bias' if biases else ''}")
    return weights
