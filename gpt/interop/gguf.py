"""GGUF files: a model and its tokenizer in one, for llama.cpp and what is built on it.

Written and read with the `gguf` package; written in float32, read in any type that it unpacks.
llama.cpp has a fixed list of patterns, by names of its own; a tokenizer whose pattern is none of
them would be read with another, and is refused. So is what a file says beyond what a family has.
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
from gpt.interop.tensor_names import GGUF, GGUF_GPT2, export_weights, import_weights
from gpt.model.gpt import GPT
from gpt.runs.reading import Checkpoint
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.mlp import Gelu, SwiGLU
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.position import Learned, Rope
from pytok.definition import END_OF_TEXT
from pytok.errors import PytokError
from pytok.formats import oniguruma
from pytok.reference.pretokenize import GPT2, LLAMA3, PATTERNS, QWEN2
from pytok.tokenizer import Tokenizer

PRE = {GPT2: "gpt-2", LLAMA3: "llama-bpe", QWEN2: "qwen2"}
"""llama.cpp's name of each pattern that it has."""
_SIZES = {
    *("vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length"),
    *("attention.head_count", "attention.head_count_kv"),
    *("attention.key_length", "attention.value_length", "rope.dimension_count", "rope.freq_base"),
    *("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"),
}
"""The fields of a model that are read; others must be off."""


def export_file(checkpoint: Checkpoint, path: Path) -> Family:
    """Write *path*, whole or not at all; return the family of the model.

    Raises FormatError for what GGUF, or llama.cpp as it reads it, cannot hold.
    """
    config = checkpoint.state.config
    family = family_of(config)
    if isinstance(config.mlp, Gelu) and not config.mlp.tanh:
        raise FormatError("mlp.tanh is false, and llama.cpp computes GPT-2's GELU by tanh only")
    if path.is_dir() or not path.parent.is_dir():
        raise FormatError(f"{path}: not the name of a file in a folder that is there")
    tokenizer = checkpoint.tokenizer()
    document = json.loads((checkpoint.folder / "tokenizer.json").read_bytes())
    gpt2 = family.name == "gpt2"
    # Beside its place, since a rename must not cross file systems.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as aside:
        written = Path(aside) / path.name
        writer = gguf.GGUFWriter(written, family.name)
        _add_sizes(writer, config)
        _add_tokenizer(writer, tokenizer, document, config.vocab_size)
        tensors = export_weights(
            checkpoint.weights, config, GGUF_GPT2 if gpt2 else GGUF, biases=gpt2
        )
        for name, tensor in tensors.items():
            if family.name == "llama" and (".attn_q." in name or ".attn_k." in name):
                tensor = _interleave(tensor, config.head_width)
            writer.add_tensor(name, tensor.float().contiguous().numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        written.replace(path)
    return family


def import_file(path: Path) -> tuple[GPT, Tokenizer]:
    """Read the model and the tokenizer of *path*; ids after the last that is used are dropped.

    Raises FormatError for what is damaged, or says something that gpt would not compute.
    """
    fields, tensors = _read(path)
    name = fields.get("general.architecture")
    if name not in FAMILIES:
        raise FormatError(
            f"{path}: general.architecture is {name!r}; gpt has {', '.join(FAMILIES)}"
        )
    family = FAMILIES[name]
    sizes = {key.removeprefix(f"{name}."): value for key, value in fields.items()}
    sizes = {key: sizes[key] for key in sizes if f"{name}.{key}" in fields}
    try:
        tokenizer = _read_tokenizer(fields)
        config = _read_config(sizes, tensors, tokenizer.n_vocab, family)
        config = GPTConfig.from_dict(config.to_dict())  # which checks the types of all fields
        obstacles = family.obstacles(config)
        if obstacles:
            raise FormatError("; ".join(obstacles))
        model = GPT(config)
        if family.name == "llama":
            for key, tensor in tensors.items():
                if ".attn_q." in key or ".attn_k." in key:
                    tensors[key] = _separate(tensor, config.head_width)
        import_weights(tensors, model, GGUF_GPT2 if family.name == "gpt2" else GGUF)
    except KeyError as error:
        raise FormatError(f"{path}: the field {error.args[0]} is missing") from error
    except (ConfigError, FormatError) as error:
        raise FormatError(f"{path}: {error}") from error
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise FormatError(f"{path}: a field holds what it cannot: {error}") from error
    return model.eval(), tokenizer


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """All fields of *path*, and all tensors, as float32."""
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
        raise FormatError(f"{path}: {error}; give a file of another type, such as F16") from error
    except OSError:
        raise
    except Exception as error:  # the reader checks little, so damage shows as anything
        raise FormatError(f"{path}: not a GGUF file, or a damaged one: {error}") from error
    return fields, tensors


def _read_config(
    sizes: Mapping[str, Any], tensors: Mapping[str, Tensor], vocab_size: int, family: Family
) -> GPTConfig:
    """The config of a model of *family* whose fields, less the family's name, are *sizes*."""
    for key, value in sizes.items():
        if key not in _SIZES and value not in (0, False, "none"):
            raise FormatError(f"{family.name}.{key} is {value!r}, which gpt has nothing for")
    heads, width = sizes["attention.head_count"], sizes["embedding_length"]
    kv_heads = sizes.get("attention.head_count_kv", heads)
    shape: dict[str, Any] = {
        "vocab_size": vocab_size,
        "context": sizes["context_length"],
        "layers": sizes["block_count"],
        "width": width,
        "tie": "output.weight" not in tensors,
    }
    hidden = sizes["feed_forward_length"]
    if family.name == "gpt2":
        return GPTConfig(
            **shape,
            attention=GroupedQuery(heads=heads, kv_heads=kv_heads),
            position=Learned(),
            mlp=Gelu(hidden=hidden, tanh=True),
            norm=LayerNorm(eps=_decimal(sizes["attention.layer_norm_epsilon"])),
            bias=True,
        )
    head_width = sizes.get("attention.key_length", width // heads)
    for key in ("attention.value_length", "rope.dimension_count"):
        if sizes.get(key, head_width) != head_width:
            raise FormatError(f"{key} is {sizes[key]}, where gpt has heads of {head_width}")
    return GPTConfig(
        **shape,
        attention=GroupedQuery(
            heads=heads, kv_heads=kv_heads, head_width=head_width, qk_norm=family.name == "qwen3"
        ),
        position=Rope(theta=_decimal(sizes.get("rope.freq_base", 10_000.0))),
        mlp=SwiGLU(hidden=hidden),
        norm=RMSNorm(eps=_decimal(sizes["attention.layer_norm_rms_epsilon"])),
        bias="blk.0.attn_q.bias" in tensors,
    )


def _read_tokenizer(fields: Mapping[str, Any]) -> Tokenizer:
    """Build the tokenizer of *fields* by way of a tokenizer.json, whose reader checks it all."""
    kind, pre = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre")
    names = {name: pattern for pattern, name in PRE.items()}
    if kind != "gpt2":
        raise FormatError(f"tokenizer.ggml.model is {kind!r}; gpt reads byte-level BPE, 'gpt2'")
    if pre not in names:
        raise FormatError(
            f"tokenizer.ggml.pre is {pre!r}; pytok splits text as {', '.join(names)} do, and by "
            "another pattern the model would read other tokens"
        )
    tokens = fields["tokenizer.ggml.tokens"]
    types = fields.get("tokenizer.ggml.token_type", [gguf.TokenType.NORMAL] * len(tokens))
    added = (gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED)
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
                    "pattern": {"Regex": oniguruma.spell(names[pre])},
                    "behavior": "Isolated",
                    "invert": False,
                },
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
            ],
        },
        "decoder": {"type": "ByteLevel"},
        "model": {
            "type": "BPE",
            "ignore_merges": pre == PRE[LLAMA3],  # as llama.cpp has it, by the pattern
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


def pre_of(pattern: str) -> str:
    """Find llama.cpp's name for *pattern*; FormatError where it has none."""
    if pattern not in PRE:
        name = next((name for name, regex in PATTERNS.items() if regex == pattern), repr(pattern))
        known = ", ".join(name for name, regex in PATTERNS.items() if regex in PRE)
        raise FormatError(
            f"the tokenizer's pattern is {name}, and llama.cpp splits text by {known} only: it "
            "would read other tokens; train with a tokenizer of one of these (pytok train "
            "--pattern), or export --to hf"
        )
    return PRE[pattern]


def _add_sizes(writer: gguf.GGUFWriter, config: GPTConfig) -> None:
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.hidden)
    writer.add_head_count(config.attention.heads)
    writer.add_head_count_kv(config.attention.kv_heads)
    if isinstance(config.position, Rope):
        writer.add_key_length(config.head_width)
        writer.add_value_length(config.head_width)
        writer.add_rope_dimension_count(config.rotary_width)
        writer.add_rope_freq_base(config.position.theta)
        writer.add_layer_norm_rms_eps(config.norm.eps)
    else:
        writer.add_layer_norm_eps(config.norm.eps)


