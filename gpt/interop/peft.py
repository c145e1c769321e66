"""Adapters in the format of peft: ``adapter_config.json`` and ``adapter_model.safetensors``.

Names are those of the family in which the base is written (`gpt.interop.huggingface`), so that an
adapter of a run fits the base that `gpt export --to hf` writes, and one of peft the model that
`gpt import` reads. Where several of our layers are one of theirs (GPT-2's c_attn), its product has
the products of ours as blocks, and the sum of their ranks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from gpt.adapt.weights import AdapterWeights, Product, detached
from gpt.adapt.wrapping import adaptable
from gpt.errors import FormatError
from gpt.interop.families.table import family_of
from gpt.interop.family import Family
from gpt.interop.huggingface import tokenizer_documents
from gpt.interop.layouts import Entry
from gpt.interop.peft_config import CONFIG, is_end, written_config
from gpt.interop.targets import naming_target
from gpt.interop.tensor_names import EXPERT, entries_of
from gpt.model.gpt import GPT
from gpt.model.shapes import without_memory
from gpt.model.vocabulary import token_tables
from gpt.nn.expert_linear import ExpertLinear
from gpt.runs.adapters import adapted_model, adapter_spec
from gpt.runs.reading import Checkpoint
from gpt.spec.adapter import DoRA
from gpt.spec.architecture import GPTConfig
from pytok.atomic import atomic_folder
from pytok.chat.template import TEMPLATE_FILE

WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."
"""Beginning of all names in the file."""
DOWN, UP, MAGNITUDE = "lora_A.weight", "lora_B.weight", "lora_magnitude_vector"
TABLE_DOWN, TABLE_UP = "lora_embedding_A", "lora_embedding_B"
ROWS = "token_adapter.trainable_tokens_delta"
"""Ends of names, below that of a module."""


class PeftModule(NamedTuple):
    """A module of theirs that can have an adapter, and the layers of ours that it consists of."""

    name: str
    layers: tuple[str, ...]
    """Names of ours."""
    shapes: tuple[tuple[int, int], ...]
    """Shapes of their weights, without rows past the vocabulary."""
    is_table: bool
    """Whether it is an embedding."""
    token_rows: int
    """Rows of ours if each is of a token, else 0; those past the vocabulary are padding, here and
    there."""
    entry: Entry
    config: GPTConfig

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Return *parts*, which have a row for each row of our weights, as the rows of theirs."""
        rows = [part[:size] for part, (size, _) in zip(parts, self.shapes, strict=True)]
        return self._layout.join(rows, self.config)

    def split(self, tensor: Tensor) -> list[Tensor]:
        """Invert `join`; raises FormatError for another number of rows."""
        if self.token_rows:
            tensor = tensor[: self.shapes[0][0]]
        shapes = [torch.Size((size, *tensor.shape[1:])) for size, _ in self.shapes]
        expected = self._layout.shape(shapes)
        if tuple(tensor.shape) != expected:
            raise FormatError(
                f"the adapter of {self.name} has a tensor of shape {tuple(tensor.shape)}, but the "
                f"base requires {expected}"
            )
        return self._layout.split(tensor, [size for size, _ in self.shapes], self.config)

    @property
    def _layout(self) -> Entry:
        return replace(self.entry, transposed=False, offset=0.0)


def peft_modules(config: GPTConfig, family: Family) -> dict[str, PeftModule]:
    """Return the modules of a model of *family* that can have adapters, by name.

    The matrices of experts are not among them.
    """
    model = cast(GPT, without_memory(config))
    layers, token_rows = adaptable(model), token_tables(model)
    modules: dict[str, PeftModule] = {}
    for name, entry in entries_of(model, family.names):
        kinds = {layers.get(part, ExpertLinear) for part in entry.modules}
        if kinds <= {nn.Linear, nn.Embedding} and EXPERT not in name:
            weights = [cast(nn.Linear, model.get_submodule(part)).weight for part in entry.modules]
            modules[name] = PeftModule(
                name=name,
                layers=entry.modules,
                shapes=tuple(
                    (config.vocab_size if part in token_rows else len(weight), weight.shape[1])
                    for part, weight in zip(entry.modules, weights, strict=True)
                ),
                is_table=kinds == {nn.Embedding},
                token_rows=len(weights[0]) if entry.modules[0] in token_rows else 0,
                entry=entry,
                config=config,
            )
    return modules


