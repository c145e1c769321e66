"""GGUF files: a model and its tokenizer in one, for llama.cpp and what is built on it.

Written with the `gguf` package, in float32. llama.cpp has a fixed list of patterns, by names of its
own; a tokenizer whose pattern is none of them would be read with another, and is refused.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
from torch import Tensor

from gpt.checkpoint import Checkpoint
from gpt.config import Gelu, GPTConfig, Rope
from gpt.errors import FormatError
from gpt.formats.families import Family, family_of
from gpt.formats.names import GGUF, GGUF_GPT2, export_weights
from pytok.definition import END_OF_TEXT
from pytok.reference.pretokenize import GPT2, LLAMA3, PATTERNS, QWEN2
from pytok.tokenizer import Tokenizer

PRE = {GPT2: "gpt-2", LLAMA3: "llama-bpe", QWEN2: "qwen2"}
"""llama.cpp's name of each pattern that it has."""


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
        writer.add_rope_dimension_count(config.rotated)
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
