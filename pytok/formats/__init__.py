"""Tokenizer files, in and out: ``tokenizer.json``, ``.tiktoken``, ``vocab.json`` + ``merges.txt``.

A file is read into a `Definition`, or refused: malformed ones, and those that say something pytok
would not do exactly, raise FormatError with the file and the place in it. Files are written aside
and renamed, so they appear whole or not at all.
"""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from pytok.atomic import replace_file, replace_files
from pytok.definition import Definition
from pytok.errors import FormatError
from pytok.formats import gpt2, tiktoken, tokenizer_json
from pytok.formats.merge_list import Merges, StatedMerges, check_merges
from pytok.patterns import GPT2, resolve

__all__ = ["check_merges", "check_target", "read", "write"]


def read(
    path: str | PathLike[str],
    *,
    pattern: str | None = None,
    special_tokens: Mapping[str, int] | None = None,
) -> tuple[Definition, StatedMerges | None]:
    """Reads a tokenizer file or folder; see `pytok.load` for what each format needs to be told.

    The second value is for `check_merges`, where the format lists merges.
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
                f"{path}: a .tiktoken file holds no pattern: say which, such as 'cl100k' "
                "(--pattern cl100k)"
            )
        ranks = tiktoken.parse(path.read_bytes(), path)
        tokens = sorted(ranks, key=ranks.__getitem__)
        ids = [ranks[token] for token in tokens]
        return Definition(path.stem, tokens, ids, pattern, dict(special_tokens or {})), None
    if pattern is not None or special_tokens is not None:
        raise FormatError(f"{path}: says its pattern and special tokens itself: give neither")
    return tokenizer_json.read(path)


def check_target(path: str | PathLike[str], pattern: str) -> None:
    """Refuse, before any work is done, a *path* to which no tokenizer of *pattern* can be written.

    Raises FormatError for a format that is not known or cannot hold the pattern, and for a folder
    that is not there.
    """
    path = Path(path)
    pattern = resolve(pattern)
    if path.is_dir() or not path.suffix:
        gpt2.check_target(path, pattern)
    elif path.suffix == ".json":
        tokenizer_json.check_target(path, pattern)
    elif path.suffix != ".tiktoken":
        raise FormatError(
            f"{path}: unknown format {path.suffix!r}: use .json, .tiktoken, or a folder's name"
        )
    if not path.absolute().parent.is_dir():
        raise FormatError(f"{path}: there is no folder {path.parent}: make it first")


def write(path: str | PathLike[str], definition: Definition, merges: Merges) -> None:
    """Write *definition* in the format that the name of *path* asks for.

    ``*.json`` is Hugging Face's, ``*.tiktoken`` a list of ranks, and a name without a suffix, or
    an existing folder, GPT-2's two files. Raises FormatError for what a format cannot hold.
    """
    path = Path(path)
    check_target(path, definition.pattern)
    if path.is_dir() or not path.suffix:
        vocab, lines = gpt2.dump(path, definition, merges)
        path.mkdir(exist_ok=True)
        replace_files({path / "vocab.json": vocab.encode(), path / "merges.txt": lines.encode()})
    elif path.suffix == ".json":
        replace_file(path, tokenizer_json.dump(path, definition, merges).encode())
    else:
        replace_file(path, tiktoken.dump(path, definition))
