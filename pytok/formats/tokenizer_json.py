"""``tokenizer.json``: Hugging Face's format, and pytok's own."""

import json
from operator import itemgetter
from pathlib import Path
from typing import Any

from pytok.definition import Definition
from pytok.errors import FormatError
from pytok.formats.fields import Fields, kind, parse_json
from pytok.formats.merge_list import Merges, StatedMerges, assemble, spelled
from pytok.formats.oniguruma import spell, unspell
from pytok.reference.pretokenize import GPT2


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
    if _adds_nothing(document.get("post_processor")):
        document["post_processor"] = None
    for field, kinds in (("post_processor", (None, "ByteLevel")), ("decoder", ("ByteLevel",))):
        part = document.get(field)
        if (part.get("type") if isinstance(part, dict) else part) not in kinds:
            meant = " or ".join("null" if kind is None else kind for kind in kinds)
            raise FormatError(f"{path}: {field} is {part!r}, and pytok does {meant} only")
    pattern = _pattern_of(reader, document)
    specials = _special_tokens_of(reader, document)
    vocab = reader.get(model, "vocab", dict, "model.")
    listed = reader.get(model, "merges", list, "model.")
    for letters, id in vocab.items():
        if type(id) is not int:
            raise FormatError(f"{path}: model.vocab[{letters!r}] is {id!r}, not an id")
    if "ignore_merges" in model:
        reader.get(model, "ignore_merges", bool, "model.")
    return assemble(
        path,
        name=path.stem,
        vocab={text: id for text, id in vocab.items() if specials.get(text) != id},
        pairs={
            (place := f"model.merges[{number}]"): reader.pair(merge, place)
            for number, merge in enumerate(listed)
        },
        pattern=pattern,
        specials=specials,
        complete=not model.get("ignore_merges"),
    )


def _adds_nothing(post_processor: object) -> bool:
    """Whether it is the template that transformers writes, without a token of its own."""
    match post_processor:
        case {"type": "TemplateProcessing", "single": [{"Sequence": _}], "special_tokens": tokens}:
            return not tokens
    return False


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
            try:
                return unspell(regex)
            except FormatError as error:
                raise FormatError(f"{reader.path}: pre_tokenizer: {error}") from None
    raise FormatError(
        f"{reader.path}: pre_tokenizer is not a Split by a Regex (Isolated) and a ByteLevel "
        "without prefix space, which is all that pytok can do exactly"
    )


def _special_tokens_of(reader: Fields, document: dict[str, Any]) -> dict[str, int]:
    specials: dict[str, int] = {}
    listed = (
        [] if document.get("added_tokens") is None else reader.get(document, "added_tokens", list)
    )
    for place, token in enumerate(listed):
        where = f"added_tokens[{place}]."
        text = reader.get(token, "content", str, where)
        if text in specials:
            raise FormatError(f"{reader.path}: {where}content {text!r} is there already")
        specials[text] = reader.get(token, "id", int, where)
        for flag in ("lstrip", "rstrip", "single_word"):
            reader.must_be(token, flag, (None, False), "pytok takes special tokens exactly", where)
        reader.must_be(token, "special", (True,), "pytok has no added tokens but special", where)
    return specials


def check_target(path: Path, pattern: str) -> None:
    """Refuse a pattern that Hugging Face's engine may read differently."""
    try:
        spell(pattern)
    except FormatError as error:
        raise FormatError(f"{path}: {error}: save it as .tiktoken") from None


def dump(path: Path, definition: Definition, merges: Merges) -> str:
    """The text of the file; *path* is for messages."""
    vocab, pairs, unmade = spelled(path, definition, merges)
    # Special tokens are in the vocabulary, too: only so do tokenizers take their ids as they are,
    # where ids before them are missing.
    vocab = dict(sorted({**vocab, **definition.special_tokens}.items(), key=itemgetter(1)))
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
                    "pattern": {"Regex": spell(definition.pattern)},
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
