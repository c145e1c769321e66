"""GGUF files: a model with its tokenizer, for llama.cpp and the software built on it.

Files are written in float32, and read in any type that the `gguf` package can dequantize. llama.cpp
has a fixed list of split patterns under names of its own, and would use another pattern for any
other tokenizer, so such a tokenizer is rejected. So are fields that a family does not support.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from torch import Tensor

import pytok
from gpt.errors import ConfigError, FormatError
from gpt.interop.families import FAMILIES, Family, family_of
from gpt.interop.tensor_names import GGUF, export_weights, import_weights
from gpt.model.gpt import GPT
from gpt.runs.reading import Checkpoint
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.position import Learned, Rope
from pytok.definition import END_OF_TEXT, Definition
from pytok.errors import PytokError
from pytok.formats import oniguruma
from pytok.patterns import GPT2, LLAMA3, PATTERNS, QWEN2, pattern_name
from pytok.tokenizer import Tokenizer

PRE_TOKENIZERS = {GPT2: "gpt-2", LLAMA3: "llama-bpe", QWEN2: "qwen2"}
"""llama.cpp's names of the patterns that it supports."""
_SUPPORTED_FIELDS = {
    *("vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length"),
    *("attention.head_count", "attention.head_count_kv"),
    *("attention.key_length", "attention.value_length", "rope.dimension_count", "rope.freq_base"),
    *("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"),
}
"""Fields of a model that are read, without the family's name; all others must be off."""


def export_file(checkpoint: Checkpoint, path: Path) -> Family:
    """Write *path*, complete or not at all; return the family of the model.

    Raises FormatError for a model or a tokenizer that GGUF or llama.cpp does not support.
    """
    config = checkpoint.state.config
    family = family_of(config)
    if config.mlp.activation == "gelu":
        raise FormatError(
            "mlp.activation is gelu, but llama.cpp has only its approximation gelu_tanh; "
            "use --to hf instead"
        )
    if path.is_dir() or not path.parent.is_dir():
        raise FormatError(f"{path}: not a file path in an existing directory")
    tokenizer = checkpoint.tokenizer()
    document = json.loads((checkpoint.folder / "tokenizer.json").read_bytes())
    # In the same directory, since a rename must not cross file systems.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as temporary:
        complete = Path(temporary) / path.name
        writer = gguf.GGUFWriter(complete, family.name)
        _add_hyperparameters(writer, config)
        _add_tokenizer(writer, tokenizer, document, config.vocab_size)
        tensors = export_weights(checkpoint.model(), GGUF[family.name])
        for name, tensor in tensors.items():
            if family.name == "llama" and (".attn_q." in name or ".attn_k." in name):
                tensor = _interleave(tensor, config.head_width)
            writer.add_tensor(name, tensor.float().contiguous().numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        complete.replace(path)
    return family


def import_file(path: Path) -> tuple[GPT, Tokenizer]:
    """Read the model and the tokenizer of *path*, without rows past the vocabulary.

    Raises FormatError for a damaged file, and for a model that would compute something else here.
    """
    fields, tensors = _read(path)
    name = fields.get("general.architecture")
    if name not in FAMILIES:
        raise FormatError(
            f"{path}: general.architecture is {name!r}; supported: {', '.join(FAMILIES)}"
        )
    family = FAMILIES[name]
    prefix = f"{name}."
    hyperparameters = {
        key.removeprefix(prefix): value for key, value in fields.items() if key.startswith(prefix)
    }
    try:
        tokenizer = _read_tokenizer(fields)
        config = _read_config(hyperparameters, tensors, tokenizer.n_vocab, family)
        config = GPTConfig.from_dict(config.to_dict())  # checks the types of all fields
        mismatches = family.mismatches(config)
        if mismatches:
            raise FormatError(", ".join(mismatches))
        model = GPT(config)
        if family.name == "llama":
            for key, tensor in tensors.items():
                if ".attn_q." in key or ".attn_k." in key:
                    tensors[key] = _deinterleave(tensor, config.head_width)
        import_weights(tensors, model, GGUF[family.name])
    except KeyError as error:
        raise FormatError(f"{path}: missing field {error.args[0]}") from error
    except (ConfigError, FormatError) as error:
        raise FormatError(f"{path}: {error}") from error
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise FormatError(f"{path}: invalid value of a field: {error}") from error
    return model.eval(), tokenizer


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return all fields of *path*, and all tensors, as float32."""
    try:
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
        tensors = {
            tensor.name: torch.from_numpy(
                gguf.quants.dequantize(tensor.data, tensor.tensor_type).copy()
            )
            for tensor in reader.tensors
        }
    except NotImplementedError as error:
        raise FormatError(f"{path}: {error}; convert it to another type, such as F16") from error
    except OSError:
        raise
    except Exception as error:  # the reader checks little: damage can raise any exception
        raise FormatError(f"{path}: not a GGUF file, or damaged: {error}") from error
    return fields, tensors


def _read_config(
    fields: Mapping[str, Any], tensors: Mapping[str, Tensor], vocab_size: int, family: Family
) -> GPTConfig:
    """Return the config of a model of *family* from its *fields*, without the family's name."""
    for key, value in fields.items():
        if key not in _SUPPORTED_FIELDS and value not in (0, False, "none"):
            raise FormatError(f"{family.name}.{key} is {value!r}, which is not supported")
    heads, width = fields["attention.head_count"], fields["embedding_length"]
    kv_heads = fields.get("attention.head_count_kv", heads)
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


def _read_tokenizer(fields: Mapping[str, Any]) -> Tokenizer:
    """Build the tokenizer of *fields* through a tokenizer.json, whose reader checks all of it."""
    kind, pre = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre")
    patterns = {name: pattern for pattern, name in PRE_TOKENIZERS.items()}
    if kind != "gpt2":
        raise FormatError(f"tokenizer.ggml.model is {kind!r}; supported: 'gpt2', byte-level BPE")
    if pre not in patterns:
        raise FormatError(
            f"tokenizer.ggml.pre is {pre!r}; supported: {', '.join(patterns)} (another pattern "
            "would split text into other tokens)"
        )
    tokens = fields["tokenizer.ggml.tokens"]
    types = fields.get("tokenizer.ggml.token_type", [gguf.TokenType.NORMAL] * len(tokens))
    added = (gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED)
    # Unused ids at the end, such as padding, do not count in n_vocab.
    vocab = {
        text: id
        for id, (text, kind) in enumerate(zip(tokens, types, strict=True))
        if kind != gguf.TokenType.UNUSED
    }
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    document = {
        "version": "1.0",
        "added_tokens": [
            {"id": id, "content": text, "special": types[id] == gguf.TokenType.CONTROL, **plain}
            for text, id in vocab.items()
            if types[id] in added
        ],
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": oniguruma.from_rust(patterns[pre])},
                    "behavior": "Isolated",
                    "invert": False,
                },
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
            ],
        },
        "decoder": {"type": "ByteLevel"},
        "model": {
            "type": "BPE",
            "ignore_merges": pre == PRE_TOKENIZERS[LLAMA3],  # llama.cpp derives it in this way
            "vocab": vocab,
            "merges": fields["tokenizer.ggml.merges"],
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        try:
            return pytok.load(path)
        except PytokError as error:
            reason = error.message.removeprefix(f"{path}: ")
            raise FormatError(f"the tokenizer: {reason}") from error


def pre_tokenizer(pattern: str) -> str:
    """Return llama.cpp's name of *pattern*; raises FormatError if it does not support it."""
    if pattern not in PRE_TOKENIZERS:
        name = pattern_name(pattern) or repr(pattern)
        supported = ", ".join(name for name, regex in PATTERNS.items() if regex in PRE_TOKENIZERS)
        raise FormatError(
            f"the tokenizer's pattern is {name}; llama.cpp supports only {supported}, and would "
            "split text into other tokens; train with a tokenizer of one of these (pytok train "
            "--pattern), or use --to hf"
        )
    return PRE_TOKENIZERS[pattern]


def _add_hyperparameters(writer: gguf.GGUFWriter, config: GPTConfig) -> None:
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.mlp.hidden_width(config.width))
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


