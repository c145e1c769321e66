"""A compact GPT trainer on token shards.

>>> from gpt import GPTConfig
>>> GPTConfig(vocab_size=4096).head_width
64

Names only; torch is imported when a name that needs it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpt.checkpoint import read_checkpoint as load
    from gpt.choosing import Sampling
    from gpt.config import GPTConfig
    from gpt.model import GPT
    from gpt.recipe import Recipe
    from gpt.sample import generate, generate_batch
    from gpt.training import train

_HOMES = {
    "GPT": ("gpt.model", "GPT"),
    "GPTConfig": ("gpt.config", "GPTConfig"),
    "Recipe": ("gpt.recipe", "Recipe"),
    "Sampling": ("gpt.choosing", "Sampling"),
    "generate": ("gpt.sample", "generate"),
    "generate_batch": ("gpt.sample", "generate_batch"),
    "load": ("gpt.checkpoint", "read_checkpoint"),
    "train": ("gpt.training", "train"),
}

__all__ = ["GPT", "GPTConfig", "Recipe", "Sampling", "generate", "generate_batch", "load", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gpt' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
