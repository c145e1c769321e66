"""`Family`: a kind of models in another format, as a table of fields and a table of names.

What a family supports follows from its table: a config of ours that is the same after it has been
written and read. So a new mechanism is rejected, by the name of its field, until a table has it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from gpt.errors import ConfigError, FormatError
from gpt.interop.fields import Codec, Fields
from gpt.interop.tensor_names import Names
from gpt.spec.architecture import GPTConfig
from gpt.spec.serialize import flatten, nest, to_dict

NO_EFFECT = {"dropout"}
"""Our fields that have no effect after training."""
_BIASES = {"bias", "norm.bias", "attention.bias"}


class Described(NamedTuple):
    """A model as the fields of a family describe it."""

    config: GPTConfig
    zero: Callable[[str], bool]
    """Returns whether the module of a path has no bias there, where others have one."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of models."""

    name: str
    """Its name in the format: model_type, or general.architecture."""
    model: str = ""
    """The class of transformers for it."""
    fixed: Mapping[str, Any]
    """Fields of ours that are the same in each of its models."""
    fields: tuple[Codec, ...]
    """Its fields, in the order in which they are read."""
    names: Names
    """Its names of tensors."""
    adds_biases: bool = False
    """Whether linear layers and norms without a bias are written with one of zeros."""
    unused: tuple[str, ...] = ()
    """Tensors in its files that nothing reads."""
    notes: str = ""
    """What of it is not supported, for the documentation."""

    def read(self, fields: Mapping[str, Any]) -> Described:
        """Return the model that *fields* describe.

        Raises FormatError, or ConfigError for sizes that do not fit together.
        """
        ours = dict(self.fixed)
        found = Fields(fields)
        for codec in self.fields:
            codec.read(found, ours)
        return _described(ours)

    def write(self, config: GPTConfig) -> dict[str, Any]:
        """Return the fields of a model of *config*, which `mismatches` has found no fault with."""
        ours = _flat(config)
        return {name: value for codec in self.fields for name, value in codec.write(ours).items()}

    def mismatches(self, config: GPTConfig) -> list[str]:
        """Describe each field of *config* that the family does not support."""
        ours, again = _flat(config), dict(self.fixed)
        fields = Fields(self.write(config))
        for codec in self.fields:
            with suppress(FormatError):
                codec.read(fields, again)
        with suppress(ConfigError):
            again = _flat(_described(again).config)
        ignored = NO_EFFECT | (_BIASES if self.adds_biases else set())
        return [
            f"{name} is {ours.get(name)} ({self.name}: {again.get(name, 'not supported')})"
            for name in dict.fromkeys((*ours, *again))
            if name not in ignored and (ours.get(name) or None) != (again.get(name) or None)
        ]


def nearest(config: GPTConfig, families: Mapping[str, Family]) -> Family:
    """Return the first of *families* that supports *config*.

    Raises FormatError if there is none, with the mismatches of the nearest, or of the first of
    several.
    """
    found = {family.name: family.mismatches(config) for family in families.values()}
    name = min(found, key=lambda name: len(found[name]))
    if found[name]:
        raise FormatError(
            f"no other software's format supports this model; nearest: {name}, but "
            f"{', '.join(found[name])}"
        )
    return families[name]


def _described(ours: dict[str, Any]) -> Described:
    """Return the model with the fields *ours*, by dotted path."""
    which = ours.pop("attention.bias", None)
    if which is None:
        return Described(GPTConfig.from_dict(nest(ours)), lambda path: False)
    having = {
        "attention.query": which in ("qkv", "all"),
        "attention.key": which in ("qkv", "all"),
        "attention.value": which in ("qkv", "all"),
        "attention.output": which in ("output", "all"),
        "mlp": ours["bias"],
    }
    without = tuple(f".{path}" for path, has in having.items() if not has)
    config = GPTConfig.from_dict(nest({**ours, "bias": any(having.values())}))
    return Described(
        config, lambda path: any(part in path for part in without) and "norm" not in path
    )


def _flat(config: GPTConfig) -> dict[str, Any]:
    """Return the fields of *config* by dotted path, with the sizes that it derives from others."""
    attention = config.attention
    mlp = config.mlp
    resolved = dataclasses.replace(
        config,
        mlp=dataclasses.replace(mlp, hidden=mlp.hidden_width(config.width)),
        attention=dataclasses.replace(attention, head_width=config.head_width),
    )
    return flatten(to_dict(resolved))
