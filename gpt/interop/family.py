"""`Family`: a kind of models in another format, as a table of fields and a table of names.

What a family supports follows from its table: a config of ours that is the same after it has been
written and read. So a new mechanism is rejected, by the name of its field, until a table has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gpt.errors import ConfigError, FormatError
from gpt.interop.fields import Codec, Fields
from gpt.interop.layers import BIAS, config_of, flat_table
from gpt.interop.tensor_names import Names
from gpt.spec.architecture import GPTConfig

NO_EFFECT = (
    *("dropout", "mlp.balance.weight", "mlp.balance.over", "mlp.z_loss"),
    *("mlp.multiple_of", "mlp.expert.multiple_of", "norm.cast", "attention.decode"),
)
"""Our fields that have no effect after training, none besides those that follow from them, or only
on the last bit of bfloat16."""
_BIASES = ("bias", "norm.bias", BIAS)


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
    other_tasks: tuple[str, ...] = ()
    """Beginnings of the names of tensors of other tasks' heads, which are not read."""
    source: Family | None = None
    """The family of Hugging Face, for an architecture of GGUF."""

    def read(self, fields: Mapping[str, Any], layers: int | None = None) -> GPTConfig:
        """Return the config that *fields* describe, of a model with tensors of *layers* layers.

        Raises FormatError, or ConfigError for sizes that do not fit together.
        """
        ours = dict(self.fixed)
        found = Fields(fields)
        for codec in self.fields:
            codec.read(found, ours)
            # Before there is something for each layer: a config can ask for any number.
            asked = ours.get("layers", layers)
            if layers is not None and asked != layers:
                raise FormatError(
                    f"the config asks for {asked} layers, but there are tensors of {layers}"
                )
        return config_of(ours)

    def write(self, config: GPTConfig) -> dict[str, Any]:
        """Return the fields of a model of *config*, which `mismatches` has found no fault with."""
        ours = flat_table(config)
        return {name: value for codec in self.fields for name, value in codec.write(ours).items()}

    def mismatches(self, config: GPTConfig) -> list[str]:
        """Describe each field of *config* that the family does not support."""
        ours, again = flat_table(config), dict(self.fixed)
        fields = Fields(self.write(config))
        for codec in self.fields:
            with suppress(FormatError):
                codec.read(fields, again)
        with suppress(ConfigError):
            again = flat_table(config_of(again))
        ignored = (*NO_EFFECT, *(_BIASES if self.adds_biases else ()))
        return [
            f"{name} is {ours.get(name)} ({self.name}: {again.get(name, 'not supported')})"
            for name in dict.fromkeys((*ours, *again))
            if not name.startswith(ignored)
            and (ours.get(name) or None) != (again.get(name) or None)
        ]


def nearest(config: GPTConfig, families: Mapping[Any, Family]) -> Family:
    """Return the first of *families* that supports *config*.

    Raises FormatError if there is none, with the mismatches of the nearest, or of the first of
    several.
    """
    found = {key: family.mismatches(config) for key, family in families.items()}
    key = min(found, key=lambda key: len(found[key]))
    if found[key]:
        raise FormatError(
            f"no other software's format supports this model; nearest: {families[key].name}, but "
            f"{', '.join(found[key])}"
        )
    return families[key]