def export_adapter(checkpoint: Checkpoint, folder: Path) -> Family:
    """Write the adapter of a tuned run to *folder*, complete or not at all; return the family.

    Tokens whose rows were trained, the new ones or all, are its trainable_token_indices, and the
    tokenizer is there, too. Raises FormatError for what peft cannot hold, by name, and if *folder*
    exists and is not empty; CheckpointError if the run has no adapter.
    """
    spec = adapter_spec(checkpoint)
    if isinstance(spec, DoRA) and spec.axis != "out":
        raise FormatError(
            "task.adapter.axis is in, and peft's DoRA has one magnitude per output; tune with axis "
            "out, or write the merged model with --to hf"
        )
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise FormatError(f"{folder}: exists, and is not empty; choose another folder")
    family = family_of(checkpoint.config)
    modules = peft_modules(checkpoint.config, family)
    model = adapted_model(checkpoint)
    adapter = detached(model)
    _check_named(adapter, modules, family)
    tensors: dict[str, Tensor] = {}
    products: dict[str, Product] = {}
    tokens: dict[str, list[int]] = {}
    for name, module in modules.items():
        if any(layer in adapter.layers for layer in module.layers):
            products[name] = _joined(module, adapter, model)
            tensors.update(_tensors(module, products[name]))
        # A head that shares the table of the embedding has its rows in peft, too.
        if (rows := adapter.rows.get(module.layers[0])) and (
            module.is_table or not model.config.tie
        ):
            real = rows.ids < checkpoint.config.vocab_size  # a complete table can be padded
            tokens[name] = rows.ids[real].tolist()
            tensors[f"{PREFIX}{name}.{ROWS}"] = rows.values[real]
    config = written_config(
        modules={
            name: (products[module].rank, products[module].scale)
            for name, module in _short(products, modules).items()
        },
        rslora=spec.scaling == "root",
        dora=isinstance(spec, DoRA),
        dropout=spec.dropout,
        transposed=any(modules[name].entry.transposed for name in products),
        tokens=tokens,
        task="CAUSAL_LM" if checkpoint.config.causal else None,
    )
    documents = {CONFIG: config, **tokenizer_documents(checkpoint, checkpoint.config.context)}
    with naming_target(folder), atomic_folder(folder.resolve()) as new:
        for file, fields in documents.items():
            (new / file).write_text(json.dumps(fields, indent=2), encoding="utf-8")
        for file in {"tokenizer.json", TEMPLATE_FILE} & set(checkpoint.data_files):
            (new / file).write_bytes(checkpoint.data_files[file])
        contiguous = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
        save_file(contiguous, new / WEIGHTS, metadata={"format": "pt"})
    return family


def _check_named(
    adapter: AdapterWeights, modules: Mapping[str, PeftModule], family: Family
) -> None:
    """Raise FormatError if something of *adapter* is in none of *modules*."""
    named = {layer for module in modules.values() for layer in module.layers}
    for name in (*adapter.layers, *adapter.rows):
        if name not in named:
            raise FormatError(
                f"peft's format has no adapter for {name} of a {family.name} model; remove it from "
                "task.adapter.targets, or write the merged model with --to hf"
            )


def _joined(module: PeftModule, adapter: AdapterWeights, model: GPT) -> Product:
    """Return the product of *module*, whose blocks are those of its layers."""
    parts = [adapter.layers.get(layer) for layer in module.layers]
    present = [part for part in parts if part is not None]
    scale = present[0].scale  # of one spec, so of all
    if module.is_table:
        return Product(module.join([present[0].down.T]).T, present[0].up, scale)
    rank, first, ups = sum(part.rank for part in present), 0, []
    for part, (outputs, _) in zip(parts, module.shapes, strict=True):
        block = present[0].up.new_zeros(outputs, rank)
        if part is not None:
            block[:, first : first + part.rank] = part.up[:outputs]
            first += part.rank
        ups.append(block)
    magnitude = None
    if present[0].magnitude is not None:
        magnitude = module.join(
            [
                _norms(model.get_submodule(layer)) if part is None else cast(Tensor, part.magnitude)
                for layer, part in zip(module.layers, parts, strict=True)
            ]
        )
    return Product(torch.cat([part.down for part in present]), module.join(ups), scale, magnitude)


def _norms(linear: nn.Module) -> Tensor:
    """Return the norms of the rows of *linear*: its magnitudes, if DoRA does not change it."""
    norms: Tensor = torch.linalg.vector_norm(cast(nn.Linear, linear).weight.detach(), dim=1)
    return norms


def _tensors(module: PeftModule, product: Product) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of *product* by their names in the file."""
    down, up = (TABLE_DOWN, TABLE_UP) if module.is_table else (DOWN, UP)
    yield f"{PREFIX}{module.name}.{down}", product.down
    yield f"{PREFIX}{module.name}.{up}", product.up
    if product.magnitude is not None:
        yield f"{PREFIX}{module.name}.{MAGNITUDE}", product.magnitude


def _short(products: Mapping[str, Product], modules: Mapping[str, PeftModule]) -> dict[str, str]:
    """Return a module of each group of *products* that peft can select by one name, by that name.

    It is the end of names after the number of the layer, if all *modules* that end so have the same
    rank; otherwise a complete name.
    """
    short: dict[str, str] = {}
    for name, product in products.items():
        words = name.split(".")
        end = ".".join(
            words[1 + max((n for n, word in enumerate(words) if word.isdigit()), default=-1) :]
        )
        alike = (other for other in modules if is_end(end, other))
        ranks = {products[other].rank if other in products else 0 for other in alike}
        short.setdefault(end if ranks == {product.rank} else name, name)
    return short
