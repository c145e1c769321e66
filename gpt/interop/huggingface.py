"""Hugging Face folders: config.json, model.safetensors, and a tokenizer that transformers loads.

They load in transformers without custom code. A model that its family does not
support is rejected by the name of the field, both when it is written and when it is read.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from safetensors import SafetensorError, safe_open

import pytok
from gpt.data.boundaries import ID_FIELDS, listed_ids, with_named_ends
from gpt.data.json_files import parse_json
from gpt.errors import ConfigError, FormatError
from gpt.interop.chats import chat_template, turn_ends
from gpt.interop.classifiers import (
    body_and_family,
    classifier_config,
    classifier_family,
    is_classifier,
    label_fields,
)
from gpt.interop.families.table import family_named, family_of
from gpt.interop.family import Family
from gpt.interop.fields import Fields
from gpt.interop.imported import Imported
from gpt.interop.targets import naming_target
from gpt.interop.tensor_names import Tensors, block_prefix, export_weights, import_model
from gpt.interop.weight_files import in_dtype, save_weights
from gpt.model.gpt import Stack
from gpt.model.shapes import count_layers
from gpt.runs.reading import GENERATION, Checkpoint
from gpt.runs.tensor_files import utf8_name
from gpt.spec.architecture import GPTConfig
from gpt.spec.classifier import ClassifierConfig
from pytok.atomic import atomic_folder
from pytok.definition import END_OF_TEXT
from pytok.text import cut

_BUFFERS = (
    *(".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias"),
    *(".attn.causal_mask", ".rotary_emb.inv_freq"),
)
"""Ends of names of tensors that follow from the config, in older files: masks and frequencies."""


def export_folder(
    checkpoint: Checkpoint, folder: Path, *, dtype: str = "float32", limit: int | None = None
) -> Family:
    """Write *folder*, complete or not at all; return the family of the model.

    *dtype* is one of `gpt.interop.weight_files.DTYPES`, and *limit* the size in bytes up to which
    weights are written to one file.

    Raises FormatError if no family supports the model, naming the fields, and if *folder* exists
    and is not empty; OSError with a name in *folder*.
    """
    exported = _Exported.of(checkpoint)
    family = exported.family
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise FormatError(f"{folder}: exists, and is not empty; choose another folder")
    model = cast(Stack, checkpoint.any_model())
    weights = export_weights(model, family.names, adds_biases=family.adds_biases)
    weights = in_dtype(weights, dtype)
    documents = dict(_documents(checkpoint, exported))
    documents["config.json"]["dtype"] = dtype
    contents = {name: json.dumps(fields, indent=2) for name, fields in documents.items()}
    with naming_target(folder), atomic_folder(folder.resolve()) as new:
        for name, text in contents.items():
            (new / name).write_text(text, encoding="utf-8")
        (new / "tokenizer.json").write_bytes(checkpoint.data_files["tokenizer.json"])
        save_weights(weights, new, limit)
    return family


class _Exported(NamedTuple):
    """What is written of the config of a model."""

    config: GPTConfig
    """The config, or that of the body of a classifier."""
    family: Family
    classes: tuple[str, ...] = ()
    """The labels of a classifier."""

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> _Exported:
        """Return that of *checkpoint*; raises FormatError if no family supports the model."""
        config = checkpoint.state.config
        if isinstance(config, ClassifierConfig):
            return cls(*body_and_family(config), config.classes)
        return cls(checkpoint.config, family_of(checkpoint.config))


def _documents(checkpoint: Checkpoint, exported: _Exported) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the content of each JSON file of *checkpoint* besides the tokenizer."""
    config, family, classes = exported
    tokenizer = checkpoint.tokenizer()
    end = tokenizer.special_tokens.get(END_OF_TEXT)
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    ids = {
        "bos_token_id": end if bos is None else bos,
        "eos_token_id": end if eos is None else eos,
    }
    yield (
        "config.json",
        {
            "architectures": [family.model],
            "model_type": family.name,
            # The default of some families is an id that a small vocabulary has not.
            "pad_token_id": _padding(checkpoint, ids["eos_token_id"] if classes else None),
            **family.write(config),
            **ids,
            **(label_fields(classes) if classes else {}),
        },
    )
    generation = {**ids, **checkpoint.generation}
    stops, further = listed_ids(generation["eos_token_id"]), turn_ends(checkpoint)
    if not further <= set(stops):  # a chat model also stops at the end of its turn
        generation["eos_token_id"] = list(dict.fromkeys([*stops, *sorted(further)]))
    yield "generation_config.json", generation
    padding = _padding(checkpoint, ids["eos_token_id"]) if classes else None
    yield from tokenizer_documents(checkpoint, config.context, padding).items()


def tokenizer_documents(
    checkpoint: Checkpoint, context: int, padding: int | None = None
) -> dict[str, dict[str, Any]]:
    """Return the content of tokenizer_config.json, by that name, for the tokenizer of a run.

    *padding* is the id that pads rows, if it is to be named.
    """
    tokenizer, chat = checkpoint.tokenizer(), chat_template(checkpoint)
    named = END_OF_TEXT in tokenizer.special_tokens
    names = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT} if named else {}
    if padding is not None:
        names["pad_token"] = tokenizer.decode_single_token_bytes(padding).decode()
    fields = {
        **names,
        **tokenizer.definition.settings.config,
        # The family's own class would split text by its own pattern instead of ours.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
        **({} if chat is None else {"chat_template": chat}),
    }
    return {"tokenizer_config.json": fields}


