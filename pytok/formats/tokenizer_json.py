"""``tokenizer.json``: Hugging Face's format, and pytok's own.

What is read encodes as tokenizers does with ``add_special_tokens=False``; a file that could not is
refused with the field and the reason. `pre_tokenizer`, `added_tokens` and `merge_list` see to the
parts that have rooms of their own.
"""

import json
from operator import itemgetter
from pathlib import Path
from typing import Any

from pytok.definition import Definition
from pytok.errors import FormatError
from pytok.formats.added_tokens import special_tokens_of
from pytok.formats.fields import Fields, kind, parse_json
from pytok.formats.merge_list import (
    Merges,
    StatedMerges,
    assemble,
    spelled,
    spells_another,
    unspell,
)
from pytok.formats.oniguruma import spell
from pytok.formats.pre_tokenizer import pattern_of


def read(path: Path) -> tuple[Definition, StatedMerges]:
    """What *path* defines, and the merges it lists.

    A post-processor is not kept: it puts tokens around whole texts, which pytok leaves to its
    caller, as tokenizers does when told ``add_special_tokens=False``.
    """
    document = parse_json(path)
    if not isinstance(document, dict):
        raise FormatError(f"{path}: the file is a JSON {kind(document)}, not an object")
    reader = Fields(path)
    reader.must_be(document, "version", (None, "1.0"), "pytok reads version 1.0")
    model = reader.get(document, "model", dict)
    # GPT-2's own file is older than the field.
    reader.must_be(model, "type", ("BPE", None), "pytok reads byte-level BPE only", "model.")
    pattern = pattern_of(reader, document)
    _check_normalizer(reader, document)
    reader.must_be(document, "truncation", (None,), "pytok never cuts what it encodes")
    reader.must_be(document, "padding", (None,), "pytok never pads")
    _check_post_processor(reader, document)
    decoder = [part["type"] for _, part in reader.parts(document, "decoder", "decoders")]
    if decoder != ["ByteLevel"]:
        raise FormatError(
            f"{path}: decoder is {' then '.join(decoder) or 'null'}, not ByteLevel: it would "
            "decode differently"
        )
    reader.must_be(model, "dropout", (None, 0, 0.0), "pytok leaves nothing to chance", "model.")
    for field in ("continuing_subword_prefix", "end_of_word_suffix"):
        reader.must_be(model, field, (None, ""), "pytok has no such thing", "model.")
    # Without an unknown byte, unk_token, fuse_unk and byte_fallback say nothing; a vocabulary that
    # lacks one of the 256 is refused where the core is built.
    whole_pieces = "ignore_merges" in model and reader.get(model, "ignore_merges", bool, "model.")
    vocab = reader.get(model, "vocab", dict, "model.")
    for letters, id in vocab.items():
        if type(id) is not int:
            raise FormatError(f"{path}: model.vocab[{letters!r}] is {id!r}, not an id")
    specials = special_tokens_of(reader, document, vocab, whole_pieces=whole_pieces)
    return assemble(
        path,
        name=path.stem,
        vocab={text: id for text, id in vocab.items() if text not in specials},
        pairs={
            (place := f"model.merges[{number}]"): reader.pair(merge, place)
            for number, merge in enumerate(reader.get(model, "merges", list, "model."))
        },
        pattern=pattern,
        specials=specials,
        whole_pieces=whole_pieces,
    )


def _check_normalizer(reader: Fields, document: dict[str, Any]) -> None:
    for where, part in reader.parts(document, "normalizer", "normalizers"):
        raise FormatError(
            f"{reader.path}: {where}.type is {part['type']!r}, which changes the text: pytok "
            "encodes it as it is, so that decoding gives it back; set normalizer to null to do so"
        )


def _check_post_processor(reader: Fields, document: dict[str, Any]) -> None:
    """Refuses one that does more to the ids of a text than to put tokens around them."""
    for where, part in reader.parts(document, "post_processor", "processors"):
        if part["type"] == "TemplateProcessing":
            pieces = reader.get(part, "single", list, f"{where}.")
            times = sum(isinstance(piece, dict) and "Sequence" in piece for piece in pieces)
            if times != 1:
                raise FormatError(
                    f"{reader.path}: {where}.single holds the text {times} times, not once"
                )
        elif part["type"] not in ("ByteLevel", "RobertaProcessing", "BertProcessing"):
            raise FormatError(
                f"{reader.path}: {where}.type is {part['type']!r}, and pytok knows no such thing"
            )


def check_target(path: Path, pattern: str) -> None:
    """Refuse a pattern that Hugging Face's engine may read differently."""
    try:
        spell(pattern)
    except FormatError as error:
        raise FormatError(f"{path}: {error}: save it as .tiktoken") from None


def dump(path: Path, definition: Definition, merges: Merges) -> str:
    """The text of the file; *path* is for messages."""
    vocab, pairs, unmade = spelled(path, definition, merges)
    for text in filter(spells_another, definition.special_tokens if unmade else ()):
        raise FormatError(
            f"{path}: the special token {text!r} spells {unspell(text)!r}, too, where tokens that "
            "no merge makes are looked up: save it as .tiktoken"
        )
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
    # A line an item, for people and for diffs; Python's json is ten times slower with an indent.
    return json.dumps(document, ensure_ascii=False, separators=(",\n", ": ")) + "\n"
