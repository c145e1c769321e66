"""``vocab.json`` and ``merges.txt``: GPT-2's two files, in a folder."""

import json
from collections.abc import Mapping
from pathlib import Path

from pytok.definition import Definition
from pytok.errors import FormatError
from pytok.formats.fields import Fields, parse_json, read_text
from pytok.formats.merge_list import LETTERS, Merges, StatedMerges, assemble, spelled
from pytok.patterns import GPT2


def read(
    path: Path, pattern: str, special_tokens: Mapping[str, int] | None
) -> tuple[Definition, StatedMerges]:
    """What the folder *path* defines, and the merges it lists."""
    vocab_path, merges_path = path / "vocab.json", path / "merges.txt"
    for needed in (vocab_path, merges_path):
        if not needed.exists():
            raise FormatError(
                f"{path}: the folder has no {needed.name}; a tokenizer is a tokenizer.json, or "
                "vocab.json and merges.txt"
            )
    vocab = parse_json(vocab_path)
    if not isinstance(vocab, dict) or not all(type(id) is int for id in vocab.values()):
        raise FormatError(f"{vocab_path}: not an object of tokens and ids")
    reader = Fields(merges_path)
    pairs = {
        (place := f"line {number}"): reader.pair(line, place)
        for number, line in enumerate(read_text(merges_path).split("\n"), 1)
        if line and not (number == 1 and line.startswith("#version"))
    }
    made = {left + right for left, right in pairs.values()} | set(LETTERS.values())
    specials = {text: id for text, id in vocab.items() if text not in made}
    ordinary = {text: id for text, id in vocab.items() if text in made}
    specials.update(special_tokens or {})
    return assemble(
        merges_path,
        name=path.name,
        vocab=ordinary,
        pairs=pairs,
        pattern=pattern,
        specials=specials,
        whole_pieces=False,
    )


def check_target(path: Path, pattern: str) -> None:
    """Refuse a pattern that the format does not have, and a folder that would not be read."""
    if pattern != GPT2:
        raise FormatError(
            f"{path}: vocab.json and merges.txt are read with gpt2's pattern, and this tokenizer "
            "has another: save it as .json"
        )
    if (path / "tokenizer.json").exists():
        raise FormatError(
            f"{path}: holds a tokenizer.json, which would be read in place of vocab.json and "
            "merges.txt: choose another folder"
        )


def dump(path: Path, definition: Definition, merges: Merges) -> tuple[str, str]:
    """The texts of vocab.json and merges.txt; *path* is for messages."""
    vocab, pairs, unmade = spelled(path, definition, merges)
    if unmade:
        raise FormatError(f"{path}: some tokens are made by no merge: save it as .json")
    vocab |= definition.special_tokens
    lines = "".join(f"{left} {right}\n" for left, right in pairs)
    return json.dumps(vocab, ensure_ascii=False) + "\n", "#version: 0.2\n" + lines
