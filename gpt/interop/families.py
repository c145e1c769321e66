"""The families of models that other software knows, and what of a config each can hold.

A family is told by its mechanisms. What it has no field for is refused by name: a file that loads
and computes something else is worse than none. Field names are dotted paths, as in recipes.
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
    """A kind of model, under the name that both Hugging Face and GGUF give it."""

    name: str
    fixed: Callable[[GPTConfig], Mapping[str, Any]]
    """The fields that must have one value, and which, for a config."""
    free: frozenset[str]
    """The fields that may have any. All others must be off: none, false or zero."""

    def obstacles(self, config: GPTConfig) -> list[str]:
        """What of *config* the family cannot hold, and why, one sentence each."""
        fixed, found = self.fixed(config), []
        for name, value in flatten(to_dict(_resolved(config))).items():
            if name in fixed:
                if value != fixed[name]:
                    found.append(f"{name} is {value}, where {self.name} has {fixed[name]}")
            elif name not in self.free and value:
                found.append(f"{name} is {value}, and {self.name} has nothing of the kind")
        return found


_PLAIN = {
    "shift.kind": "NoShift",
    "residual.kind": "PlainResidual",
    "value_embedding.kind": "NoValueEmbedding",
    "cap.kind": "NoCap",
}
"""What no family has anything but."""

_SIZES = frozenset({"vocab_size", "context", "layers", "width", "mlp.hidden", "attention.heads"})
_ANY = _SIZES | {"tie", "dropout"}  # dropout is for training, which the formats say nothing of

GPT2 = Family(
    name="gpt2",
    fixed=lambda config: {
        **_PLAIN,
        "position.kind": "Learned",
        "norm.kind": "LayerNorm",
        "mlp.kind": "Gelu",
        "attention.kv_heads": config.attention.heads,
        "attention.head_width": config.width / config.attention.heads,
    },
    free=_ANY | {"norm.eps", "norm.bias", "mlp.tanh", "bias"},  # absent biases are zeros
)
LLAMA = Family(
    name="llama",
    fixed=lambda config: {
        **_PLAIN,
        "position.kind": "Rope",
        "position.fraction": 1.0,
        "norm.kind": "RMSNorm",
        "norm.weight": True,
        "mlp.kind": "SwiGLU",
    },
    free=_ANY
    | {"position.theta", "norm.eps", "attention.kv_heads", "attention.head_width", "bias"},
)
QWEN3 = Family(
    name="qwen3",
    fixed=lambda config: {
        **LLAMA.fixed(config),
        "attention.qk_norm": True,
        "norm.eps": 1e-6,  # one for all norms, and those of queries and keys have this one
    },
    free=LLAMA.free - {"norm.eps", "bias"},
)
FAMILIES = {family.name: family for family in (GPT2, LLAMA, QWEN3)}


def family_of(config: GPTConfig) -> Family:
    """Find the family that holds *config*; FormatError names what stands against the nearest."""
    # The last first: qwen3 is llama and more, so of the two it is the one that was meant.
    nearest = min(reversed(FAMILIES.values()), key=lambda family: len(family.obstacles(config)))
    obstacles = nearest.obstacles(config)
    if obstacles:
        raise FormatError(
            f"no format of other software holds this model; the nearest is {nearest.name}, but "
            f"{'; '.join(obstacles)}"
        )
    return nearest


def _resolved(config: GPTConfig) -> GPTConfig:
    """Write out the sizes that *config* leaves to be derived."""
    return dataclasses.replace(
        config,
        mlp=dataclasses.replace(config.mlp, hidden=config.hidden),
        attention=dataclasses.replace(config.attention, head_width=config.head_width),
    )
