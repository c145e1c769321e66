"""``vocab.json`` and ``merges.txt``: GPT-2's two files, or OpenAI's encoder.json and vocab.bpe."""

import json
import unicodedata
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from pytok.byte_order import LETTERS
from pytok.definition import AddedToken, Definition
from pytok.errors import FormatError
from pytok.formats.fields import Fields, parse_json, read_text
from pytok.formats.merge_list import ListedMerges, Merges, assemble, vocab_and_merges
from pytok.patterns import GPT2

NAMES = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))
"""The names of the two files, in the order in which they are looked for."""


class TwoFiles(NamedTuple):
    """The content of the two files."""

    merges_path: Path
    vocab: dict[str, int]
    pairs: dict[str, tuple[str, str]]
    """The merges by their line."""

    @property
    def unmerged(self) -> dict[str, int]:
        """The entries that no merge makes, that are no single bytes and not empty."""
        merged = {left + right for left, right in self.pairs.values()} | set(LETTERS.values())
        return {text: id for text, id in self.vocab.items() if text and text not in merged}


def read(folder: Path) -> TwoFiles | None:
    """Read the two files in *folder*; ``None`` if it has none of them."""
    present = [names for names in NAMES if any((folder / name).exists() for name in names)]
    if not present:
        return None
    vocab_path, merges_path = (folder / name for name in present[0])
    for needed in (vocab_path, merges_path):
        if not needed.exists():
            raise FormatError(
                f"{folder}: the folder has no {needed.name}; it must have a tokenizer.json, or "
                f"{vocab_path.name} and {merges_path.name}"
            )
    vocab = parse_json(vocab_path)
    if not isinstance(vocab, dict) or not all(type(id) is int for id in vocab.values()):
        raise FormatError(f"{vocab_path}: not an object of tokens and ids")
    reader = Fields(merges_path)
    pairs = {
        (where := f"line {number}"): reader.pair(line.removesuffix("\r"), where)
        for number, line in enumerate(read_text(merges_path).split("\n"), 1)
        if line.strip("\r") and not (number == 1 and line.startswith("#version"))
    }
    return TwoFiles(merges_path, vocab, pairs)


def plain(
    files: TwoFiles, name: str, pattern: str | None, special_tokens: Mapping[str, int] | None
) -> tuple[Definition, ListedMerges]:
    """Return the definition of *files* that nothing else describes, split by *pattern*.

    Without a pattern that is GPT-2's, with a warning, if its tokens can come from it. Entries that
    no merge makes are special tokens, since the files do not mark them.
    """
    # Whisper's vocabulary has an empty entry, to which nothing is encoded.
    specials = {text: id for text, id in files.unmerged.items() if text}
    added = [AddedToken(text, id) for text, id in {**specials, **(special_tokens or {})}.items()]
    definition, listed = assemble(
        files.merges_path,
        vocab=files.vocab,
        pairs=files.pairs,
        ignore_merges=False,
        plain=Definition(name, (), (), pattern or GPT2, tuple(added)),
    )
    if pattern is None:
        folder = files.merges_path.parent
        how = "pass it (--pattern), or add the tokenizer_config.json of the model"
        if (foreign := foreign_to_gpt2(definition.tokens)) is not None:
            raise FormatError(
                f"{folder}: the folder does not say its pattern, and gpt2's does not make the "
                f"token {foreign!r}: {how}"
            )
        warnings.warn(
            f"{folder}: the folder does not say its pattern: gpt2's is assumed; if that is not it, "
            f"{how}",
            stacklevel=7,
        )
    return definition, listed


def foreign_to_gpt2(tokens: Iterable[bytes]) -> bytes | None:
    """Return a token that GPT-2's pattern cannot make, if more than one in a hundred are such.

    Its pieces are letters, numbers, other characters, or white space; not a mixture.

    >>> foreign_to_gpt2([b" the", b"12", b"'ll", b"(self"]), foreign_to_gpt2([b" the", b"12"])
    (b'(self', None)
    """
    total, foreign = 0, []
    for token in tokens:
        try:
            text = token.decode()
        except UnicodeDecodeError:  # part of a character
            continue
        total += 1
        kinds = set(map(_kind, text.removeprefix(" ")))
        if len(kinds) > 1 and not text.startswith("'"):
            foreign.append(token)
    return foreign[0] if len(foreign) * 100 > total else None


def _kind(character: str) -> str:
    if character.isspace():
        return "Z"
    category = unicodedata.category(character)[0]
    return category if category in "LN" else "other"


def dump(folder: Path, definition: Definition, merges: Merges) -> dict[str, str]:
    """Return the texts of the two files by name, for a folder that also has a tokenizer.json.

    There are none for a tokenizer with another pattern than GPT-2's, which other software would
    not use, unless the folder has them already: they would be those of another tokenizer. Raises
    FormatError if these cannot represent the definition.
    """
    parts = definition
    others = (parts.splits, parts.normalizer, parts.prefix_space, parts.end_of_word_suffix)
    is_gpt2 = parts.pattern == GPT2 and not any(others)
    present = [name for name in NAMES[0] if (folder / name).exists()]
    if not (is_gpt2 or present):
        return {}
    vocab, pairs, has_unmerged = vocab_and_merges(folder, definition, merges)
    if has_unmerged and present:
        raise FormatError(
            f"{folder}: contains {' and '.join(present)} of another tokenizer; no merge makes some "
            "tokens of this one, so they cannot hold it: remove them, or choose another folder"
        )
    if has_unmerged:
        return {}
    vocab |= {token.text: token.id for token in definition.added_tokens}
    lines = "".join(f"{left} {right}\n" for left, right in pairs)
    texts = json.dumps(vocab, ensure_ascii=False) + "\n", "#version: 0.2\n" + lines
    return dict(zip(NAMES[0], texts, strict=True))
