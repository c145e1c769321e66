"""Test vectors for both languages (`bpe-rs/tests/vectors.rs` reads them, too)."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

import pytok
from pytok.engine import EngineName


def rows(name: str) -> list[dict[str, Any]]:
    path = Path(__file__).parents[1] / "vectors" / f"{name}.json"
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    assert found
    return found


TOKENS = {
    row["pattern"]: [bytes.fromhex(token) for token in row["tokens"]] for row in rows("merges")
}


def tokenizer(pattern: str, engine: EngineName) -> pytok.Tokenizer:
    tokens = TOKENS[pattern]
    return pytok.Tokenizer(
        pattern,
        pat_str=pattern,
        mergeable_ranks={token: rank for rank, token in enumerate(tokens)},
        special_tokens={"<|endoftext|>": len(tokens)},
        engine=engine,
    )


@pytest.mark.parametrize(
    "row", rows("pieces"), ids=lambda row: f"{row['pattern']}-{row['text'][:9]!a}"
)
def test_pieces_are_those_of_the_regex(row: dict[str, Any], engine: EngineName) -> None:
    """As Python's `regex` finds them."""
    assert tokenizer(row["pattern"], engine).pieces(row["text"]) == row["pieces"]


@pytest.mark.parametrize("row", rows("merges"), ids=lambda row: row["pattern"])
def test_merges_are_those_of_hugging_face(row: dict[str, Any], engine: EngineName) -> None:
    """In the order of merging."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trained = pytok.train(
            row["texts"],
            len(row["tokens"]),
            pattern=row["pattern"],
            special_tokens=(),
            engine=engine,
        )

    assert [token.hex() for token in trained.vocab] == row["tokens"]


@pytest.mark.parametrize(
    "row", rows("ids"), ids=lambda row: f"{row['pattern']}-{row['text'][:9]!a}"
)
def test_ids_are_those_of_tiktoken(row: dict[str, Any], engine: EngineName) -> None:
    """With the special token allowed, and they decode to the text."""
    encoder = tokenizer(row["pattern"], engine)

    assert encoder.encode(row["text"], allowed_special="all") == row["ids"]
    assert encoder.decode(row["ids"]) == row["text"]