def _add_tokenizer(
    writer: gguf.GGUFWriter, tokenizer: Tokenizer, document: Mapping[str, Any], vocab_size: int
) -> None:
    """Add *tokenizer*, whose tokenizer.json is *document*, with *vocab_size* ids."""
    pre, model = pre_tokenizer(tokenizer.pattern), document["model"]
    # With other patterns llama.cpp only merges: it does not look up complete pieces first.
    if model.get("ignore_merges") and pre != PRE_TOKENIZERS[LLAMA3]:
        raise FormatError(
            "some tokens are not the result of a merge, and llama.cpp finds these only with the "
            f"pattern llama3; it would never use them with {pre}; use --to hf instead"
        )
    _check_parts(tokenizer.definition)
    tokens = [f"[UNUSED {id}]" for id in range(vocab_size)]
    types = [gguf.TokenType.UNUSED] * vocab_size
    for text, id in model["vocab"].items():
        tokens[id], types[id] = text, gguf.TokenType.NORMAL
    # Two special tokens can share an id, which decodes to the first.
    for token in reversed(tokenizer.added_tokens):
        tokens[token.id] = token.text
        types[token.id] = gguf.TokenType.CONTROL if token.special else gguf.TokenType.USER_DEFINED
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_add_bos_token(False)
    end = tokenizer.special_tokens.get(END_OF_TEXT)
    if end is not None:
        writer.add_bos_token_id(end)
        writer.add_eos_token_id(end)


def _check_parts(definition: Definition) -> None:
    """Raise FormatError for parts of a tokenizer that a GGUF file cannot express."""
    parts = {
        "normalizes text": definition.normalizer,
        "splits text several times": definition.splits,
        definition.beyond_bytes: definition.beyond_bytes,
        "puts a space in front of a text": definition.prefix_space,
        "has an id for unknown bytes": definition.unknown,
        "has an added token with lstrip, rstrip or single_word": any(
            token.lstrip or token.rstrip or token.single_word for token in definition.added_tokens
        ),
    }
    for part, is_present in parts.items():
        if is_present:
            raise FormatError(
                f"the tokenizer {part}, which a GGUF file cannot express; use --to hf instead"
            )


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
