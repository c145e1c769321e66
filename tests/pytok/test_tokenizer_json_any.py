"""A tokenizer.json with any merges and any added tokens: encoded the same way, or an error."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tokenizers
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.errors import FormatError
from pytok.formats.merge_list import LETTERS
from tests.conftest import ENGINES

Part = dict[str, Any]

WORDS = {
    "type": "Split",
    "pattern": {"Regex": r"\p{L}+"},
    "behavior": "Isolated",
    "invert": False,
}
BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": False,
}
BYTES = [bytes([byte]) for byte in BYTE_ORDER]


def letters_of(token: bytes) -> str:
    """Return *token* in the byte-level alphabet."""
    return "".join(LETTERS[byte] for byte in token)


@st.composite
def vocabularies(draw: st.DrawFn) -> list[bytes]:
    """Draw tokens of two or three letters in any order, some of them parts of others."""
    letters = draw(st.sampled_from(["ab", "abc"]))
    words = draw(st.lists(st.text(letters, min_size=2, max_size=6), min_size=1, max_size=6))
    parts = {word[:end] for word in words for end in range(2, len(word) + 1)}
    parts |= {word[start:] for word in words for start in range(len(word) - 1)}
    kept = draw(st.lists(st.sampled_from(sorted(parts)), unique=True, min_size=1, max_size=12))
    return [word.encode() for word in kept]


def in_two(tokens: list[bytes]) -> list[tuple[str, str]]:
    """Return every split of each token into two tokens, in the order of the tokens."""
    known = {*BYTES, *tokens}
    return [
        (letters_of(token[:end]), letters_of(token[end:]))
        for token in tokens
        for end in range(1, len(token))
        if token[:end] in known and token[end:] in known
    ]


def written(
    folder: Path,
    tokens: list[bytes],
    merges: list[tuple[str, str]],
    *,
    ignore_merges: bool = True,
    added: Sequence[Part] = (),
) -> Path:
    """Write a tokenizer.json whose pieces are words; return the path."""
    vocab = {letters_of(token): id for id, token in enumerate([*BYTES, *tokens])}
    document = {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [WORDS, BYTE_LEVEL]},
        "decoder": BYTE_LEVEL,
        "model": {"type": "BPE", "vocab": vocab, "merges": merges, "ignore_merges": ignore_merges},
    }
    (folder / "any.json").write_text(json.dumps(document), encoding="utf-8")
    return folder / "any.json"


TEXTS = ["".join(word) for length in range(1, 7) for word in itertools.product("ab", repeat=length)]
TEXTS += ["".join(word) for word in itertools.product("abc", repeat=5)]


def ids_of_both(path: Path, texts: list[str]) -> list[list[list[int]]]:
    """Return the ids of *texts* by tokenizers, and by pytok on each engine."""
    theirs = tokenizers.Tokenizer.from_file(str(path))
    ours = [pytok.load(path, engine=engine) for engine in ENGINES]
    return [
        [encoding.ids for encoding in theirs.encode_batch(texts)],
        *([tokenizer.encode(text, allowed_special="all") for text in texts] for tokenizer in ours),
    ]


@given(tokens=vocabularies(), text=st.text("abc ", max_size=40))
def test_all_splits_of_any_vocabulary_encode_the_same(
    tokens: list[bytes], text: str, tmp_path: Path
) -> None:
    """Only one of the merges that make a token is ever used, whatever else is listed."""
    path = written(tmp_path, tokens, in_two(tokens))

    theirs, *ours = ids_of_both(path, [*TEXTS, text])

    assert ours == [theirs, theirs]


@given(tokens=vocabularies(), data=st.data(), ignore_merges=st.booleans(), text=st.text("abc "))
def test_any_list_of_merges_encodes_the_same_or_raises_an_error(
    tokens: list[bytes], data: st.DataObject, ignore_merges: bool, text: str, tmp_path: Path
) -> None:
    """Merges can be missing, listed twice or out of order."""
    known = in_two(tokens)
    merges = data.draw(st.lists(st.sampled_from(known), max_size=16)) if known else []
    path = written(tmp_path, tokens, merges, ignore_merges=ignore_merges)

    try:
        theirs, *ours = ids_of_both(path, [*TEXTS, text])
    except FormatError:
        return

    assert ours == [theirs, theirs]


@given(tokens=vocabularies())
def test_any_vocabulary_is_saved_with_the_same_ids(tokens: list[bytes], tmp_path: Path) -> None:
    """Tokens can precede their parts, or have no merge."""
    ranks = {token: id for id, token in enumerate([*BYTES, *tokens])}
    pattern = r"\p{L}+"
    ours = pytok.Tokenizer("any", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    ours.save(tmp_path / "saved.json")

    theirs, *again = ids_of_both(tmp_path / "saved.json", TEXTS)

    assert theirs == [ours.encode(text) for text in TEXTS]
    assert again == [theirs, theirs]
    assert pytok.load(tmp_path / "saved.json").fingerprint == ours.fingerprint


@st.composite
def added_tokens(draw: st.DrawFn) -> list[Part]:
    """Draw texts of three letters that contain and overlap each other, some of them normalized."""
    contents = st.text("ab<", min_size=2, max_size=5)
    return [
        {"id": 256 + index, "content": text, "special": special, "normalized": normalized}
        | {"single_word": False, "lstrip": False, "rstrip": False}
        for index, (text, normalized, special) in enumerate(
            draw(
                st.lists(
                    st.tuples(contents, st.booleans(), st.booleans()),
                    max_size=5,
                    unique_by=lambda token: token[0],
                )
            )
        )
    ]


@given(added=added_tokens(), text=st.text("ab<", max_size=40))
def test_any_added_tokens_are_matched_the_same_way(
    added: list[Part], text: str, tmp_path: Path
) -> None:
    """The leftmost and longest match wins, but normalized tokens are matched after the others."""
    path = written(tmp_path, [], [], added=added)
    texts = [text, *map("".join, itertools.product("ab<", repeat=5))]

    theirs, *ours = ids_of_both(path, texts)

    assert ours == [theirs, theirs]
