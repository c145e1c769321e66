"""Texts of experiments: how long they are, and what is held out."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpt.data.shards import open_data
from gpt.errors import TrainingError
from gpt.lab.apparatus.texts import END, PIECE, english, english_shards, once, short_shards
from pytok.tokenizer import Tokenizer


def test_a_short_text_is_pieces_of_the_long_one() -> None:
    """At equal distances, and what is held out is the end of the long one."""
    data = short_shards(3 * PIECE, 300)
    splits, tokenizer = open_data(data).splits, Tokenizer.load(data / "tokenizer.json")
    text = english()
    short, held_out = (
        tokenizer.decode(splits[name].read(0, len(splits[name])).tolist())
        for name in ("train", "val")
    )
    split = len(text) * 9 // 10

    assert text[:PIECE] in short
    assert text[split // 3 :][:PIECE] in short
    assert text.endswith(held_out.removeprefix(END))
    assert abs(len(short) - 3 * PIECE) < 0.1 * PIECE


def test_a_short_text_has_the_tokenizer_of_the_long_one() -> None:
    """So that losses are comparable."""
    both = (short_shards(3 * PIECE, 300), english_shards(300))
    ours, theirs = (Tokenizer.load(data / "tokenizer.json").fingerprint for data in both)

    assert ours == theirs


def test_a_folder_that_could_not_be_made_is_made_again() -> None:
    """A run that diverged, for example, raises each time that it is asked for."""

    def diverging(folder: Path) -> None:
        (folder / "half").touch()
        raise TrainingError("the loss is not finite")

    for _ in range(2):
        with pytest.raises(TrainingError):
            once("test-diverging", diverging)
