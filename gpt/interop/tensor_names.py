"""Names of weights in other formats, and their conversion to and from ours.

Each mechanism says what a format calls its tensors (`gpt.nn.mechanism.Mechanism.EXPORT_NAMES`).
Here these names become those of a whole model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gpt.errors import FormatError
from gpt.model.gpt import GPT
from gpt.nn.mechanism import Mechanism
from gpt.nn.norm import Norm


@dataclass(frozen=True)
class Format:
    """How a format names tensors."""

    names: tuple[str, ...]
    """Keys of `EXPORT_NAMES`, the first that a mechanism has is used."""
    block: str
    """Prefix of the names in block number ``{layer}``."""
    biases: bool = False
    """Whether linear layers and norms without a bias get one of zeros."""


HUGGING_FACE = {
    "gpt2": Format(("gpt2",), "transformer.h.{layer}.", biases=True),
    "llama": Format(("llama",), "model.layers.{layer}."),
    "qwen3": Format(("llama",), "model.layers.{layer}."),
}
"""Formats of Hugging Face folders by model family."""
GGUF = {
    "gpt2": Format(("gguf-gpt2", "gguf"), "blk.{layer}.", biases=True),
    "llama": Format(("gguf",), "blk.{layer}."),
    "qwen3": Format(("gguf",), "blk.{layer}."),
}
"""Formats of GGUF files by model family."""


class Entry(NamedTuple):
    """A module of another format."""

    name: str
    modules: list[nn.Module]
    """Our modules whose tensors it has, concatenated along the first dimension."""


def export_weights(model: GPT, format: Format) -> dict[str, Tensor]:
    """Return the weights of *model* by their names in *format*, without rows past the vocabulary.

    Raises FormatError for a weight that has no name there.
    """
    exported: dict[str, Tensor] = {}
    named: set[int] = set()
    for name, modules in _entries(model, format):
        for kind in ("weight", "bias"):
            parts = [getattr(part, kind, None) for part in modules]
            found = [part.detach() for part in parts if part is not None]
            named.update(id(part) for part in parts if part is not None)
            if found:
                tensor = torch.cat(found)
                exported[f"{name}.{kind}"] = tensor[: _rows(model, modules[0], len(tensor))].clone()
            elif kind == "bias" and format.biases and isinstance(modules[0], (nn.Linear, Norm)):
                weight = exported[f"{name}.weight"]
                if not _has_token_rows(modules[0]):
                    exported[f"{name}.bias"] = weight.new_zeros(len(weight))
    for ours, parameter in model.named_parameters():
        if id(parameter) not in named:
            raise FormatError(f"tensor {ours} has no name in this format")
    return exported


def import_weights(
    tensors: Mapping[str, Tensor], model: GPT, format: Format, *, unused: Collection[str] = ()
) -> None:
    """Copy *tensors*, named as in *format*, into *model*; rows past the vocabulary become zero.

    Raises FormatError for a tensor that is missing or has another shape, and for one that is
    neither in the model nor in *unused*.
    """
    unexpected = set(tensors) - set(unused)
    for name, modules in _entries(model, format):
        for kind in ("weight", "bias"):
            source = f"{name}.{kind}"
            parts = [getattr(part, kind, None) for part in modules]
            targets = [part.detach() for part in parts if part is not None]
            if not targets:
                continue
            if source not in tensors:
                raise FormatError(f"missing tensor {source}")
            unexpected.discard(source)
            tensor = tensors[source]
            # The vocabulary is padded here, and can be padded there to another size.
            if _has_token_rows(modules[0]):
                tensor = tensor[: model.vocab_size]
                targets = [targets[0].zero_()[: model.vocab_size]]
            sizes = [len(target) for target in targets]
            shape = (sum(sizes), *targets[0].shape[1:])
            if tensor.shape != shape:
                raise FormatError(
                    f"tensor {source} has shape {tuple(tensor.shape)}, but the config requires "
                    f"{shape}"
                )
            for target, part in zip(targets, torch.split(tensor, sizes), strict=True):
                target.copy_(part)
    if unexpected:
        raise FormatError(f"unexpected tensor {min(unexpected)}")


def _entries(model: GPT, format: Format) -> Iterator[Entry]:
    """Yield the modules of *format* that *model* has, without those whose weights are shared."""
    seen: set[int] = set()
    for module, prefix in _mechanisms(model, format):
        names = next((module.EXPORT_NAMES[n] for n in format.names if n in module.EXPORT_NAMES), {})
        for name, parts in names.items():
            modules = [module.get_submodule(part) for part in parts]
            new = {id(each) for part in modules for each in part.parameters()} - seen
            if new:
                seen |= new
                yield Entry(prefix + name, modules)


def _mechanisms(model: GPT, format: Format) -> Iterator[tuple[Mechanism, str]]:
    """Yield the mechanisms of *model* with the prefix of their names in *format*."""
    blocks = {block: format.block.format(layer=layer) for layer, block in enumerate(model.blocks)}

    def walk(module: nn.Module, prefix: str) -> Iterator[tuple[Mechanism, str]]:
        prefix = blocks.get(module, prefix)
        if isinstance(module, Mechanism):
            yield module, prefix
        for child in module.children():
            yield from walk(child, prefix)

    return walk(model, "")


def _has_token_rows(module: nn.Module) -> bool:
    return isinstance(module, Mechanism) and module.TOKEN_ROWS


def _rows(model: GPT, module: nn.Module, count: int) -> int:
    """Return how many of the *count* rows of *module* are exported."""
    return model.vocab_size if _has_token_rows(module) else count
