"""``tokenizer.json``: Hugging Face's format, and pytok's own.

A file that is read encodes and decodes as tokenizers does with ``add_special_tokens=False``; any
other raises FormatError with the field and the reason. `normalizer`, `added_tokens`,
`pre_tokenizer`, `post_processor` and `merge_list` read and write the sections of these names.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from pytok.byte_order import LETTERS, to_letters
from pytok.definition import LAST_BYTES, UTF8_BYTES, AddedToken, Definition, Unknown
from pytok.engine import EngineName, TokenizerJson
from pytok.errors import FormatError
from pytok.formats.added_tokens import read_added_tokens, write_added_tokens
from pytok.formats.fields import Fields, json_type, parse_json
from pytok.formats.merge_list import (
    ListedMerges,
    Merges,
    assemble,
    from_letters,
    is_found_first,
    vocab_and_merges,
)
from pytok.formats.normalizer import read_normalizer, write_normalizer
from pytok.formats.oniguruma import from_rust
from pytok.formats.parsed import Entries, parse
from pytok.formats.post_processor import read_settings, write_settings
from pytok.formats.pre_tokenizer import read_splitting, write_splitting
from pytok.text import cut

MOST_NAMED = 400
"""Characters of a list of bytes that a warning shows."""


def read(path: Path, data: bytes, engine: EngineName) -> tuple[Definition, ListedMerges | None]:
    """Read *data*, the content of *path*: its definition, and the merges that it lists.

    There are no merges if *engine* has checked them. A UserWarning reports bytes that texts can
    have and the vocabulary lacks.
    """
    reader = Fields(path)
    if parsed := parse(path, data, engine):
        document, large = parsed
        parts = _read_parts(reader, document, Entries(large))
        if found := _assemble(reader, large, parts):
            parts.warn()
            return found, None
    return read_document(path, parse_json(path, data))


def read_document(path: Path, document: Any) -> tuple[Definition, ListedMerges]:
    """Read *document*, the parsed JSON of *path*: its definition, and the merges that it lists."""
    reader = Fields(path)
    vocab = _read_vocab(reader, document)
    parts = _read_parts(reader, document, vocab)
    definition, listed = assemble(
        path,
        vocab=vocab,
        pairs=_read_merges(reader, document["model"]),
        ignore_merges=parts.ignore_merges,
        plain=parts.plain,
    )
    _check_unknown(path, definition, listed)
    parts.warn()
    return definition, listed


class Parts(NamedTuple):
    """What a document says besides the entries of the vocabulary and the merges."""

    plain: Definition
    """A definition without tokens."""
    ignore_merges: bool
    warning: str
    """What to warn of if everything else is right, or nothing."""

    def warn(self) -> None:
        """Warn, if there is something to warn of."""
        if self.warning:
            warnings.warn(self.warning, stacklevel=6)


def _assemble(reader: Fields, large: TokenizerJson, parts: Parts) -> Definition | None:
    """Return the definition with the tokens of a parsed file; ``None`` if Python must read it."""
    plain, ignore_merges, warning = parts
    if plain.end_of_word_suffix:
        return None
    listed = [token for token in plain.added_tokens if large.id(token.text) is not None]
    for token in listed:
        # It can be an ordinary token as well.
        if len(token.text) == 1 or (
            ignore_merges and not is_found_first(reader.path, token, plain.normalizer)
        ):
            return None
    assembled = large.assemble([token.text for token in listed], ignore_merges)
    if assembled is None:
        return None
    (tokens, ids), decode_only = assembled
    if warning and plain.unknown and plain.unknown.id in set(ids):  # it can be in merges
        return None
    return replace(plain, tokens=tokens, ids=ids, decode_only=decode_only)


def _read_model(reader: Fields, document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise FormatError(f"{reader.path}: the file is a JSON {json_type(document)}, not an object")
    reader.must_be(document, "version", (None, "1.0"), "pytok reads version 1.0")
    model: dict[str, Any] = reader.get(document, "model", dict)
    # Some files are older than the field. Only Unigram has a vocabulary that is a list.
    model = {"type": "Unigram" if isinstance(model.get("vocab"), list) else None, **model}
    reader.must_be(model, "type", ("BPE", None), "pytok reads byte-level BPE only", "model.")
    if isinstance(model.get("vocab"), list) and model["vocab"]:  # so old that it has no type
        raise FormatError(
            f"{reader.path}: model.vocab is a list of tokens and scores, as of Unigram "
            "(SentencePiece): pytok reads byte-level BPE only"
        )
    return model


def _read_vocab(reader: Fields, document: Any) -> dict[str, int]:
    vocab: dict[str, int] = reader.get(_read_model(reader, document), "vocab", dict, "model.")
    for letters, id in vocab.items():
        if type(id) is not int:
            raise FormatError(f"{reader.path}: model.vocab[{letters!r}] is {id!r}, not an id")
    return vocab


def _read_parts(reader: Fields, document: Any, vocab: Mapping[str, int]) -> Parts:
    model = _read_model(reader, document)
    reader.must_be(model, "dropout", (None, 0, 0.0), "pytok encodes without dropout", "model.")
    reader.must_be(
        model, "continuing_subword_prefix", (None, ""), "pytok does not support it", "model."
    )
    suffix = _read_suffix(reader, model)
    splitting = read_splitting(reader, document)
    unknown, warning = _read_unknown(reader, model, vocab, to_letters(suffix.encode()))
    if warning and unknown is None and any(s.behavior == "removed" for s in splitting.splits):
        raise FormatError(
            f"{reader.path}: model.unk_token is not in model.vocab, which lacks bytes, and pytok "
            "would look for them before a split removes some: set it to null, or to an entry"
        )
    added = read_added_tokens(reader, document, vocab)
    ids = {token.text: token.id for token in added}
    plain = Definition(
        reader.path.stem,
        (),
        (),
        splitting.pattern,
        added,
        splits=splitting.splits,
        normalizer=read_normalizer(reader, document),
        prefix_space=splitting.prefix_space,
        end_of_word_suffix=suffix,
        unknown=unknown,
        settings=read_settings(reader, document, lambda text: ids.get(text, vocab.get(text))),
    )
    return Parts(plain, _flag(reader, model, "ignore_merges"), warning)


def _flag(reader: Fields, model: dict[str, Any], field: str) -> bool:
    """Return a field of the model that is true or false; false if it is missing or null."""
    return model.get(field) is not None and bool(reader.get(model, field, bool, "model."))


def _read_merges(reader: Fields, model: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the listed merges by their location."""
    return {
        (where := f"model.merges[{number}]"): reader.pair(merge, where)
        for number, merge in enumerate(reader.get(model, "merges", list, "model."))
        # Old files list the first line of merges.txt as well, which tokenizers ignores.
        if not (isinstance(merge, str) and merge.startswith("#version"))
    }


