"""Shapes of a model's tensors, to compare with those of a file before memory is used for a model.

A config is a few bytes that can ask for any size. So what is built is first the model on the device
``meta``, whose tensors have shapes and no memory, and only after its layers have been counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from gpt.errors import ConfigError
from gpt.model.build import build_model
from gpt.model.model import Model
from gpt.spec.models import AnyConfig


def without_memory(config: AnyConfig, device: str = "meta") -> Model:
    """Return the model of *config* on *device*, with weights that are not initialized.

    Raises ConfigError for sizes that no tensor can have.
    """
    try:
        with torch.device(device), _Uninitialized():
            return build_model(config)
    except (OverflowError, RuntimeError, TypeError) as error:  # torch raises any of these
        sizes = {"vocab_size": config.vocab_size, **config.sizes()}
        named = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ConfigError(f"a size is too large: {named}") from error


def count_layers(names: Iterable[str], block: str) -> int:
    """Return of how many layers there are tensors among *names*.

    *block* is the beginning of the names in a layer, with ``{layer}`` for its number.

    >>> count_layers(["wte.weight", "h.0.up", "h.0.down", "h.1.up"], "h.{layer}.")
    2
    """
    number = re.compile(re.escape(block).replace(r"\{layer\}", "([0-9]+)"))
    return len({match[1] for name in names if (match := number.match(name))})


class _Uninitialized(TorchFunctionMode):
    """Leaves tensors as they are that would be initialized.

    PERF: the first random number on the device ``meta`` costs seconds of imports.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"]
        return function(*args, **kwargs)
