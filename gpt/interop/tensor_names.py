"""Names of weights in other formats, and their conversion to and from ours.

Each mechanism says what a format calls its tensors (`gpt.nn.mechanism.Mechanism.EXPORT_NAMES`).
Here these names become those of a whole model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from gpt.errors import FormatError
from gpt.model.gpt import GPT
from gpt.model.shapes import count_layers, without_memory
from gpt.nn.mechanism import Mechanism
from gpt.nn.norm import Norm
from gpt.spec.architecture import GPTConfig


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


@dataclass(frozen=True)
class Tensors:
    """The tensors of files, of which the shapes are known and each is read when it is needed."""

    shapes: Mapping[str, tuple[int, ...]]
    """Shape of each tensor, by its name."""
    read: Callable[[str], Tensor]
    """Returns the tensor of a name."""

    def renamed(self, names: Mapping[str, str]) -> Tensors:
        """Return these by new names: *names* has the old name for each new one."""
        shapes = {new: self.shapes[old] for new, old in names.items()}
        return Tensors(shapes, lambda name: self.read(names[name]))


class Entry(NamedTuple):
    """A module of another format."""

    name: str
    modules: list[nn.Module]
    """Our modules whose tensors it has, concatenated along the first dimension."""


class Target(NamedTuple):
    """A tensor of another format."""

    name: str
    parts: list[Tensor]
    """Our tensors that it has, concatenated along the first dimension."""
    has_token_rows: bool
    """Whether each row is of a token; rows past the vocabulary are padding, here and there."""


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


def import_model(
    config: GPTConfig,
    tensors: Tensors,
    format: Format,
    *,
    unused: Collection[str] = (),
    zero: Callable[[str], bool] = lambda name: False,
) -> GPT:
    """Return the model of *config* with *tensors*, named as in *format*, in evaluation mode.

    Rows past the vocabulary become zero, and so do tensors for whose name *zero* returns true:
    these are not in the file. Nothing is read before all names and shapes have been compared with
    those that *config* asks for. Raises FormatError for a tensor that is missing or has another
    shape, and for one that is neither in the model nor in *unused*.
    """
    layers = count_layers(tensors.shapes, format.block)
    if layers != config.layers:
        raise FormatError(
            f"the config asks for {config.layers} layers, but there are tensors of {layers}"
        )
    _check(tensors, cast(GPT, without_memory(config)), format, unused, zero)
    model = GPT(config)
    for name, parts, has_token_rows in _targets(model, format):
        if zero(name):
            for part in parts:
                part.zero_()
            continue
        tensor, targets = tensors.read(name), parts
        if has_token_rows:
            tensor = tensor[: model.vocab_size]
            targets = [parts[0].zero_()[: model.vocab_size]]
        sizes = [len(target) for target in targets]
        for target, source in zip(targets, torch.split(tensor, sizes), strict=True):
            target.copy_(source)
    return model.eval()


def _check(
    tensors: Tensors,
    model: GPT,
    format: Format,
    unused: Collection[str],
    zero: Callable[[str], bool],
) -> None:
    """Raise FormatError if *tensors* are not those of *model*; see `import_model`."""
    unexpected = set(tensors.shapes) - set(unused)
    for name, parts, has_token_rows in _targets(model, format):
        if zero(name):
            continue
        if name not in tensors.shapes:
            raise FormatError(f"missing tensor {name}")
        unexpected.discard(name)
        found = tensors.shapes[name]
        rows = sum(map(len, parts))
        # The vocabulary is padded here, and can be padded there to another size.
        if has_token_rows:
            rows, found = model.vocab_size, (min(model.vocab_size, *found[:1]), *found[1:])
        expected = (rows, *parts[0].shape[1:])
        if found != expected:
            raise FormatError(
                f"tensor {name} has shape {found}, but the config requires {expected}"
            )
    if unexpected:
        raise FormatError(f"unexpected tensor {min(unexpected)}")


def _targets(model: GPT, format: Format) -> Iterator[Target]:
    """Yield the tensors of *format* that *model* has."""
    for name, modules in _entries(model, format):
        for kind in ("weight", "bias"):
            parts = [getattr(part, kind, None) for part in modules]
            if found := [part.detach() for part in parts if part is not None]:
                yield Target(f"{name}.{kind}", found, _has_token_rows(modules[0]))


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