def _read_suffix(reader: Fields, model: dict[str, Any]) -> str:
    """Return the text of the suffix of tokens that end a piece, or nothing."""
    field = "end_of_word_suffix"
    letters: str = reader.get(model, field, str, "model.") if model.get(field) else ""
    try:
        suffix = from_letters(letters).decode()
    except UnicodeError:
        raise FormatError(
            f"{reader.path}: model.{field} is {letters!r}, which is no text in the byte-level "
            "alphabet: pytok reads byte-level BPE only"
        ) from None
    if suffix and _flag(reader, model, "ignore_merges"):
        raise FormatError(
            f"{reader.path}: model.ignore_merges is true: tokenizers would encode a piece that is "
            f"an entry without the model.{field} {letters!r} as that entry: set it to false"
        )
    return suffix


def _read_unknown(
    reader: Fields, model: dict[str, Any], vocab: Mapping[str, int], suffix: str
) -> tuple[Unknown | None, str]:
    """Return what becomes of bytes that *vocab* lacks, and a warning if texts can have some.

    It is ``None`` if they are an error, or if there are none. *suffix* is that of the last letters
    of pieces, which are entries of their own.
    """
    fuse = _flag(reader, model, "fuse_unk")
    text = None if model.get("unk_token") is None else reader.get(model, "unk_token", str, "model.")
    missing = sorted(byte for byte in UTF8_BYTES if LETTERS[byte] not in vocab)
    if text is not None and text not in vocab:
        unknown, fate = None, f"are an error, since it lacks model.unk_token {text!r} as well"
    elif text is not None:
        unknown, fate = Unknown(vocab[text], fuse), f"become the id {vocab[text]}, {text!r}"
    else:
        unknown, fate = Unknown(None, fuse), "are omitted, as in tokenizers: there is no unk_token"
    ends = [byte for byte in sorted(LAST_BYTES) if LETTERS[byte] + suffix not in vocab]
    if not missing and not ends:
        return (unknown if text is not None else None), ""
    if suffix and unknown is None:
        raise FormatError(
            f"{reader.path}: the vocabulary lacks {LETTERS[(ends or missing)[0]] + suffix!r}, and "
            f"model.unk_token {text!r} as well: add them, or set the field to null"
        )
    for byte in (missing or ends) if _flag(reader, model, "byte_fallback") else ():
        fallback = [f"<0x{part:02X}>" for part in LETTERS[byte].encode()]
        if vocab.keys() >= set(fallback):
            raise FormatError(
                f"{reader.path}: model.byte_fallback is true: tokenizers would encode the byte "
                f"0x{byte:02x}, which the vocabulary lacks, as {' and '.join(fallback)}, the bytes "
                "of its letter: set it to false"
            )
    names = cut(" ".join(f"0x{byte:02x}" for byte in missing or ends), MOST_NAMED)
    where = "texts can have" if missing else f"words can end with, as {LETTERS[ends[0]] + suffix!r}"
    return unknown, (
        f"{reader.path}: the vocabulary lacks {len(missing or ends)} of the bytes that {where}; "
        f"they {fate}: {names}"
    )


