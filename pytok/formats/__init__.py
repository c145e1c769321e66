"""Tokenizer files: ``tokenizer.json``, ``.tiktoken``, folders of transformers, ``tekken.json``.

A file is read as a `Definition`, whatever its name (`pytok.formats.detect`). A malformed file, and
one that pytok could not follow exactly, raises FormatError with the file and the field or line.
Files are written under another name and renamed, so they appear complete or not at all.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from pytok.atomic import replace_file, replace_files
from pytok.definition import AddedToken, Definition
from pytok.engine import EngineName
from pytok.errors import FormatError
from pytok.formats import detect, folder, pretrained, tekken, tiktoken, tokenizer_json
from pytok.formats.detect import Kind
from pytok.formats.fields import parse_json
from pytok.formats.merge_list import ListedMerges, Merges, check_merges
from pytok.patterns import resolve

__all__ = ["check_merges", "check_target", "notes", "read", "write"]


def read(
    path: str | PathLike[str],
    *,
    pattern: str | None = None,
    special_tokens: Mapping[str, int] | None = None,
    engine: EngineName = "native",
) -> tuple[Definition, ListedMerges | None]:
    """Read a tokenizer file or folder; `pytok.load` documents the arguments that a format needs.

    The second value, for formats that list merges, is an argument of `check_merges`, unless
    *engine* has checked them. A UserWarning says what was assumed, and which bytes a vocabulary
    lacks.
    """
    path = Path(path)
    if path.is_dir():
        return folder.read(path, pattern, special_tokens, engine)
    kind, data = detect.read_tokenizer(path)
    if kind is Kind.RANKS:
        return _ranks(path, data, pattern, special_tokens, engine), None
    document: Any = None
    if kind is Kind.JSON:
        document = parse_json(path, data)
        kind = detect.json_kind(path, document)
    if pattern is not None or special_tokens is not None:
        raise FormatError(
            f"{path}: the file has its own pattern and special tokens: do not pass any"
        )
    if kind is Kind.PICKLE:
        from pytok.formats import pickled  # here: it is rarely needed

        return pickled.read(path, data), None
    if kind is Kind.CLIP:
        from pytok.formats import clip  # here: it is rarely needed

        return clip.read(path, data)
    if kind is Kind.TEKKEN:
        return tekken.read(path, document), None
    if kind is Kind.JSON:
        return tokenizer_json.read_document(path, document)
    return tokenizer_json.read(path, data, engine)


def _ranks(
    path: Path,
    data: bytes,
    pattern: str | None,
    special_tokens: Mapping[str, int] | None,
    engine: EngineName,
) -> Definition:
    if pattern is None:
        raise FormatError(
            f"{path}: a list of ranks has no pattern: pass it, for example 'cl100k' "
            "(--pattern cl100k)"
        )
    added = tuple(AddedToken(text, id) for text, id in (special_tokens or {}).items())
    return replace(tiktoken.definition(path, data, pattern, engine), added_tokens=added)


def _is_folder(path: str | PathLike[str]) -> bool:
    """Return whether *path* is, or will be, a folder."""
    return os.fspath(path).endswith(("/", os.sep)) or Path(path).is_dir() or not Path(path).suffix


def check_target(path: str | PathLike[str], pattern: str) -> None:
    """Check, before any work is done, that a tokenizer with *pattern* can be written to *path*.

    Raises FormatError for an empty path, an unknown format, a format that cannot represent the
    pattern, and a missing folder.
    """
    if not os.fspath(path):
        raise FormatError("the path is empty: name a file or a folder")
    is_folder, path, pattern = _is_folder(path), Path(path), resolve(pattern)
    if is_folder or path.suffix == ".json":
        tokenizer_json.check_target(path, pattern)
    elif path.suffix != ".tiktoken":
        raise FormatError(
            f"{path}: unknown format {path.suffix!r}: use .json, .tiktoken or the name of a folder"
        )
    if not path.absolute().parent.is_dir():
        raise FormatError(f"{path}: the folder {path.parent} does not exist; create it first")


def notes(path: str | PathLike[str], definition: Definition) -> list[str]:
    """Return what a user should know of *definition* written to *path*: what the file lacks.

    For a folder that is which tokens were taken as BOS, EOS and so on.
    """
    if _is_folder(path):
        assumed = pretrained.assumed(definition)
        names = [f"{name} is {text!r}" for name, text in assumed.items()]
        return [f"{', '.join(names)}, as is usual: the tokenizer does not say"] if names else []
    lost = pretrained.losses(definition, Path(path).suffix)
    return [f"the file does not hold {', '.join(lost)}"] if lost else []


def write(path: str | PathLike[str], definition: Definition, merges: Merges) -> None:
    """Write *definition* in the format given by the name of *path*.

    ``*.json`` is Hugging Face's format, ``*.tiktoken`` a list of ranks, and a name without a
    suffix, one that ends in a slash, or an existing folder, a folder for transformers. Raises
    FormatError if the format cannot represent the definition; see `notes`.
    """
    check_target(path, definition.pattern)
    is_folder, path = _is_folder(path), Path(path)
    if is_folder:
        contents = pretrained.dump(path, definition, merges)
        path.mkdir(exist_ok=True)
        replace_files({path / name: data for name, data in contents.items()})
    elif path.suffix == ".json":
        replace_file(path, tokenizer_json.dump(path, definition, merges).encode())
    else:
        replace_file(path, tiktoken.dump(path, definition))