def _add_tokenizer(
    writer: gguf.GGUFWriter, tokenizer: Tokenizer, document: Mapping[str, Any], vocab_size: int
) -> None:
    """Add *tokenizer*, whose tokenizer.json is *document*, over *vocab_size* ids."""
    pre, model = pre_of(tokenizer.pattern), document["model"]
    # Not looked up whole, a token that no merge makes would never be found.
    if model.get("ignore_merges") and pre != "llama-bpe":
        raise FormatError(
            f"some tokens are made by no merge, and llama.cpp does not look for them by {pre}"
        )
    specials = {id: text for text, id in tokenizer.special_tokens.items()}
    texts = {id: text for text, id in model["vocab"].items()} | specials
    tokens, types = [], []
    for id in range(vocab_size):
        kind = gguf.TokenType.NORMAL if id in texts else gguf.TokenType.UNUSED
        tokens.append(texts.get(id, f"[UNUSED {id}]"))
        types.append(gguf.TokenType.CONTROL if id in specials else kind)
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


def _interleave(rows: Tensor, head_width: int) -> Tensor:
    """Order the rows of queries or keys as Meta's Llama rotates them: feature 2i with 2i + 1."""
    halves = rows.view(-1, 2, head_width // 2, *rows.shape[1:])
    return halves.transpose(1, 2).reshape(rows.shape)


def _separate(rows: Tensor, head_width: int) -> Tensor:
    """Invert `_interleave`."""
    pairs = rows.view(-1, head_width // 2, 2, *rows.shape[1:])
    return pairs.transpose(1, 2).reshape(rows.shape)


def _decimal(value: float) -> float:
    """The shortest number that float32 stores as *value*: 1e-6, where the file has 9.99999997e-7.

    >>> _decimal(9.999999974752427e-07)
    1e-06
    """
    return float(str(np.float32(value)))
