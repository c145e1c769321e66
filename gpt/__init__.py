"""A compact GPT trainer on token shards.

>>> from gpt import GPTConfig
>>> GPTConfig(vocab_size=4096).head_width
64

The names are lazy: torch is imported when a name that needs it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpt.generation.sampling import Sampling
    from gpt.generation.text import generate, generate_batch
    from gpt.model.gpt import GPT
    from gpt.runs.reading import read_checkpoint as load
    from gpt.runs.store import Memory
    from gpt.spec.architecture import GPTConfig
    from gpt.spec.recipe import Recipe
    from gpt.training.loop import train

_HOMES = {
    "GPT": ("gpt.model.gpt", "GPT"),
    "GPTConfig": ("gpt.spec.architecture", "GPTConfig"),
    "Memory": ("gpt.runs.store", "Memory"),
    "Recipe": ("gpt.spec.recipe", "Recipe"),
    "Sampling": ("gpt.generation.sampling", "Sampling"),
    "generate": ("gpt.generation.text", "generate"),
    "generate_batch": ("gpt.generation.text", "generate_batch"),
    "load": ("gpt.runs.reading", "read_checkpoint"),
    "train": ("gpt.training.loop", "train"),
}

__all__ = [
    "GPT",
    "GPTConfig",
    "Memory",
    "Recipe",
    "Sampling",
    "generate",
    "generate_batch",
    "load",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gpt' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