def _padding(checkpoint: Checkpoint, default: int | None) -> int | None:
    """Return the id that pads rows; *default* if the model was imported without one.

    A classifier needs one to find the last token of a row, and texts do not contain their end.
    """
    padding = checkpoint.generation.get("pad_token_id")
    return padding if isinstance(padding, int) else default


def read_config(path: Path) -> GPTConfig:
    """Return the model that *path*, a config.json, describes, without its weights.

    Raises FormatError, also for a model that gpt would not compute as transformers does.
    """
    fields = read_object(path, "pass a config.json of Hugging Face")
    try:
        return _family(fields).read(fields)
    except (ConfigError, FormatError) as error:
        raise FormatError(f"{path}: {error}") from error


def import_folder(folder: Path) -> Imported:
    """Read the model and the tokenizer of *folder*, without rows past the vocabulary.

    Names, shapes and config are compared before any tensor is read. Raises FormatError for missing
    and damaged files, and for a model that would compute something else here.
    """
    path = folder / "config.json"
    fields = read_object(path, "pass a folder with config.json, or a GGUF file")
    classifies = is_classifier(fields)
    try:
        family = _family(fields)
        family = classifier_family(family) if classifies else family
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
    tensors = _with_prefix(_open_tensors(folder), family)
    try:
        config = family.read(fields, count_layers(tensors.shapes, block_prefix(family.names)))
    except (ConfigError, FormatError) as error:
        raise FormatError(f"{path}: {error}") from error
    tokenizer = pytok.load(folder)
    if config.vocab_size < tokenizer.n_vocab:
        raise FormatError(
            f"{path}: vocab_size is {config.vocab_size}, but the tokenizer in the same folder has "
            f"{tokenizer.n_vocab} ids"
        )
    config = dataclasses.replace(config, vocab_size=tokenizer.n_vocab)
    model_config: GPTConfig | ClassifierConfig = config
    heads = [f"{name}.weight" for name, entry in family.names.items() if entry == "head"]
    try:
        unused = [name for name in tensors.shapes if name.startswith(family.other_tasks)]
        if classifies:
            model_config = classifier_config(config, fields, tensors)
        elif config.tie:
            unused += heads
        model = import_model(model_config, tensors, family.names, unused=unused)
    except (ConfigError, FormatError) as error:
        raise FormatError(f"{folder}: {error}") from error
    generation = {name: fields[name] for name in ID_FIELDS if fields.get(name) is not None}
    if (folder / GENERATION).exists():
        generation |= read_object(folder / GENERATION, "remove it, or download it again")
    return Imported(model, with_named_ends(tokenizer, generation), generation)


def _family(fields: Mapping[str, Any]) -> Family:
    """Return the family that the config *fields* names; raises FormatError."""
    family = family_named(Fields(fields).get("model_type", str))
    if fields.get("quantization_config"):
        raise FormatError("quantization_config is set; supported: weights that are not quantized")
    return family


def _with_prefix(tensors: Tensors, family: Family) -> Tensors:
    """Return *tensors* without buffers, and with the prefix that files without a head lack."""
    names = {name: name for name in tensors.shapes if not name.endswith(_BUFFERS)}
    prefixes = {name.partition(".")[0] for name, entry in family.names.items() if entry != "head"}
    prefix = f"{min(prefixes)}."
    if not any(name.startswith(prefix) for name in names):
        heads = tuple(f"{name}." for name, entry in family.names.items() if entry == "head")
        names = {name if name.startswith(heads) else prefix + name: name for name in names}
    return tensors.renamed(names)


def read_object(path: Path, remedy: str) -> dict[str, Any]:
    """Return the content of the JSON file *path*, an object. Raises FormatError."""
    try:
        fields = parse_json(path.read_bytes())
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror}; {remedy}") from error
    except ValueError as error:
        raise FormatError(f"{path}: not JSON: {cut(str(error))}; {remedy}") from error
    if not isinstance(fields, dict):
        raise FormatError(f"{path}: not an object of fields and values; {remedy}")
    return fields


def _open_tensors(folder: Path) -> Tensors:
    """Open the tensors in the safetensors files of *folder*, which are read as float32."""
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise FormatError(f"{folder}: no model.safetensors; pickled weights are not supported")
    _check_complete(folder)
    opened: dict[str, Any] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for file in files:
        try:
            with utf8_name(file) as name:
                tensors: Any = safe_open(name, framework="pt")
            for name in tensors.keys():  # noqa: SIM118 (it is no mapping)
                opened[name], shapes[name] = tensors, tuple(tensors.get_slice(name).get_shape())
        except SafetensorError as error:
            raise FormatError(f"{file}: not a safetensors file: {cut(str(error), 200)}") from error
    return Tensors(shapes, lambda name: opened[name].get_tensor(name).to(torch.float32))


def _check_complete(folder: Path) -> None:
    """Raise FormatError if a file is missing that the index of several files names."""
    path = folder / "model.safetensors.index.json"
    if not path.exists():
        return
    listed = read_object(path, "download it again").get("weight_map")
    for name in sorted({str(name) for name in listed.values()}) if isinstance(listed, dict) else ():
        if Path(name).name == name and not (folder / name).exists():
            raise FormatError(f"{folder / name}: not found, and {path.name} lists it")
