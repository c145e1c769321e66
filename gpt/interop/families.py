"""The model families of other software, and the configs that each of them supports.

A family is identified by its mechanisms. Fields of a config that it cannot represent are rejected
by name: a file that loads and computes something else is worse than none. Field names are dotted
paths, as in recipes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gpt.errors import FormatError
from gpt.spec.architecture import GPTConfig
from gpt.spec.serialize import flatten, to_dict


@dataclass(frozen=True, kw_only=True)
class Family:
    """A model family."""

    name: str
    """Name of the family, the same in Hugging Face and in GGUF."""
    required: Callable[[GPTConfig], Mapping[str, Any]]
    """Function from a config to the fields that must have a certain value, and that value."""
    free: frozenset[str]
    """Fields that can have any value. All others must be off: None, false or zero."""

    def mismatches(self, config: GPTConfig) -> list[str]:
        """Describe each field of *config* that the family does not support."""
        required, found = self.required(config), []
        plain = flatten(to_dict(_resolved(config)))
        for name in dict.fromkeys((*plain, *required)):
            value = plain.get(name)
            if name in required:
                if value != required[name]:
                    found.append(f"{name} is {value} ({self.name}: {required[name]})")
            elif name not in self.free and value:
                found.append(f"{name} is {value} ({self.name}: not supported)")
        return found


_COMMON = {
    "wiring.kind": "PreNorm",
    "mlp.kind": "MLP",
    "attention.kind": "GroupedQuery",
    "attention.pattern.kind": "Causal",
    "attention.score.kind": "ScaledDot",
    "attention.normalizer.kind": "Softmax",
}
"""Required by every family."""

_SIZES = frozenset({"vocab_size", "context", "layers", "width", "mlp.hidden", "attention.heads"})
_ANY = _SIZES | {"tie", "dropout"}  # dropout has no effect after training

GPT2 = Family(
    name="gpt2",
    required=lambda config: {
        **_COMMON,
        "position.kind": "Learned",
        "norm.kind": "LayerNorm",
        "mlp.activation": "gelu" if config.mlp.activation == "gelu" else "gelu_tanh",
        "mlp.gated": False,
        "attention.kv_heads": config.attention.heads,
        "attention.head_width": config.width / config.attention.heads,
    },
    free=_ANY | {"norm.eps", "norm.bias", "bias"},  # a missing bias is written as zeros
)
LLAMA = Family(
    name="llama",
    required=lambda config: {
        **_COMMON,
        "position.kind": "Rope",
        "position.fraction": 1.0,
        "norm.kind": "RMSNorm",
        "norm.weight": True,
        "mlp.activation": "silu",
        "mlp.gated": True,
    },
    free=_ANY
    | {"position.theta", "norm.eps", "attention.kv_heads", "attention.head_width", "bias"},
)
QWEN3 = Family(
    name="qwen3",
    required=lambda config: {
        **LLAMA.required(config),
        "attention.qk_norm": True,
        "norm.eps": 1e-6,  # the eps of our query and key norms; a qwen3 has one for all norms
    },
    free=LLAMA.free - {"norm.eps", "bias"},
)
FAMILIES = {family.name: family for family in (GPT2, LLAMA, QWEN3)}


def family_of(config: GPTConfig) -> Family:
    """Return the family that supports *config*.

    Raises FormatError if there is none, with the mismatches of the nearest.
    """
    # Reversed, so that a tie between llama and qwen3, which extends it, is reported for qwen3.
    nearest = min(reversed(FAMILIES.values()), key=lambda family: len(family.mismatches(config)))
    mismatches = nearest.mismatches(config)
    if mismatches:
        raise FormatError(
            f"no other software's format supports this model; nearest: {nearest.name}, but "
            f"{', '.join(mismatches)}"
        )
    return nearest


def _resolved(config: GPTConfig) -> GPTConfig:
    """Return *config* with the sizes filled in that it derives from others."""
    return dataclasses.replace(
        config,
        mlp=dataclasses.replace(config.mlp, hidden=config.mlp.hidden_width(config.width)),
        attention=config.attention.resolved(config.width),
    )
