"""The tokenizer of a GGUF file, written and read.

llama.cpp has a fixed list of split patterns under names of its own, and would use another pattern
for any other tokenizer, so such a tokenizer is rejected.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf

import pytok
from gpt.data.boundaries import Boundaries, with_named_ends
from gpt.errors import FormatError
from pytok.definition import END_OF_TEXT, Definition
from pytok.errors import PytokError
from pytok.formats import oniguruma
from pytok.formats.pre_tokenizer import GPT2_DIGITS
from pytok.patterns import GPT2, LLAMA3, PATTERNS, QWEN2, pattern_name
from pytok.text import quoted
from pytok.tokenizer import Tokenizer

PRE_TOKENIZERS = {GPT2: "gpt-2", LLAMA3: "llama-bpe", QWEN2: "qwen2", GPT2_DIGITS: "smollm"}
"""llama.cpp's names of the patterns that it supports."""
_ALIASES = {
    **dict.fromkeys(
        ("gpt2", "phi-2", "olmo", "mpt", "jais", "roberta-bpe", "jina-es", "jina-de", "exaone4"),
        GPT2,
    ),
    **dict.fromkeys(("llama3", "llama-v3", "falcon3", "dbrx", "smaug-bpe", "lfm2"), LLAMA3),
    **dict.fromkeys(("stablelm2", "deepseek-r1-qwen", "hunyuan", "megrez"), QWEN2),
    **dict.fromkeys(("starcoder", "refact", "codeshell", "command-r", "exaone"), GPT2_DIGITS),
}
"""Its further names of them."""

_ENDS = ("eos", "eot", "eom")
"""Tokens at which llama.cpp ends a text: of a text, a turn, and a message."""


def read_generation(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ids of BOS and EOS in *fields* as a generation_config.json has them."""
    bos = fields.get("tokenizer.ggml.bos_token_id")
    ends = [fields.get(f"tokenizer.ggml.{name}_token_id") for name in _ENDS]
    found = {"bos_token_id": bos, "eos_token_id": [id for id in ends if id is not None]}
    return {name: value for name, value in found.items() if value not in (None, [])}


def read_tokenizer(fields: Mapping[str, Any]) -> Tokenizer:
    """Build the tokenizer of *fields* through a tokenizer.json, whose reader checks all of it.

    Raises FormatError; KeyError, TypeError or ValueError for fields that are missing or malformed.
    """
    kind, pre = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre")
    patterns = {name: pattern for pattern, name in PRE_TOKENIZERS.items()} | _ALIASES
    if kind != "gpt2":
        raise FormatError(
            f"tokenizer.ggml.model is {quoted(kind)}; supported: 'gpt2', byte-level BPE"
        )
    if pre not in patterns:
        raise FormatError(
            f"tokenizer.ggml.pre is {quoted(pre)}; supported: {', '.join(patterns)} (another "
            "pattern would split text into other tokens)"
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
        "post_processor": _post_processor(fields, tokens),
        "decoder": {"type": "ByteLevel"},
        "model": {
            "type": "BPE",
            "ignore_merges": patterns[pre] == LLAMA3,  # llama.cpp derives it in this way
            "vocab": vocab,
            "merges": fields["tokenizer.ggml.merges"],
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        try:
            with warnings.catch_warnings(record=True) as caught:
                tokenizer = pytok.load(path)
        except PytokError as error:
            reason = error.message.removeprefix(f"{path}: ")
            raise FormatError(f"the tokenizer: {reason}") from error
    for warning in caught:
        warnings.warn(str(warning.message).removeprefix(f"{path}: "), stacklevel=3)
    if isinstance(chat := fields.get("tokenizer.chat_template"), str):
        settings = tokenizer.definition.settings._replace(config={"chat_template": chat})
        definition = replace(tokenizer.definition, settings=settings)
        tokenizer = Tokenizer.from_definition(definition)
    return with_named_ends(tokenizer, read_generation(fields))


def _post_processor(fields: Mapping[str, Any], tokens: Sequence[str]) -> dict[str, Any] | None:
    """Return the post-processor of a tokenizer.json that puts BOS before a text, if llama.cpp does.

    Without a field it does so for the pattern of Llama 3.
    """
    by_default = fields.get("tokenizer.ggml.pre") == PRE_TOKENIZERS[LLAMA3]
    id = fields.get("tokenizer.ggml.bos_token_id")
    if id is None or not fields.get("tokenizer.ggml.add_bos_token", by_default):
        return None
    text = tokens[id]
    first = {"SpecialToken": {"id": text, "type_id": 0}}
    one, two = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {
        "type": "TemplateProcessing",
        "single": [first, one],
        "pair": [first, one, first, two],
        "special_tokens": {text: {"id": text, "ids": [id], "tokens": [text]}},
    }


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


def add_tokenizer(
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
    prefix = Boundaries.of(tokenizer).prefix
    if prefix not in ([], [tokenizer.bos_token_id]):
        raise FormatError(
            f"the tokenizer puts {len(prefix)} ids before a text, and a GGUF file can name one, "
            "BOS; use --to hf instead"
        )
    writer.add_add_bos_token(bool(prefix))
    end = tokenizer.special_tokens.get(END_OF_TEXT)
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    for add, id in ((writer.add_bos_token_id, bos), (writer.add_eos_token_id, eos)):
        if (id := end if id is None else id) is not None:
            add(id)


def _check_parts(definition: Definition) -> None:
    """Raise FormatError for parts of a tokenizer that a GGUF file cannot express."""
    parts = {
        "normalizes text": definition.normalizer,
        "splits text several times": definition.splits,
        definition.beyond_bytes: definition.beyond_bytes,
        "puts a space in front of a text": definition.prefix_space,
        # llama.cpp omits bytes that the vocabulary lacks.
        "has an id for unknown bytes": definition.unknown and definition.unknown.id is not None,
        "has an added token with lstrip, rstrip or single_word": any(
            token.lstrip or token.rstrip or token.single_word for token in definition.added_tokens
        ),
    }
    for part, is_present in parts.items():
        if is_present:
            raise FormatError(
                f"the tokenizer {part}, which a GGUF file cannot express; use --to hf instead"
            )
