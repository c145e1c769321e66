"""``tokenizer.json``: Hugging Face's format, and pytok's own.

A file that is read encodes as tokenizers does with ``add_special_tokens=False``; any other raises
FormatError with the field and the reason. `pre_tokenizer`, `added_tokens` and `merge_list` read the
sections of these names.
"""

import json
from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from pytok.definition import AddedToken, Definition
from pytok.engine import EngineName
from pytok.errors import FormatError
from pytok.formats.added_tokens import read_added_tokens
from pytok.formats.fields import Fields, json_type, parse_json
from pytok.formats.merge_list import (
    ListedMerges,
    Merges,
    assemble,
    from_letters,
    is_ambiguous,
    vocab_and_merges,
)
from pytok.formats.oniguruma import from_rust
from pytok.formats.parsed import Entries, parse
from pytok.formats.pre_tokenizer import read_pattern


def read(path: Path, data: bytes, engine: EngineName) -> tuple[Definition, ListedMerges | None]:
    """Read *data*, the content of *path*: its definition, and the merges that it lists.

    There are no merges if *engine* has checked them.

    A post-processor is dropped: it adds tokens around a complete text, which pytok leaves to the
    caller, as tokenizers does with ``add_special_tokens=False``.
    """
    reader = Fields(path)
    if parsed := parse(path, data, engine):
        document, large = parsed
        parts = _read_parts(reader, document, Entries(large))
        found = large.assemble(list(parts.specials), parts.ignore_merges)
        if found and not found[1]:
            (tokens, ids), _ = found
            added = tuple(AddedToken(text, id) for text, id in parts.specials.items())
            return Definition(path.stem, tokens, ids, parts.pattern, added), None
    return read_document(path, parse_json(path, data))


def read_document(path: Path, document: Any) -> tuple[Definition, ListedMerges]:
    """Read *document*, the parsed JSON of *path*: its definition, and the merges that it lists."""
    reader = Fields(path)
    vocab = _read_vocab(reader, document)
    parts = _read_parts(reader, document, vocab)
    return assemble(
        path,
        name=path.stem,
        vocab={text: id for text, id in vocab.items() if text not in parts.specials},
        pairs={
            (where := f"model.merges[{number}]"): reader.pair(merge, where)
            for number, merge in enumerate(reader.get(document["model"], "merges", list, "model."))
        },
        pattern=parts.pattern,
        specials=parts.specials,
        ignore_merges=parts.ignore_merges,
    )


class Parts(NamedTuple):
    """What a document says besides the entries of the vocabulary and the merges."""

    pattern: str
    specials: dict[str, int]
    ignore_merges: bool


def _read_model(reader: Fields, document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise FormatError(f"{reader.path}: the file is a JSON {json_type(document)}, not an object")
    reader.must_be(document, "version", (None, "1.0"), "pytok reads version 1.0")
    model: dict[str, Any] = reader.get(document, "model", dict)
    # GPT-2's own file is older than the field.
    reader.must_be(model, "type", ("BPE", None), "pytok reads byte-level BPE only", "model.")
    return model


def _read_vocab(reader: Fields, document: Any) -> dict[str, int]:
    vocab: dict[str, int] = reader.get(_read_model(reader, document), "vocab", dict, "model.")
    for letters, id in vocab.items():
        if type(id) is not int:
            raise FormatError(f"{reader.path}: model.vocab[{letters!r}] is {id!r}, not an id")
    return vocab


def _read_parts(reader: Fields, document: Any, vocab: Mapping[str, int]) -> Parts:
    path, model = reader.path, _read_model(reader, document)
    pattern = read_pattern(reader, document)
    _check_normalizer(reader, document)
    reader.must_be(document, "truncation", (None,), "pytok never truncates")
    reader.must_be(document, "padding", (None,), "pytok never pads")
    _check_post_processor(reader, document)
    decoder = [step["type"] for _, step in reader.steps(document, "decoder", "decoders")]
    if decoder != ["ByteLevel"]:
        raise FormatError(
            f"{path}: decoder is {' then '.join(decoder) or 'null'}, not ByteLevel: pytok would "
            "decode differently"
        )
    reader.must_be(model, "dropout", (None, 0, 0.0), "pytok encodes without dropout", "model.")
    for field in ("continuing_subword_prefix", "end_of_word_suffix"):
        reader.must_be(model, field, (None, ""), "pytok does not support it", "model.")
    # unk_token, fuse_unk and byte_fallback only matter for unknown bytes. There are none: building
    # the core raises an error for a vocabulary that lacks one of the 256.
    ignore_merges = "ignore_merges" in model and reader.get(model, "ignore_merges", bool, "model.")
    specials = read_added_tokens(reader, document, vocab, ignore_merges=ignore_merges)
    return Parts(pattern, specials, ignore_merges)


def _check_normalizer(reader: Fields, document: dict[str, Any]) -> None:
    for where, step in reader.steps(document, "normalizer", "normalizers"):
        raise FormatError(
            f"{reader.path}: {where}.type is {step['type']!r}, which changes the text: pytok "
            "encodes text unchanged, so that decoding restores it; set normalizer to null for that"
        )


def _check_post_processor(reader: Fields, document: dict[str, Any]) -> None:
    """Check that the post-processor only adds tokens before and after the ids of a text."""
    for where, step in reader.steps(document, "post_processor", "processors"):
        if step["type"] == "TemplateProcessing":
            pieces = reader.get(step, "single", list, f"{where}.")
            times = sum(isinstance(piece, dict) and "Sequence" in piece for piece in pieces)
            if times != 1:
                raise FormatError(
                    f"{reader.path}: {where}.single has the text {times} times, not once"
                )
        elif step["type"] not in ("ByteLevel", "RobertaProcessing", "BertProcessing"):
            raise FormatError(
                f"{reader.path}: {where}.type is {step['type']!r}, which pytok does not support"
            )


def check_target(path: Path, pattern: str) -> None:
    """Check that Hugging Face's engine reads *pattern* with the same meaning."""
    try:
        from_rust(pattern)
    except FormatError as error:
        raise FormatError(f"{path}: {error}: save it as .tiktoken") from None


def dump(path: Path, definition: Definition, merges: Merges) -> str:
    """Return the text of the file; *path* is for messages."""
    vocab, pairs, has_unmerged = vocab_and_merges(path, definition, merges)
    for text in filter(is_ambiguous, definition.special_tokens if has_unmerged else ()):
        raise FormatError(
            f"{path}: the special token {text!r} also stands for {from_letters(text)!r} where "
            "tokens without a merge are looked up: save it as .tiktoken"
        )
    # Special tokens are in the vocabulary as well: otherwise tokenizers would number them from its
    # length, whatever id added_tokens has.
    vocab = dict(sorted({**vocab, **definition.special_tokens}.items(), key=itemgetter(1)))
    # The fields and items are in the order of Hugging Face's own files.
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
                    "pattern": {"Regex": from_rust(definition.pattern)},
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
            "ignore_merges": has_unmerged,
            "vocab": vocab,
            "merges": pairs,
        },
    }
    # One item per line, for people and diffs; Python's json is ten times slower with an indent.
    return json.dumps(document, ensure_ascii=False, separators=(",\n", ": ")) + "\n"
