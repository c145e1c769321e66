"""GGUF files: a model with its tokenizer, for llama.cpp and the software built on it.

Files are written in float32, and read in any type that the `gguf` package can dequantize. Fields
that a family does not support are rejected.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from torch import Tensor

from gpt.errors import ConfigError, FormatError
from gpt.interop.families import GPT2, LLAMA, QWEN3, Family, family_of
from gpt.interop.gguf_tokenizer import add_tokenizer, read_generation, read_tokenizer
from gpt.interop.imported import Imported
from gpt.interop.targets import naming_target
from gpt.interop.tensor_names import GGUF, Tensors, export_weights, import_model
from gpt.runs.reading import Checkpoint
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.position import Learned, Rope
from pytok.atomic import atomic_file
from pytok.text import cut, quoted

ARCHITECTURES = {"gpt2": GPT2, "llama": LLAMA, "qwen2": LLAMA, "qwen3": QWEN3}
"""The family of each architecture that is read: Qwen2 has Llama's shape, with some biases."""
_INTERLEAVED = "llama"
"""The architecture whose queries and keys have the order of Meta's Llama."""
_SUPPORTED_FIELDS = {
    *("vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length"),
    *("attention.head_count", "attention.head_count_kv", "attention.sliding_window"),
    *("attention.key_length", "attention.value_length", "rope.dimension_count", "rope.freq_base"),
    *("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"),
}
"""Fields of a model that are read, without the family's name; all others must be off."""


def export_file(checkpoint: Checkpoint, path: Path) -> Family:
    """Write *path*, complete or not at all; return the family of the model.

    Raises FormatError for a model or a tokenizer that GGUF or llama.cpp does not support, and if
    *path* cannot be written.
    """
    config = checkpoint.config
    family = family_of(config)
    if config.mlp.activation == "gelu":
        raise FormatError(
            "mlp.activation is gelu, but llama.cpp has only its approximation gelu_tanh; "
            "use --to hf instead"
        )
    if path.is_dir() or not path.parent.is_dir():
        raise FormatError(f"{path}: not a file path in an existing directory")
    tokenizer = checkpoint.tokenizer()
    document = json.loads(checkpoint.data_files["tokenizer.json"])
    with naming_target(path), atomic_file(path) as file, _writer(file.name, family) as writer:
        _add_hyperparameters(writer, config)
        add_tokenizer(writer, tokenizer, document, config.vocab_size)
        tensors = export_weights(checkpoint.model(), GGUF[family.name])
        for name, tensor in tensors.items():
            if family is LLAMA and _is_rotated(name):
                tensor = _interleave(tensor, config.head_width)
            writer.add_tensor(name, tensor.float().contiguous().numpy())
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
    name = fields.get("general.architecture")
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise FormatError(
            f"{path}: general.architecture is {quoted(name)}; supported: {', '.join(ARCHITECTURES)}"
        )
    family, prefix = ARCHITECTURES[name], f"{name}."
    hyperparameters = {
        key.removeprefix(prefix): value for key, value in fields.items() if key.startswith(prefix)
    }
    try:
        for tensor in found.values():
            _dequantized(tensor.data[:1], tensor)
        tokenizer = read_tokenizer(fields)
        config = _read_config(hyperparameters, set(found), tokenizer.n_vocab, family)
        config = GPTConfig.from_dict(config.to_dict())  # checks the types of all fields
        if mismatches := family.mismatches(config):
            raise FormatError(", ".join(mismatches))

        def read(key: str) -> Tensor:
            tensor = torch.from_numpy(_dequantized(found[key].data, found[key]).copy())
            turned = name == _INTERLEAVED and _is_rotated(key)
            return _deinterleave(tensor, config.head_width) if turned else tensor

        shapes = {key: tuple(map(int, tensor.shape[::-1])) for key, tensor in found.items()}
        absent = tuple(part for part in _BIASED if f"blk.0.{part}.bias" not in found)
        model = import_model(
            config,
            Tensors(shapes, read),
            GGUF[family.name],
            zero=lambda key: key.endswith(".bias") and key.split(".")[-2] in absent,
        )
    except KeyError as error:
        raise FormatError(f"{path}: missing field {error.args[0]}") from error
    except (ConfigError, FormatError) as error:
        raise FormatError(f"{path}: {error}") from error
    except (AttributeError, TypeError, ValueError, ZeroDivisionError) as error:
        raise FormatError(f"{path}: invalid value of a field: {cut(str(error), 200)}") from error
    return Imported(model, tokenizer, read_generation(fields))


