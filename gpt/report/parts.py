"""The parts of a model as a table: parameters, FLOPs and state."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from gpt.model.anatomy import Anatomy
from gpt.model.flops import TRAINING_FACTOR, parts_of
from gpt.model.gpt import Stack
from gpt.model.model import Model
from gpt.spec.planning import described
from gpt.spec.recipe import Recipe
from pytok.counted import abbreviated

HEADS = ("part", "parameters", "active", "FLOPs/token", "bytes/token")
"""The last two: to predict a token at the end of a full context, and what is kept of a token."""
ATTENTION, SHIFT = "attention", "shift"
"""Parts that keep a state: in each block, and at the embedding."""


def parts_table(anatomy: Anatomy, dtype: str) -> str:
    """Return the table, with totals and what a state is, in at most 80 columns."""
    model, parts = anatomy.model, parts_of(anatomy.model)
    layers, context = len(model.blocks), anatomy.model.context
    states = {ATTENTION: sum(anatomy.states[:layers]), SHIFT: sum(anatomy.states[layers:])}
    rows: list[tuple[str, ...]] = [HEADS]
    for name, part in parts.items():
        figures = (part.parameters, part.active, part.flops)
        rows.append((name, *map(_count, figures), _bytes(states.get(name, 0) / context)))
    total = [sum(counts) for counts in zip(*_figures(anatomy), strict=True)]
    rows.append(("total", *map(_count, total), _bytes(anatomy.state / context)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines.insert(1, "─" * len(lines[0]))
    lines.insert(-1, "─" * len(lines[0]))
    notes = [
        f"FLOPs to predict a token after {context:,}; training takes {TRAINING_FACTOR} times that."
    ]
    if anatomy.states:
        notes.append(
            f"State of {context:,} tokens while decoding, in {dtype}: {anatomy.state:,} bytes."
        )
    else:
        notes.append("Tokens attend to later ones, so nothing is decoded token by token.")
    return "\n".join([*lines, "", *notes])


def layers_like(model: Stack, layer: int) -> str:
    """Return which other layers of *model* have the same block as *layer*, as text."""
    alike = [other for other, block in enumerate(model.blocks) if _same(block, model.blocks[layer])]
    if len(alike) == len(model.blocks):
        return f" of {len(alike)}, all alike" if len(alike) > 1 else ""
    others = ", ".join(str(other) for other in alike if other != layer)
    return f" of {len(model.blocks)}" + (f", like {others}" if others else ", unlike all others")


def _same(one: nn.Module, other: nn.Module) -> bool:
    """Return whether two blocks have the same modules, parameters and settings."""
    return _signature(one) == _signature(other)


def _signature(block: nn.Module) -> list[object]:
    plain = (int, float, str, bool, type(None))
    signature: list[object] = []
    for name, module in block.named_modules():
        settings = [value for value in vars(module).values() if isinstance(value, plain)]
        shapes = [each.shape for each in module.parameters(recurse=False)]
        signature.append((name, type(module), shapes, settings))
    return signature


def _figures(anatomy: Anatomy) -> Sequence[tuple[int, int, int]]:
    parts = parts_of(anatomy.model).values()
    return [(part.parameters, part.active, part.flops) for part in parts]


def _count(number: int) -> str:
    return f"{number:,}"


def _bytes(number: float) -> str:
    return f"{number:,.0f}" if number.is_integer() else f"{number:,.1f}"


def described_size(model: Model) -> str:
    """Return the number of parameters of *model*, and of those that a token uses, as text."""
    parts = parts_of(model).values()
    total, active = sum(part.parameters for part in parts), sum(part.active for part in parts)
    used = "" if active == total else f", {abbreviated(active)} of them active"
    return f"{abbreviated(total)} parameters{used}"


def announced(where: object, model: Model, recipe: Recipe) -> tuple[str, str]:
    """Return what a run says when it starts: its model, and how it is trained."""
    sizes = ", ".join(f"{name} {value}" for name, value in recipe.model.sizes().items())
    return f"{where}: {described_size(model)}: {sizes}", described(recipe)
