"""``vocab.json`` and ``merges.txt``: GPT-2's two files, in a folder."""

import json
from collections.abc import Mapping
from pathlib import Path

from pytok.definition import AddedToken, Definition
from pytok.errors import FormatError
from pytok.formats.fields import Fields, parse_json, read_text
from pytok.formats.merge_list import LETTERS, ListedMerges, Merges, assemble, vocab_and_merges
from pytok.patterns import GPT2


def read(
    path: Path, pattern: str, special_tokens: Mapping[str, int] | None
) -> tuple[Definition, ListedMerges]:
    """Read the folder *path*: its definition, and the merges that it lists."""
    vocab_path, merges_path = path / "vocab.json", path / "merges.txt"
    for needed in (vocab_path, merges_path):
        if not needed.exists():
            raise FormatError(
                f"{path}: the folder has no {needed.name}; it must have a tokenizer.json, or "
                "vocab.json and merges.txt"
            )
    vocab = parse_json(vocab_path)
    if not isinstance(vocab, dict) or not all(type(id) is int for id in vocab.values()):
        raise FormatError(f"{vocab_path}: not an object of tokens and ids")
    reader = Fields(merges_path)
    pairs = {
        (where := f"line {number}"): reader.pair(line, where)
        for number, line in enumerate(read_text(merges_path).split("\n"), 1)
        if line and not (number == 1 and line.startswith("#version"))
    }
    # The files do not mark special tokens: they are those that no merge makes.
    merged = {left + right for left, right in pairs.values()} | set(LETTERS.values())
    specials = {text: id for text, id in vocab.items() if text not in merged}
    specials.update(special_tokens or {})
    added = tuple(AddedToken(text, id) for text, id in specials.items())
    plain = Definition(path.name, (), (), pattern, added)
    return assemble(merges_path, vocab=vocab, pairs=pairs, ignore_merges=False, plain=plain)


def check_target(path: Path, pattern: str) -> None:
    """Check that *pattern* is gpt2's, and that no tokenizer.json would be read instead."""
    if pattern != GPT2:
        raise FormatError(
            f"{path}: vocab.json and merges.txt imply the gpt2 pattern, and this tokenizer has "
            "another: save it as .json"
        )
    if (path / "tokenizer.json").exists():
        raise FormatError(
            f"{path}: contains a tokenizer.json, which would be read instead of vocab.json and "
            "merges.txt: choose another folder"
        )


def dump(path: Path, definition: Definition, merges: Merges) -> tuple[str, str]:
    """Return the texts of vocab.json and merges.txt; *path* is for messages."""
    vocab, pairs, has_unmerged = vocab_and_merges(path, definition, merges)
    if has_unmerged:
        raise FormatError(f"{path}: no merge makes some of the tokens: save it as .json")
    vocab |= {token.text: token.id for token in definition.added_tokens}
    lines = "".join(f"{left} {right}\n" for left, right in pairs)
    return json.dumps(vocab, ensure_ascii=False) + "\n", "#version: 0.2\n" + lines
