"""A folder for transformers: ``AutoTokenizer.from_pretrained(folder)`` encodes, pads and batches.

It has a tokenizer.json, tokenizer_config.json and special_tokens_map.json; with GPT-2's pattern, or
if they are there already, vocab.json and merges.txt as well, for software that reads those.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytok.definition import Definition
from pytok.formats import gpt2, tokenizer_json
from pytok.formats.classes import NAMED_TOKENS
from pytok.formats.merge_list import Merges

_OF_THE_FILES = {
    "added_tokens_decoder": "written again, from the added tokens",
    "auto_map": "code of another folder",
    "tokenizer_file": "a path on another machine",
    "vocab_file": "a path on another machine",
    "merges_file": "a path on another machine",
    "special_tokens_map_file": "a path on another machine",
    "name_or_path": "a path on another machine",
    "fix_mistral_regex": "transformers would change the pattern",
}
"""Fields of tokenizer_config.json that are not kept, and why."""

_USUAL = {
    "bos_token": ("<|begin_of_text|>", "<|startoftext|>", "<s>", "<bos>"),
    "eos_token": ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>"),
    "unk_token": ("<unk>", "<|unk|>"),
    "pad_token": ("<pad>", "<|pad|>", "<|padding|>", "[PAD]", "<|finetune_right_pad_id|>"),
}
"""The usual texts of special tokens, by their names in transformers."""


def named_tokens(definition: Definition) -> dict[str, str]:
    """Return the texts of BOS, EOS, padding and so on: as the settings say, or else as is usual.

    Without a token for padding that is EOS, as transformers needs one to pad.
    """
    config, specials = definition.settings.config, definition.special_tokens
    found = {}
    for name in NAMED_TOKENS:
        value = config.get(name)
        if isinstance(value, Mapping):
            value = value.get("content")
        if isinstance(value, str):
            found[name] = value
        elif name not in config and (
            usual := next((text for text in _USUAL.get(name, ()) if text in specials), None)
        ):
            found[name] = usual
    if "pad_token" not in found and "eos_token" in found:
        found["pad_token"] = found["eos_token"]
    return found


def assumed(definition: Definition) -> dict[str, str]:
    """Return those of `named_tokens` that no setting states."""
    config = definition.settings.config
    return {n: text for n, text in named_tokens(definition).items() if config.get(n) is None}


def dump(folder: Path, definition: Definition, merges: Merges) -> dict[str, bytes]:
    """Return the content of each file by its name; *folder* is where they will be."""
    named = named_tokens(definition)
    kept = {
        name: value
        for name, value in definition.settings.config.items()
        if name not in _OF_THE_FILES and name not in NAMED_TOKENS
    }
    if definition.prefix_space or "add_prefix_space" in kept:
        kept["add_prefix_space"] = definition.prefix_space
    config = {
        "added_tokens_decoder": {
            str(token.id): {
                "content": token.text,
                "lstrip": token.lstrip,
                "normalized": token.normalized,
                "rstrip": token.rstrip,
                "single_word": token.single_word,
                "special": token.special,
            }
            for token in sorted(definition.added_tokens, key=lambda token: token.id)
        },
        **named,
        "clean_up_tokenization_spaces": False,
        **kept,
        # The class of a model would split by its own pattern.
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    contents = {
        "tokenizer.json": tokenizer_json.dump(folder / "tokenizer.json", definition, merges),
        "tokenizer_config.json": _json(config),
        "special_tokens_map.json": _json(named),
    }
    template = kept.get("chat_template")
    if isinstance(template, str) and (folder / "chat_template.jinja").exists():
        contents["chat_template.jinja"] = template  # it would be read instead
    contents |= gpt2.dump(folder, definition, merges)
    return {name: text.encode() for name, text in contents.items()}


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def losses(definition: Definition, suffix: str) -> list[str]:
    """Return what a file with *suffix* does not hold of *definition*, for messages."""
    parts, settings = definition, definition.settings
    ordinary = [token for token in parts.added_tokens if not token.special]
    of_ranks = {
        "the pattern": True,
        _counted(parts.special_tokens, "special token"): parts.special_tokens,
        _counted(ordinary, "added token"): ordinary,
        f"the normalizer ({', '.join(step[0] for step in parts.normalizer)})": parts.normalizer,
        _counted(parts.splits, "further split"): parts.splits,
        "the space before a text": parts.prefix_space,
        "the end-of-word suffix": parts.end_of_word_suffix,
        "the token for unknown bytes": parts.unknown,
        _counted(parts.decode_only, "entry", "entries") + " that are only decoded": (
            parts.decode_only
        ),
        "the truncation": settings.truncation,
        "the padding": settings.padding,
        "the tokens around a text": (settings.post_processor or {}).get("type", "ByteLevel")
        != "ByteLevel",
    }
    named = [name for name in NAMED_TOKENS if settings.config.get(name) is not None]
    of_config = {
        "the chat template": settings.config.get("chat_template"),
        f"which tokens are {', '.join(name.removesuffix('_token') for name in named)}": named,
    }
    held = {".tiktoken": {**of_ranks, **of_config}, ".json": of_config}
    return [what for what, part in held.get(suffix, {}).items() if part]


def _counted(parts: Any, one: str, many: str | None = None) -> str:
    return f"{len(parts)} {one if len(parts) == 1 else many or one + 's'}"