def _check_unknown(path: Path, definition: Definition, listed: ListedMerges) -> None:
    """Check that the token for unknown bytes is in no merge, which would take its neighbors."""
    unknown = definition.unknown
    parts = {rank for pair in listed.locations for rank in pair}
    if unknown and definition.lacks_bytes and unknown.id in {definition.ids[r] for r in parts}:
        raise FormatError(
            f"{path}: model.unk_token is merged with its neighbors: use a token that is in no merge"
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
    # Pieces are looked up in the vocabulary if it has tokens without a merge.
    for added in _to_list(definition, vocab, fewest=has_unmerged):
        if has_unmerged:
            is_found_first(path, added, definition.normalizer)
        vocab[added.text] = added.id
    vocab = dict(sorted(vocab.items(), key=itemgetter(1)))
    ids = {**vocab, **{added.text: added.id for added in definition.added_tokens}}
    settings = write_settings(definition.settings, ids.get)
    try:
        normalizer = write_normalizer(definition.normalizer)
        pre_tokenizer = write_splitting(
            definition.pattern, definition.splits, prefix_space=definition.prefix_space
        )
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None
    # The fields and items are in the order of Hugging Face's own files.
    document = {
        "version": "1.0",
        "truncation": settings["truncation"],
        "padding": settings["padding"],
        "added_tokens": write_added_tokens(definition.added_tokens),
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": settings["post_processor"],
        "decoder": settings["decoder"],
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": _unknown_token(definition, vocab),
            "continuing_subword_prefix": None,
            "end_of_word_suffix": to_letters(definition.end_of_word_suffix.encode()) or None,
            "fuse_unk": definition.unknown is not None and definition.unknown.fuse,
            "byte_fallback": False,
            "ignore_merges": has_unmerged,
            "vocab": vocab,
            "merges": pairs,
        },
    }
    # One item per line, for people and diffs; Python's json is ten times slower with an indent.
    return json.dumps(document, ensure_ascii=False, separators=(",\n", ": ")) + "\n"


def _to_list(definition: Definition, vocab: Mapping[str, int], *, fewest: bool) -> list[AddedToken]:
    """Return added tokens that the vocabulary lists as well: all of them, or the *fewest*.

    tokenizers numbers those that are not listed from its length, whatever id added_tokens has.
    """
    added = sorted(definition.added_tokens, key=lambda token: token.id)
    rest = [token for token in added if token.text not in vocab]
    unknown = definition.unknown and definition.unknown.id
    for count in range(len(rest)) if fewest else ():
        last = [token.id for token in rest[count:]]
        size = len(vocab) + count
        if last == list(range(size, size + len(last))) and unknown not in last:
            return rest[:count]
    return rest


def _unknown_token(definition: Definition, vocab: Mapping[str, int]) -> str | None:
    """Return the text of the token for unknown bytes."""
    unknown = definition.unknown
    if unknown is None:
        # A token that is not in the vocabulary makes unknown bytes an error.
        absent = "<unk>"
        while absent in vocab:
            absent += ">"
        return absent if definition.lacks_bytes else None
    return next((text for text, id in vocab.items() if id == unknown.id), None)