_BIASED = ("attn_output", "ffn_gate", "ffn_up", "ffn_down")
"""Modules that can lack a bias, which is then zero, where queries, keys and values have one."""


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


def _read_config(
    fields: Mapping[str, Any], tensors: Collection[str], vocab_size: int, family: Family
) -> GPTConfig:
    """Return the config of a model of *family*.

    *fields* are those of the file without the name of its architecture, *tensors* the names in it.
    """
    for key, value in fields.items():
        if key not in _SUPPORTED_FIELDS and value not in (0, False, "none"):
            raise FormatError(f"{family.name}.{key} is {quoted(value)}, which is not supported")
    heads, width = fields["attention.head_count"], fields["embedding_length"]
    kv_heads = fields.get("attention.head_count_kv", heads)
    if 0 < fields.get("attention.sliding_window", 0) < fields["context_length"]:
        raise FormatError(
            f"attention.sliding_window is {fields['attention.sliding_window']}, and gpt computes "
            f"full attention over the {fields['context_length']} positions"
        )
    shape: dict[str, Any] = {
        "vocab_size": vocab_size,
        "context": fields["context_length"],
        "layers": fields["block_count"],
        "width": width,
        "tie": "output.weight" not in tensors,
    }
    hidden = fields["feed_forward_length"]
    if family.name == "gpt2":
        return GPTConfig(
            **shape,
            attention=GroupedQuery(heads=heads, kv_heads=kv_heads),
            position=Learned(),
            mlp=MLP(activation="gelu_tanh", hidden=hidden),
            norm=LayerNorm(eps=_decimal(fields["attention.layer_norm_epsilon"])),
            bias=True,
        )
    head_width = fields.get("attention.key_length", width // heads)
    for key in ("attention.value_length", "rope.dimension_count"):
        if fields.get(key, head_width) != head_width:
            raise FormatError(
                f"{key} is {fields[key]}; only the size of a head, {head_width}, is supported"
            )
    return GPTConfig(
        **shape,
        attention=GroupedQuery(
            heads=heads, kv_heads=kv_heads, head_width=head_width, qk_norm=family.name == "qwen3"
        ),
        position=Rope(theta=_decimal(fields.get("rope.freq_base", 10_000.0))),
        mlp=MLP(activation="silu", gated=True, hidden=hidden),
        norm=RMSNorm(eps=_decimal(fields["attention.layer_norm_rms_epsilon"])),
        bias="blk.0.attn_q.bias" in tensors,
    )


def _add_hyperparameters(writer: gguf.GGUFWriter, config: GPTConfig) -> None:
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.mlp.hidden_width(config.width))
    assert isinstance(config.attention, GroupedQuery)
    writer.add_head_count(config.attention.heads)
    writer.add_head_count_kv(config.attention.kv_heads)
    if isinstance(config.position, Rope):
        writer.add_key_length(config.head_width)
        writer.add_value_length(config.head_width)
        writer.add_rope_dimension_count(config.position.rotary_width(config.head_width))
        writer.add_rope_freq_base(config.position.theta)
        writer.add_layer_norm_rms_eps(config.norm.eps)
    else:
        writer.add_layer_norm_eps(config.norm.eps)


def _is_rotated(name: str) -> bool:
    """Return whether the tensor *name* makes queries or keys, which positions rotate."""
    return ".attn_q." in name or ".attn_k." in name


def _interleave(rows: Tensor, head_width: int) -> Tensor:
    """Reorder the rows of queries or keys for Meta's Llama, which rotates features 2i and 2i + 1.

    The order here, as in Hugging Face, has features i and i + head_width / 2 rotate together.
    """
    halves = rows.view(-1, 2, head_width // 2, *rows.shape[1:])
    return halves.transpose(1, 2).reshape(rows.shape)


def _deinterleave(rows: Tensor, head_width: int) -> Tensor:
    """Invert `_interleave`."""
    pairs = rows.view(-1, head_width // 2, 2, *rows.shape[1:])
    return pairs.transpose(1, 2).reshape(rows.shape)


def _decimal(value: float) -> float:
    """Return the shortest decimal that float32 stores as *value*: 1e-6 for 9.99999997e-7.

    >>> _decimal(9.999999974752427e-07)
    1e-06
    """
    return float(str(np.float32(value)))
