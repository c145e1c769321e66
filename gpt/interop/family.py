"""`Family`: a kind of models in another format, as a table of fields and a table of names.

What a family supports follows from its table: a config of ours that is the same after it has been
written and read. So a new mechanism is rejected, by the name of its field, until a table has it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gpt.errors import ConfigError, FormatError
from gpt.interop.fields import ATTENTION_BIASES, Codec, Fields
from gpt.interop.tensor_names import Names
from gpt.interop.windows import PATTERN, windows_of, with_windows
from gpt.spec.architecture import GPTConfig
from gpt.spec.serialize import flatten, nest, to_dict

NO_EFFECT = {"dropout"}
"""Our fields that have no effect after training."""
BIAS = "attention.bias"
_BIASES = {"bias", "norm.bias", BIAS}


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

    def read(self, fields: Mapping[str, Any]) -> GPTConfig:
        """Return the config that *fields* describe.

        Raises FormatError, or ConfigError for sizes that do not fit together.
        """
        ours = dict(self.fixed)
        found = Fields(fields)
        for codec in self.fields:
            codec.read(found, ours)
        return _config(ours)

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
            again = _flat(_config(again))
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


def _config(ours: Mapping[str, Any]) -> GPTConfig:
    """Return the config with the fields *ours*, by dotted path; the inverse of `_flat`."""
    plain = nest({name: value for name, value in ours.items() if name != PATTERN})
    if PATTERN in ours:
        plain["attention"] = with_windows(plain["attention"], ours[PATTERN])
    return GPTConfig.from_dict(plain)


def _flat(config: GPTConfig) -> dict[str, Any]:
    """Return the fields of *config* by dotted path, with the sizes that it derives from others.

    Attention that differs between layers has the fields of one layer. One that differs is a list
    of its values in all layers, and so are always windows (`windows.PATTERN`).
    """
    layers: list[Any] = [
        config.attention_in(layer).resolved(config.width) for layer in range(config.layers)
    ]
    mlp = config.mlp.resolved(config.width)
    flats = [
        flatten(to_dict(dataclasses.replace(config, mlp=mlp, attention=attention)))
        for attention in layers
    ]
    for each in flats:
        if each.get(BIAS, "") is None:
            each[BIAS] = ATTENTION_BIASES[config.bias, config.bias]
    names = dict.fromkeys(name for flat in flats for name in flat)
    values = {name: [flat.get(name) for flat in flats] for name in names}
    flat = {
        name: each[0] if each == each[:1] * len(each) else each for name, each in values.items()
    }
    windows = windows_of([getattr(each, "pattern", None) for each in layers], config.context)
    if windows is not None:
        flat = {name: value for name, value in flat.items() if not name.startswith(f"{PATTERN}.")}
        flat[PATTERN] = windows
    return flat
