"""A folder as transformers writes it: the tokenizer, and files that say what it means.

``tokenizer.json`` comes first; then ``tekken.json``; then vocabulary and merges, or a list of
ranks, whose pattern, normalizer and special tokens follow from the class in
``tokenizer_config.json``. What that file has beside is kept in `pytok.definition.Settings.config`.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pytok.definition import AddedToken, Definition
from pytok.engine import EngineName
from pytok.errors import FormatError
from pytok.formats import detect, gpt2, tekken, tiktoken, tokenizer_json
from pytok.formats.beside import Beside
from pytok.formats.classes import CLASSES, RANK_CLASSES, check_byte_level
from pytok.formats.converter import document, named_tokens
from pytok.formats.fields import parse_json
from pytok.formats.gpt2 import TwoFiles
from pytok.formats.merge_list import ListedMerges

_FILES_OF_OTHERS = {
    "vocab.txt": "a vocabulary of WordPiece (BERT), which pytok cannot read",
    "spiece.model": "a model of SentencePiece, which merges characters",
    "sentencepiece.bpe.model": "a model of SentencePiece, which merges characters",
}
"""Files of tokenizers that are not byte-level BPE."""


def read(
    path: Path,
    pattern: str | None,
    special_tokens: Mapping[str, int] | None,
    engine: EngineName,
) -> tuple[Definition, ListedMerges | None]:
    """Read the folder *path*; *pattern* and *special_tokens* are for folders that state none."""
    beside = Beside(path)
    definition, listed = _definition(path, beside, pattern, special_tokens, engine)
    config = {**definition.settings.config, **beside.settings()}
    settings = definition.settings._replace(config=config)
    return replace(definition, name=path.resolve().name, settings=settings), listed


def _definition(
    path: Path,
    beside: Beside,
    pattern: str | None,
    special_tokens: Mapping[str, int] | None,
    engine: EngineName,
) -> tuple[Definition, ListedMerges | None]:
    given = pattern is not None or special_tokens is not None
    complete = path / "tokenizer.json"
    if complete.exists():
        _check_nothing_given(complete, given)
        return tokenizer_json.read(complete, detect.read(complete), engine)
    for file in sorted(path.glob("tekken*.json")):
        _check_nothing_given(file, given)
        return tekken.read(file, parse_json(file)), None
    if (two := gpt2.read(path)) is not None:
        return _two_files(beside, two, pattern, special_tokens)
    if (rank_file := _rank_file(path)) is not None:
        return _ranks(beside, rank_file, pattern, special_tokens, engine), None
    for name, what in _FILES_OF_OTHERS.items():
        if (path / name).exists():
            raise FormatError(f"{path / name}: this is {what}: pytok reads byte-level BPE")
    raise FormatError(
        f"{path}: the folder has no tokenizer: no tokenizer.json, no vocab.json with merges.txt, "
        "no list of ranks (tokenizer.model, tiktoken.model, *.tiktoken) and no tekken.json"
    )


def _check_nothing_given(path: Path, given: bool) -> None:
    if given:
        raise FormatError(
            f"{path}: the file has its own pattern and special tokens: do not pass any"
        )


def _two_files(
    beside: Beside, two: TwoFiles, pattern: str | None, special_tokens: Mapping[str, int] | None
) -> tuple[Definition, ListedMerges]:
    name = beside.class_name
    if name is None or (name not in CLASSES and pattern is not None):
        if name is None and (beside.special_tokens_map or beside.config) and pattern is None:
            raise FormatError(
                f"{beside.path}: no file says the tokenizer_class, and so the pattern: pass it, "
                "for example 'gpt2' (--pattern gpt2)"
            )
        return gpt2.plain(two, beside.path.name, pattern, special_tokens)
    check_byte_level(beside.path, name)
    if name not in CLASSES:
        raise FormatError(
            f"{beside.path}: tokenizer_class is {name!r}, whose pattern pytok does not know: "
            "pass it (--pattern), or add the tokenizer.json"
        )
    _check_nothing_given(beside.path, pattern is not None or special_tokens is not None)
    definition, listed = tokenizer_json.read_document(beside.path, document(beside, two))
    named = {name: token.text for name, token in named_tokens(beside).items()}
    settings = definition.settings._replace(config=named)
    return replace(definition, settings=settings), listed


def _rank_file(path: Path) -> Path | None:
    """Return the file with ranks in the folder *path*, or in Llama's folder ``original``."""
    names = ("tiktoken.model", "tokenizer.model", "original/tokenizer.model")
    for file in (*(path / name for name in names), *sorted(path.glob("*.tiktoken"))):
        if file.is_file():
            return file
    return None


def _ranks(
    beside: Beside,
    path: Path,
    pattern: str | None,
    special_tokens: Mapping[str, int] | None,
    engine: EngineName,
) -> Definition:
    kind, data = detect.read_tokenizer(path)
    if kind is not detect.Kind.RANKS:
        raise FormatError(f"{path}: not a list of ranks, and the folder has no tokenizer.json")
    known = RANK_CLASSES.get(beside.class_name or "")
    if pattern is None and known is None:
        raise FormatError(
            f"{path}: a list of ranks has no pattern, and pytok knows none of tokenizer_class "
            f"{beside.class_name!r}: pass it, for example 'llama3' (--pattern llama3)"
        )
    definition = tiktoken.definition(path, data, pattern or (known[0] if known else ""), engine)
    added = {token.id: token for token in beside.decoder()}
    if known is not None and pattern is None:
        definition = replace(definition, normalizer=known[1])
        for id, text in enumerate(known[2], definition.next_id):
            added.setdefault(id, AddedToken(text.format(id=id), id))
    for text, id in (special_tokens or {}).items():
        added[id] = AddedToken(text, id)
    return replace(definition, added_tokens=tuple(added[id] for id in sorted(added)))
