"""Tokenizer files: ``tokenizer.json``, ``.tiktoken``, ``vocab.json`` with ``merges.txt``.

A file is read as a `Definition`. A malformed file, and one that pytok could not follow exactly,
raises FormatError with the file and the field or line. Files are written under another name and
renamed, so they appear complete or not at all.
"""

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path

from pytok import engine as engines
from pytok.atomic import replace_file, replace_files
from pytok.definition import AddedToken, Definition
from pytok.engine import EngineName
from pytok.errors import FormatError
from pytok.formats import gpt2, tiktoken, tokenizer_json
from pytok.formats.merge_list import ListedMerges, Merges, check_merges
from pytok.patterns import GPT2, resolve

__all__ = ["check_merges", "check_target", "read", "write"]


def read(
    path: str | PathLike[str],
    *,
    pattern: str | None = None,
    special_tokens: Mapping[str, int] | None = None,
    engine: EngineName = "native",
) -> tuple[Definition, ListedMerges | None]:
    """Read a tokenizer file or folder; `pytok.load` documents the arguments that a format needs.

    The second value is an argument of `check_merges`, for formats that list merges, unless *engine*
    has checked them.
    """
    path = Path(path)
    if path.is_dir():
        if (path / "tokenizer.json").exists():
            path = path / "tokenizer.json"
        else:
            return gpt2.read(path, pattern or GPT2, special_tokens)
    if path.suffix == ".tiktoken":
        if pattern is None:
            raise FormatError(
                f"{path}: a .tiktoken file has no pattern: pass it, for example 'cl100k' "
                "(--pattern cl100k)"
            )
        data = path.read_bytes()
        tokens, ids = engines.load(engine).parse_ranks(data) or tiktoken.read(data, path)
        added = tuple(AddedToken(text, id) for text, id in (special_tokens or {}).items())
        return Definition(path.stem, tokens, ids, pattern, added), None
    if pattern is not None or special_tokens is not None:
        raise FormatError(
            f"{path}: the file has its own pattern and special tokens: do not pass any"
        )
    return tokenizer_json.read(path, engine)


def check_target(path: str | PathLike[str], pattern: str) -> None:
    """Check, before any work is done, that a tokenizer with *pattern* can be written to *path*.

    Raises FormatError for an unknown format, a format that cannot represent the pattern, and a
    missing folder.
    """
    if not fspath(path):
        raise FormatError("the path is empty: name a file or a folder")
    path = Path(path)
    pattern = resolve(pattern)
    if path.is_dir() or not path.suffix:
        gpt2.check_target(path, pattern)
    elif path.suffix == ".json":
        tokenizer_json.check_target(path, pattern)
    elif path.suffix != ".tiktoken":
        raise FormatError(
            f"{path}: unknown format {path.suffix!r}: use .json, .tiktoken or the name of a folder"
        )
    if not path.absolute().parent.is_dir():
        raise FormatError(f"{path}: the folder {path.parent} does not exist; create it first")


def write(path: str | PathLike[str], definition: Definition, merges: Merges) -> None:
    """Write *definition* in the format given by the name of *path*.

    ``*.json`` is Hugging Face's format, ``*.tiktoken`` a list of ranks, and a name without a
    suffix, or an existing folder, GPT-2's two files. Raises FormatError if the format cannot
    represent the definition.
    """
    check_target(path, definition.pattern)
    path = Path(path)
    if path.is_dir() or not path.suffix:
        vocab, lines = gpt2.dump(path, definition, merges)
        path.mkdir(exist_ok=True)
        replace_files({path / "vocab.json": vocab.encode(), path / "merges.txt": lines.encode()})
    elif path.suffix == ".json":
        replace_file(path, tokenizer_json.dump(path, definition, merges).encode())
    else:
        replace_file(path, tiktoken.dump(path, definition))
