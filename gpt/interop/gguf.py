"""GGUF files: a model with its tokenizer, for llama.cpp and the software built on it.

Files are written in float32, and read in any type that the `gguf` package can dequantize. Fields
that a family does not support are rejected.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from torch import Tensor

from gpt.errors import ConfigError, FormatError
from gpt.interop.chats import chat_template, turn_ends
from gpt.interop.family import Family, nearest
from gpt.interop.fields import names_of
from gpt.interop.gguf_families import ARCHITECTURES, DERIVED, architecture_of
from gpt.interop.gguf_rotary import DIVISORS, TENSOR
from gpt.interop.gguf_tokenizer import add_tokenizer, read_generation, read_tokenizer
from gpt.interop.imported import Imported
from gpt.interop.targets import naming_target
from gpt.interop.tensor_names import Tensors, block_prefix, export_weights, import_model
from gpt.model.shapes import count_layers
from gpt.runs.reading import Checkpoint
from gpt.spec.architecture import GPTConfig
from pytok.atomic import atomic_file
from pytok.text import cut, quoted


def export_file(checkpoint: Checkpoint, path: Path) -> Family:
    """Write *path*, complete or not at all; return the family of the model.

    Raises FormatError for a model or a tokenizer that GGUF or llama.cpp does not support, and if
    *path* cannot be written.
    """
    config = checkpoint.config
    family = nearest(config, ARCHITECTURES)
    if path.is_dir() or not path.parent.is_dir():
        raise FormatError(f"{path}: not a file path in an existing directory")
    tokenizer = checkpoint.tokenizer()
    document = json.loads(checkpoint.data_files["tokenizer.json"])
    with naming_target(path), atomic_file(path) as file, _writer(file.name, family) as writer:
        _add_fields(writer, family, config)
        add_tokenizer(writer, tokenizer, document, config.vocab_size)
        if (chat := chat_template(checkpoint)) is not None:
            writer.add_chat_template(chat)
        if ends := sorted(turn_ends(checkpoint) - {tokenizer.eos_token_id}):
            writer.add_eot_token_id(ends[0])
        model = checkpoint.model()
        tensors = export_weights(model, family.names, adds_biases=family.adds_biases)
        for name, tensor in tensors.items():
            writer.add_tensor(name, tensor.float().numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    return family


@contextmanager
def _writer(path: str, family: Family) -> Iterator[gguf.GGUFWriter]:
    """Return a context with a writer of *path*, which is closed at the end."""
    writer = gguf.GGUFWriter(path, family.name)
    try:
        yield writer
    finally:
        writer.close()


def import_file(path: Path) -> Imported:
    """Read the model and the tokenizer of *path*, without rows past the vocabulary.

    All else is checked before a tensor is read, and each is dequantized when it is copied. Raises
    FormatError for a damaged file, and for a model that would compute something else here.
    """
    fields, found = _open(path)
    try:
        family = architecture_of(fields)
        prefix = f"{family.name}."
        for tensor in found.values():
            _dequantized(tensor.data[:1], tensor)
        tokenizer = read_tokenizer(fields)
        own = {key.removeprefix(prefix): fields[key] for key in fields if key.startswith(prefix)}
        if TENSOR in found:
            own[DIVISORS] = read_tensor(found[TENSOR]).flatten().tolist()
        config = _read_config(own, set(found), tokenizer.n_vocab, family)
        shapes = {key: tuple(map(int, tensor.shape[::-1])) for key, tensor in found.items()}
        tensors = Tensors(shapes, lambda key: read_tensor(found[key]))
        model = import_model(config, tensors, family.names, unused=[TENSOR])
    except KeyError as error:
        raise FormatError(f"{path}: missing field {error.args[0]}") from error
    except (ConfigError, FormatError) as error:
        raise FormatError(f"{path}: {error}") from error
    except (AttributeError, TypeError, ValueError, ZeroDivisionError) as error:
        raise FormatError(f"{path}: invalid value of a field: {cut(str(error), 200)}") from error
    return Imported(model, tokenizer, read_generation(fields))


def _open(path: Path) -> tuple[dict[str, Any], dict[str, gguf.ReaderTensor]]:
    """Return all fields of *path*, and all tensors by name, mapped from the file."""
    try:
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
        return fields, {tensor.name: tensor for tensor in reader.tensors}
    except OSError:
        raise
    except Exception as error:  # the reader checks little: damage can raise any exception
        reason = cut(str(error), 200)
        raise FormatError(f"{path}: not a GGUF file, or damaged: {reason}") from error


def _dequantized(data: Any, tensor: gguf.ReaderTensor) -> Any:
    """Return *data*, rows of *tensor*, as float32."""
    try:
        return gguf.quants.dequantize(data, tensor.tensor_type)
    except NotImplementedError as error:
        raise FormatError(f"{error}; convert it to another type, such as F16") from error


def read_tensor(tensor: gguf.ReaderTensor) -> Tensor:
    """Return *tensor* as float32.

    Some rows are dequantized at a time, because that takes several times their memory.
    """
    shape = tuple(map(int, tensor.shape[::-1]))
    result = np.empty(shape, dtype=np.float32)
    rows = max(1, _DEQUANTIZED // max(1, math.prod(shape[1:])))
    for start in range(0, shape[0], rows):
        part = slice(start, start + rows)
        result[part] = _dequantized(tensor.data[part], tensor)
    return torch.from_numpy(result)


def _read_config(
    fields: dict[str, Any], tensors: Collection[str], vocab_size: int, family: Family
) -> GPTConfig:
    """Return the model of *family* with *fields*, without its name, and with *tensors*."""
    known = set(names_of(family.fields))
    for key, value in fields.items():
        if key not in known and value not in (0, False, "none"):
            raise FormatError(f"{family.name}.{key} is {quoted(value)}, which is not supported")
    decimals = {
        key: _decimal(value) if isinstance(value, float) else value for key, value in fields.items()
    }
    having = {
        name: any(f"blk.0.{part}.bias" in tensors for part in parts)
        for name, parts in _BIASED.items()
    }
    derived = {
        "tie_word_embeddings": "output.weight" not in tensors,
        "qk_norm": "blk.0.attn_q_norm.weight" in tensors,
        "vocab_size": vocab_size,
    }
    layers = count_layers(tensors, block_prefix(family.names))
    return family.read({**decimals, **having, **derived}, layers)


_BIASED = {
    "bias.qkv": ("attn_q", "attn_qkv"),
    "bias.output": ("attn_output",),
    "bias.mlp": ("ffn_up", "ffn_down"),
}
"""Tensors of the first block whose biases say which linear layers have one."""


def _add_fields(writer: gguf.GGUFWriter, family: Family, config: GPTConfig) -> None:
    """Write the fields of a model of *family*."""
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for name, value in family.write(config).items():
        if name == DIVISORS:
            writer.add_tensor(TENSOR, np.array(value, dtype=np.float32))
        elif name not in DERIVED:
            writer.add_key_value(f"{family.name}.{name}", value, _TYPES[type(value)])


_TYPES = {
    bool: gguf.GGUFValueType.BOOL,
    int: gguf.GGUFValueType.UINT32,
    float: gguf.GGUFValueType.FLOAT32,
    str: gguf.GGUFValueType.STRING,
}
_DEQUANTIZED = 1 << 22
"""Weights that are dequantized at a time."""


def _decimal(value: float) -> float:
    """Return the shortest decimal that float32 stores as *value*: 1e-6 for 9.99999997e-7.

    >>> _decimal(9.999999974752427e-07)
    1e-06
    """
    return float(str(np.float32(value)))
