"""Pairs: what is read, how it is batched, and the folder that is made of a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import pytok
from gpt.data.batch import IGNORED, NO_TOKEN
from gpt.data.pair_files import prepare_pairs
from gpt.data.pairs import EncodedPairs, Ends, PairRows, evaluation_batches, read_pairs
from gpt.errors import DataError
from pytok.tokenizer import Tokenizer

PAIRS = [("ab" * (1 + n % 2), "x" * (1 + n % 3) + str(n % 10)) for n in range(60)]


def write(path: Path, pairs: list[tuple[str, str]] = PAIRS) -> Path:
    """A file of *pairs*."""
    lines = (json.dumps({"source": source, "target": target}) for source, target in pairs)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def byte_tokenizer() -> Tokenizer:
    """Ids 0 to 255 are bytes, 256 ends a text."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    return Tokenizer(
        "bytes", pat_str=r".", mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 256}
    )


@pytest.fixture
def encoded(tmp_path: Path, byte_tokenizer: Tokenizer) -> EncodedPairs:
    """The pairs, as bytes."""
    return EncodedPairs.open(write(tmp_path / "pairs.jsonl"), byte_tokenizer, 100)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"[1]", r"line 2: \[1\] is no object; expected"),
        (b'{"source": "a"}', "line 2: no field target"),
        (b'{"source": 3, "target": "b"}', "line 2: field source is 3, not text"),
        (b'{"source": "a", "target": ""}', "line 2: field target is empty"),
        (b'{"source": "a", "target": null}', "line 2: field target is None, not text"),
        (b"", "line 2: an empty line"),
        (b'{"source": "a", ', "line 2: not JSON"),
        (b"\xff", "line 2: not JSON: byte 0 is not UTF-8"),
        (b'{"source": "\\ud800", "target": "b"}', "line 2: field source has half of a surrogate"),
        (b"[" * 100_000, "line 2: not JSON: nested too deeply"),
    ],
)
def test_what_is_no_pair_is_named(line: bytes, words: str, tmp_path: Path) -> None:
    """By file, line and field."""
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(b'{"source": "a", "target": "b"}\n' + line + b"\n")

    with pytest.raises(DataError, match=rf"pairs\.jsonl, {words}"):
        list(read_pairs(path))


def test_a_batch_has_the_decoders_inputs_and_targets(encoded: EncodedPairs) -> None:
    """Both sides end with the token that ends a text, with which inputs start; ends are padded."""
    batch = encoded.batch([0, 1])

    assert batch.sources is not None
    assert batch.sources.tolist() == [[97, 98, 256, NO_TOKEN, NO_TOKEN], [97, 98, 97, 98, 256]]
    assert batch.inputs.tolist() == [[256, 120, 48, 0], [256, 120, 120, 49]]
    assert batch.targets.tolist() == [[120, 48, 256, IGNORED], [120, 120, 49, 256]]


def test_an_epoch_has_every_pair_once_within_the_budget(encoded: EncodedPairs) -> None:
    """In batches of at most so many tokens on either side, in another order each epoch."""
    rows = PairRows(encoded, batch_tokens=24, seed=3)
    epochs = []
    for epoch in range(2):
        members = [rows.members(row + epoch * rows.per_epoch) for row in range(rows.per_epoch)]
        for row in range(rows.per_epoch):
            batch = rows.batch(row, 1)
            assert batch.sources is not None
            assert max(batch.sources.numel(), batch.targets.numel()) <= 24
        assert sorted(np.concatenate(members).tolist()) == list(range(60))
        epochs.append([each.tolist() for each in members])

    assert epochs[0] != epochs[1]
    assert {frozenset(each) for each in epochs[0]} != {frozenset(each) for each in epochs[1]}


def test_a_row_is_a_function_of_seed_and_index(encoded: EncodedPairs) -> None:
    """In whatever order rows are asked for; several rows are padded together."""
    first, second = (PairRows(encoded, batch_tokens=24, seed=3) for _ in range(2))
    other = PairRows(encoded, batch_tokens=24, seed=4)
    later = first.batch(first.per_epoch + 1, 1)
    first.batch(0, 1)

    assert torch.equal(later.inputs, second.batch(second.per_epoch + 1, 1).inputs)
    assert [first.members(row).tolist() for row in range(4)] != [
        other.members(row).tolist() for row in range(4)
    ]
    joined = first.batch(0, 2)
    assert len(joined.inputs) == len(first.members(0)) + len(first.members(1))


def test_evaluation_has_every_target_once(encoded: EncodedPairs) -> None:
    """The shortest first."""
    batches = list(evaluation_batches(encoded, 24))

    assert sum(batch.num_targets for batch in batches) == encoded.num_targets
    lengths = [batch.targets.shape[1] for batch in batches]
    assert lengths == sorted(lengths)


def test_pairs_longer_than_the_context_are_counted(
    tmp_path: Path, byte_tokenizer: Tokenizer
) -> None:
    """On either side."""
    path = write(tmp_path / "p.jsonl", [("a", "b"), ("a" * 9, "b"), ("a", "b" * 8), ("a" * 7, "b")])
    pairs = EncodedPairs.open(path, byte_tokenizer, 8)

    assert (len(pairs.pairs), pairs.omitted, pairs.longest) == (2, 2, 8)
    with pytest.raises(DataError, match="no pair is left"):
        PairRows(EncodedPairs.open(path, byte_tokenizer, 1), batch_tokens=8, seed=0)


def test_a_tokenizer_needs_a_token_that_ends_a_text(byte_tokenizer: Tokenizer) -> None:
    """Without one, no target could end."""
    plain = pytok.train(["ab"], 257, special_tokens=())

    assert Ends.of(byte_tokenizer) == (256, 256)
    with pytest.raises(DataError, match="no token ends a text"):
        Ends.of(plain)


def test_a_file_becomes_a_folder_that_is_reused(tmp_path: Path) -> None:
    """The last pairs are held out, and a tokenizer is trained on both sides of the others."""
    path, out = write(tmp_path / "pairs.jsonl"), tmp_path / "run"
    folder = prepare_pairs(path, out, val=0.1)
    tokenizer = Tokenizer.load(folder / "tokenizer.json")

    assert [pair.target for pair in read_pairs(folder / "val.jsonl")] == [t for _, t in PAIRS[-6:]]
    assert len(list(read_pairs(folder / "train.jsonl"))) == 54
    assert tokenizer.decode(tokenizer.encode_ordinary("abx7")) == "abx7"
    assert prepare_pairs(path, out, val=0.1) == folder
    assert prepare_pairs(folder, out) == folder
    with pytest.raises(DataError, match="made from other data"):
        prepare_pairs(path, out, val=0.2)
    with pytest.raises(DataError, match="remove --val"):
        prepare_pairs(folder, out, val=0.1)


@pytest.mark.parametrize(
    ("pairs", "val", "words"),
    [([("a", "b")], 0.1, "leave nothing to train on"), ([], 0.0, "line 1: an empty line")],
)
def test_too_few_pairs_are_refused(
    pairs: list[tuple[str, str]], val: float, words: str, tmp_path: Path
) -> None:
    """And no folder is made."""
    path = write(tmp_path / "pairs.jsonl", pairs)
    with pytest.raises(DataError, match=words):
        prepare_pairs(path, tmp_path / "run", val=val)

    assert not (tmp_path / "run").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """And a folder without pairs."""
    with pytest.raises(DataError, match="not found"):
        prepare_pairs(tmp_path / "no.jsonl", tmp_path / "run")
    with pytest.raises(DataError, match="no pairs; pass a file"):
        prepare_pairs(tmp_path, tmp_path / "run")
