"""Fields of a recipe that a user sets. They replace planned values, and other fields follow them.

overrides = Overrides({"model.width": 64}, {"model.width": "--width 64"})
overrides.over(planned)        # of width 64, with a number of heads that divides it
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from gpt.errors import ConfigError
from gpt.spec.attention import AnyAttention
from gpt.spec.fields import KIND, fields_of
from gpt.spec.objective import AnyObjective
from gpt.spec.recipe import MAY_CHANGE, Recipe
from gpt.spec.serialize import flatten, merge, nest, to_dict

SCORES = {each.__name__: each.SCORES[0].__name__ for each in get_args(AnyObjective)}
"""The score of runs with an objective that is set, unless another is set, too."""
HEAD_STEP = 8
"""Heads whose number is set have a multiple of this as their width."""


@dataclass(frozen=True)
class Overrides:
    """Fields that are set, by dotted name."""

    values: Mapping[str, Any] = field(default_factory=dict)
    """Plain values, as TOML holds them."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """For errors, how each was written: an option, or the name of a file."""

    def without(self, *names: str) -> Overrides:
        """Return these without the fields *names*."""
        values = {name: value for name, value in self.values.items() if name not in names}
        return Overrides(values, self.sources)

    def over(self, recipe: Recipe) -> Recipe:
        """Return *recipe* with these fields; raises ConfigError that names them as written."""
        given = nest(following(recipe, self.values) | dict(self.values))
        try:
            return Recipe.from_dict(merge(recipe.to_dict(), given))
        except ConfigError as error:
            raise ConfigError(self.with_sources(str(error))) from None

    def check_resumable(self, saved: Recipe) -> None:
        """Raise ConfigError, naming the field, if these would change the run *saved*."""
        old = flatten(saved.to_dict())
        for name, value in self.values.items():
            if name not in MAY_CHANGE and old.get(name) != value:
                raise ConfigError(
                    f"{self.sources[name]}: {saved.out} holds a run with {name} = "
                    f"{old.get(name)}; set that to resume it, or choose another --out"
                )

    def with_sources(self, message: str) -> str:
        """Return *message*, prefixed with the sources of the fields that it names."""
        sources = [
            self.sources[name]
            for name in self.values
            if re.search(rf"\b{name.removesuffix(KIND).rpartition('.')[2]}\b", message)
        ]
        return ": ".join(filter(None, [" ".join(dict.fromkeys(sources)), as_options(message)]))


def as_options(message: str) -> str:
    """Return *message* with the fields that it asks to set as they can be typed.

    >>> as_options("3 heads do not fit; set attention.head_width, or width")
    '3 heads do not fit; --set model.attention.head_width=VALUE, or width'
    >>> as_options("this sees no later token; set attention.pattern to Full")
    'this sees no later token; --set model.attention.pattern=Full'
    """
    names = fields_of(Recipe).by_name

    def typed(found: re.Match[str]) -> str:
        full = [name for name in names if f".{name}".endswith(f".{found[1]}")]
        # Experts have fields of the names of the model's: the outermost is meant.
        full.sort(key=lambda name: name.count("."))
        among = ", one of" if found[3] else ""
        return f"--set {full[0]}={found[2] or 'VALUE'}{among}" if full else found[0]

    name = r"([a-z_]+(?:\.[a-z_]+)*)"
    value = r" to (none|true|false|[A-Z]\w+)\b"
    return re.sub(rf"\bset {name}\b(?:{value}|( to one of))?", typed, message)


def following(recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of *recipe* that have to change because of the *given* ones.

    The numbers of heads have to divide the width, and a longer warmup leaves less for the decay.
    """
    fields = _width_and_heads(recipe, given) | _of_attention(recipe, given)
    decay, warmup = getattr(recipe.schedule, "decay", None), given.get("schedule.warmup")
    if decay is not None and warmup is not None and warmup <= 1 and "schedule" + KIND not in given:
        fields["schedule.decay"] = min(decay, 1 - warmup)
    objective = given.get("objective" + KIND)
    if objective in SCORES and "score" + KIND not in given:
        fields["score" + KIND] = SCORES[objective]
    return fields


def _width_and_heads(recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
    """Choose the width and the numbers of heads that are not given, close to those of *recipe*.

    Heads keep about their width, and as many query heads as before share a key head.
    """
    names = ("model.width", "model.attention.heads", "model.attention.kv_heads")
    width, heads, kv_heads = (given.get(name) for name in names)
    if not hasattr(recipe.model, "attention") or "model" + KIND in given:
        return {}
    model, attention = recipe.model, to_dict(recipe.model.attention)
    fixed = given.get("model.attention.head_width", attention.get("head_width")) is not None
    fixed = fixed or "kv_heads" not in attention
    sizes = [size for size in (width, heads, kv_heads) if size is not None]
    # Heads of a fixed width fit any model; a size below 1 is an error that the spec raises.
    if not sizes or min(sizes) < 1 or fixed or "model.attention" + KIND in given:
        return {}
    if heads is None:
        heads = _fitting_heads(
            width or model.width, kv_heads or 1, model.width / attention["heads"]
        )
    if heads is None:
        heads = attention["heads"] if width else (kv_heads or 1)
    if width is None:
        width = model.width
        if width % (2 * heads):
            width = heads * HEAD_STEP * max(1, round(width / heads / HEAD_STEP))
    if kv_heads is None:
        shared = attention["heads"] // attention["kv_heads"]
        kv_heads = heads // shared if heads % shared == 0 else heads
    return dict(zip(names, (width, heads, kv_heads), strict=True))


def _of_attention(recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that follow a kind of attention that is *given*: what it needs of the plan.

    These are the numbers of heads, and no value embedding where no values are kept.
    """
    kinds = {kind.__name__: kind for kind in get_args(AnyAttention)}
    kind = kinds.get(given.get("model.attention" + KIND, ""))
    planned = getattr(recipe.model, "attention", None)
    if kind is None or planned is None or not hasattr(planned, "heads"):
        return {}
    # The heads follow the width as they would without another kind.
    sizes = {name: given[name] for name in ("model.width",) if name in given}
    followed = _width_and_heads(recipe, sizes)
    heads = given.get("model.attention.heads", followed.get("model.attention.heads", planned.heads))
    needed = [each.name for each in dataclasses.fields(kind) if each.default is dataclasses.MISSING]
    fields = {
        f"model.attention.{name}": heads
        for name in ("heads", "kv_heads")
        if name in needed and f"model.attention.{name}" not in given
    }
    if not kind.keeps_values and not any(n.startswith("model.value_embedding") for n in given):
        fields["model.value_embedding"] = None
    return fields


def _fitting_heads(width: int, kv_heads: int, head_width: float) -> int | None:
    """Return the number of heads that divides *width* into heads closest to *head_width*.

    It is a multiple of *kv_heads*, and the width of a head is even, since rotations need pairs.
    None if there is no such number.
    """
    counts = [n for n in range(kv_heads, width // 2 + 1, kv_heads) if width % (2 * n) == 0]
    return min(counts, key=lambda n: abs(math.log(width / n / head_width)), default=None)
