"""``tokenizer.json``: Hugging Face's format, and pytok's own."""

import json
from pathlib import Path
from typing import Any

from pytok.definition import Definition
from pytok.errors import FormatError
from pytok.formats.fields import Fields, kind, parse_json
from pytok.formats.merge_list import Merges, StatedMerges, assemble, spelled
from pytok.reference.pretokenize import CL100K, GPT2, O200K

_HUGGING_FACE_SPELLING = {
    # Oniguruma reads `$` as the end of a line and `{1,3}+` as a repeated group, so the known
    # patterns are spelled in the syntax that all engines read alike. They split the same.
    GPT2: r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    CL100K: r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s+(?![\s\S])|\s*[\r\n]|\s+(?!\S)|\s",
    O200K: O200K,
}
_KNOWN_SPELLING = {spelling: regex for regex, spelling in _HUGGING_FACE_SPELLING.items()} | {
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+": GPT2
}


def read(path: Path) -> tuple[Definition, StatedMerges]:
    """What *path* defines, and the merges it lists."""
    document = parse_json(path)
    if not isinstance(document, dict):
        raise FormatError(f"{path}: the file is a JSON {kind(document)}, not an object")
    reader = Fields(path)
    reader.must_be(document, "normalizer", (None,), "pytok encodes text as it is")
    reader.must_be(document, "truncation", (None,), "pytok never cuts what it encodes")
    reader.must_be(document, "padding", (None,), "pytok never pads")
    model = reader.get(document, "model", dict)
    reader.must_be(model, "type", ("BPE",), "pytok reads byte-level BPE only", "model.")
    for field in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        reader.must_be(model, field, (None, "", 0, 0.0), "pytok has no such thing", "model.")
    for field, kinds in (("post_processor", (None, "ByteLevel")), ("decoder", ("ByteLevel",))):
        part = document.get(field)
        if (part.get("type") if isinstance(part, dict) else part) not in kinds:
            raise FormatError(f"{path}: {field} is {part!r}: pytok has no such thing")
    pattern = _pattern_of(reader, document)
    specials = _special_tokens_of(reader, document)
    vocab = reader.get(model, "vocab", dict, "model.")
    listed = reader.get(model, "merges", list, "model.")
    pairs = [reader.pair(merge, f"model.merges[{place}]") for place, merge in enumerate(listed)]
    for letters, id in vocab.items():
        if not isinstance(id, int) or isinstance(id, bool):
            raise FormatError(f"{path}: model.vocab[{letters!r}] is {id!r}, not an id")
    ignore_merges = model.get("ignore_merges", False) is True
    ordinary = {text: id for text, id in vocab.items() if specials.get(text) != id}
    return assemble(reader, path.stem, ordinary, pairs, pattern, specials, ignore_merges, "model.")


def _pattern_of(reader: Fields, document: dict[str, Any]) -> str:
    """The regex of a pre-tokenizer that splits by one and then maps bytes to letters."""
    part = reader.get(document, "pre_tokenizer", dict)
    parts = part.get("pretokenizers") if part.get("type") == "Sequence" else [part]
    match parts:
        case [{"type": "ByteLevel", "add_prefix_space": False, **rest}]:
            if rest.get("use_regex", True):
                return GPT2
        case [
            {"type": "Split", "pattern": {"Regex": str(regex)}, "behavior": "Isolated", **split},
            {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
        ] if not split.get("invert"):
            if regex in _KNOWN_SPELLING:
                return _KNOWN_SPELLING[regex]
            if _reads_differently(regex):
                raise FormatError(
                    f"{reader.path}: pre_tokenizer: the pattern {regex!r} uses ^, $ or a "
                    "possessive repeat, which its engine and pytok's read differently"
                )
            return regex
    raise FormatError(
        f"{reader.path}: pre_tokenizer is not a Split by a Regex (Isolated) and a ByteLevel "
        "without prefix space, which is all that pytok can do exactly"
    )


def _reads_differently(regex: str) -> bool:
    """Whether Oniguruma, Hugging Face's engine, may read *regex* in another way than Rust does."""
    bare = regex.replace("\\\\", "").replace(r"\$", "").replace(r"\^", "").replace("[^", "[")
    return "$" in bare or "^" in bare or "}+" in bare or "&&" in bare


def _special_tokens_of(reader: Fields, document: dict[str, Any]) -> dict[str, int]:
    specials: dict[str, int] = {}
    for place, token in enumerate(document.get("added_tokens") or []):
        where = f"added_tokens[{place}]."
        text = reader.get(token, "content", str, where)
        specials[text] = reader.get(token, "id", int, where)
        for flag in ("lstrip", "rstrip", "single_word"):
            reader.must_be(token, flag, (None, False), "pytok takes special tokens exactly", where)
        reader.must_be(token, "special", (True,), "pytok has no added tokens but special", where)
    return specials


def dump(path: Path, definition: Definition, merges: Merges) -> str:
    """The text of the file; *path* is for messages."""
    vocab, pairs, unmade = spelled(path, definition, merges)
    pattern = _HUGGING_FACE_SPELLING.get(definition.pattern, definition.pattern)
    if pattern is definition.pattern and pattern != O200K and _reads_differently(pattern):
        raise FormatError(
            f"{path}: the pattern {pattern!r} uses ^, $ or a possessive repeat, which Hugging "
            "Face's engine reads differently"
        )
    # Insertion order is what Hugging Face's own files have: by id.
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": id,
                "content": text,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for text, id in sorted(definition.special_tokens.items(), key=lambda item: item[1])
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": pattern},
                    "behavior": "Isolated",
                    "invert": False,
                },
                {
                    "type": "ByteLevel",
                    "add_prefix_space": False,
                    "trim_offsets": False,
                    "use_regex": False,
                },
            ],
        },
        "post_processor": None,
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": False,
            "use_regex": False,
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": unmade,
            "vocab": vocab,
            "merges": pairs,
        },
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"
