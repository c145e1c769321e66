"""Weights by their names in another format: written from a model, and read into one.

A format has a table from its names to modules of ours (`Names`); how the modules lie in a tensor is
that of the entry (`gpt.interop.layouts`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from gpt.errors import FormatError
from gpt.interop.layouts import Entry
from gpt.model.build import build_model
from gpt.model.gpt import Stack
from gpt.model.shapes import without_memory
from gpt.nn.mechanism import Mechanism, kind_of
from gpt.nn.norm import Norm
from gpt.spec.architecture import GPTConfig
from gpt.spec.classifier import ClassifierConfig

Names = Mapping[str, str | Entry]
"""Their names, without ``.weight`` and ``.bias``, and the path of our module or an entry. Names of
parameters are complete. ``{layer}`` is the number of a block; ``{expert}``, on their side alone,
that of an expert, or of a head, whose tensors are one here. What a model has not is skipped, so a
table can have the names of parts that only some models have."""
_LAYER, EXPERT = "{layer}", "{expert}"


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


class Target(NamedTuple):
    """A tensor of another format."""

    name: str
    entry: Entry
    parts: list[Tensor]
    """Our tensors that it has."""
    modules: list[nn.Module]
    """The modules that they are of."""
    parameters: list[Tensor]
    """The parameters that they are, or are slices of."""

    @property
    def has_token_rows(self) -> bool:
        """Whether each row is of a token; rows past the vocabulary are padding, here and there."""
        module = self.modules[0]
        return isinstance(module, Mechanism) and module.TOKEN_ROWS

    @property
    def can_have_bias(self) -> bool:
        """Whether it is of a norm, or of a linear layer that is not the head."""
        module = self.modules[0]
        is_head = kind_of(module, "weight", cast(nn.Parameter, self.parameters[0])) == "head"
        return isinstance(module, (nn.Linear, Norm)) and not is_head


def export_weights(model: Stack, names: Names, *, adds_biases: bool = False) -> dict[str, Tensor]:
    """Return the weights of *model* by their *names*, without rows past the vocabulary.

    With *adds_biases*, linear layers and norms without a bias get one of zeros. Raises FormatError
    for a weight that has no name.
    """
    exported: dict[str, Tensor] = {}
    named: set[int] = set()
    for target in _targets(model, names):
        named.update(map(id, target.parameters))
        parts = [part.detach() for part in target.parts]
        if target.has_token_rows:
            parts = [part[: model.vocab_size] for part in parts]
        tensor = target.entry.join(parts, model.config)
        exported[target.name] = tensor.contiguous().clone()
        if target.entry.first_row_of:
            exported[target.entry.first_row_of] = tensor.new_zeros(1, *tensor.shape[1:])
        name = target.name.removesuffix(".weight") + ".bias"
        if adds_biases and target.can_have_bias and not _parts(target.modules, "bias"):
            exported[name] = tensor.new_zeros(sum(map(len, parts)))
    for ours, parameter in model.named_parameters():
        if id(parameter) not in named:
            raise FormatError(f"tensor {ours} has no name in this format")
    return exported


def import_model(
    config: GPTConfig | ClassifierConfig,
    tensors: Tensors,
    names: Names,
    *,
    unused: Collection[str] = (),
) -> Stack:
    """Return the model of *config* with *tensors*, called *names*, in evaluation mode.

    Rows past the vocabulary become zero. Nothing is read before all names and shapes have been
    compared with those that *config* asks for. Raises FormatError for a tensor that is missing or
    has another shape, and for one that is neither in the model nor in *unused*.
    """
    _check(tensors, cast(Stack, without_memory(config)), names, unused)
    model = cast(Stack, build_model(config))
    with torch.no_grad():
        for target in _targets(model, names):
            tensor, parts = tensors.read(target.name), target.parts
            if target.entry.first_row_of:
                tensor = tensor + tensors.read(target.entry.first_row_of)[:1]
            if target.has_token_rows:
                tensor = tensor[: model.vocab_size]
                parts = [parts[0].zero_()[: model.vocab_size]]
            sources = target.entry.split(tensor, [len(part) for part in parts], config)
            for part, source in zip(parts, sources, strict=True):
                part.copy_(source)
    return model.eval()


def block_prefix(names: Names) -> str:
    """Return with what the names of tensors in a block begin.

    >>> block_prefix({"wte": "embedding", "h.{layer}.ln_1": "blocks.{layer}.attention_norm"})
    'h.{layer}.'
    """
    name = next(name for name in names if _LAYER in name)
    return name[: name.index(_LAYER)] + _LAYER + "."


def _check(
    tensors: Tensors,
    model: Stack,
    names: Names,
    unused: Collection[str],
) -> None:
    """Raise FormatError if *tensors* are not those of *model*; see `import_model`."""
    unexpected = set(tensors.shapes) - set(unused)
    for target in _targets(model, names):
        name = target.name
        if name not in tensors.shapes:
            raise FormatError(f"missing tensor {name}")
        unexpected.discard(name)
        if other := target.entry.first_row_of:
            width = target.parts[0].shape[1]
            if tensors.shapes.get(other, ())[1:] != (width,) or not tensors.shapes[other][0]:
                raise FormatError(f"tensor {other} is missing, or has no rows of {width} numbers")
            unexpected.discard(other)
        found = tensors.shapes[name]
        expected = target.entry.shape([part.shape for part in target.parts])
        # The vocabulary is padded here, and can be padded there to another size.
        if target.has_token_rows:
            expected = (model.vocab_size, *expected[1:])
            found = (min(model.vocab_size, *found[:1]), *found[1:])
        if found != expected:
            raise FormatError(
                f"tensor {name} has shape {found}, but the config requires {expected}"
            )
    if unexpected:
        raise FormatError(f"unexpected tensor {min(unexpected)}")


def entries_of(model: Stack, names: Names) -> Iterator[tuple[str, Entry]]:
    """Yield *names*, each with its entry, whose modules *model* can have; ``{expert}`` stays."""
    for name, entry in _entries(names, len(model.blocks)):
        if _applies(model, entry):
            yield name, entry


def _targets(model: Stack, names: Names) -> Iterator[Target]:
    """Yield the tensors called *names* that *model* has, without those whose weights are shared."""
    seen: set[int] = set()
    for name, entry in entries_of(model, names):
        for kind, modules, parts in _tensors(model, entry):
            if new := {id(part) for part in parts} - seen:
                seen |= new
                layout = replace(entry, offset=0.0) if kind == ".bias" else entry
                for one, slices in _by_expert(f"{name}{kind}", parts):
                    yield Target(one, layout, slices, modules, parts)


def _by_expert(name: str, parts: list[Tensor]) -> Iterator[tuple[str, list[Tensor]]]:
    """Yield *name* and *parts*, or those of each expert if there is one tensor for each."""
    if EXPERT not in name:
        yield name, parts
        return
    for expert in range(len(parts[0])):
        yield name.replace(EXPERT, str(expert)), [part[expert] for part in parts]


def _entries(names: Names, layers: int) -> Iterator[tuple[str, Entry]]:
    """Yield *names* with their entries, those of a block once for each of the *layers*."""
    for name, value in names.items():
        entry = value if isinstance(value, Entry) else Entry((value,))
        for layer in range(layers if _LAYER in name else 1):
            yield name.replace(_LAYER, str(layer)), _in_layer(entry, layer)


def _in_layer(entry: Entry, layer: int) -> Entry:
    """Return *entry* with the number of *layer* in its paths."""
    modules, beside, without = (
        tuple(path.replace(_LAYER, str(layer)) for path in paths)
        for paths in (entry.modules, (entry.beside,), (entry.without,))
    )
    return replace(entry, modules=modules, beside=beside[0], without=without[0])


def _applies(model: Stack, entry: Entry) -> bool:
    """Return whether *model* has what must be beside *entry*, and not what must not."""
    return (not entry.beside or _has(model, entry.beside)) and not (
        entry.without and _has(model, entry.without)
    )


def _has(model: Stack, path: str) -> bool:
    """Return whether *model* has parameters at *path*."""
    try:
        return any(True for _ in model.get_submodule(path).parameters())
    except AttributeError:
        return False


def _tensors(model: Stack, entry: Entry) -> Iterator[tuple[str, list[nn.Module], list[Tensor]]]:
    """Yield suffix, modules and tensors of *entry*: weights and biases, or what it names itself."""
    owners: list[nn.Module] = []
    parameters: list[Tensor] = []
    for path in entry.modules:
        above, _, last = path.rpartition(".")
        try:
            owner = model.get_submodule(above)
        except AttributeError:
            return
        found = getattr(owner, last, None)
        if isinstance(found, Tensor):
            owners, parameters = [*owners, owner], [*parameters, found]
        elif isinstance(found, nn.Module):
            owners.append(found)
        else:
            return
    if parameters:
        yield "", owners, parameters
        return
    for kind in ("weight", "bias"):
        if parts := _parts(owners, kind):
            yield f".{kind}", owners, parts


def _parts(modules: list[nn.Module], kind: str) -> list[Tensor]:
    """Return the tensors *kind* of those *modules* that have one."""
    found = (getattr(module, kind, None) for module in modules)
    return [part for part in found if part is not None]
