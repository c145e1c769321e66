"""The commands with which commands end: each can be typed as it is."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

import pytest

import pytok
from gpt.__main__ import main
from gpt.commands.following import next_command
from gpt.interop.imported import write_imported
from gpt.model.gpt import GPT
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.pattern import Full

CONFIG = GPTConfig(
    vocab_size=300,
    context=8,
    layers=1,
    width=32,
    attention=GroupedQuery(heads=1, kv_heads=1),
)
TEXT = ["the cat saw the dog and the owl by the river, and the dog saw the owl"]


@pytest.mark.parametrize(
    ("special", "ending"),
    [(["<|endoftext|>"], []), ([], ["--prompt", "The"])],
    ids=["with a start", "without"],
)
def test_a_model_of_texts_samples(special: list[str], ending: list[str], tmp_path: Path) -> None:
    """With a prompt if no token starts a text; the command works."""
    tokenizer = pytok.train(TEXT, 270, special_tokens=special)
    run = tmp_path / "a run"
    write_imported(run, GPT(dataclasses.replace(CONFIG, vocab_size=tokenizer.n_vocab)), tokenizer)
    words = shlex.split(next_command(run))

    assert words == ["gpt", "sample", str(run), *ending]
    assert main([*words[1:], "--tokens", "2"]) == 0


def test_a_model_that_reads_both_sides_fills_in_a_mask(tmp_path: Path) -> None:
    """The prompt has the mask token of its vocabulary."""
    tokenizer = pytok.train(TEXT, 270, special_tokens=["<|endoftext|>", "<|mask|>"])
    attention = GroupedQuery(heads=1, kv_heads=1, pattern=Full())
    config = dataclasses.replace(CONFIG, vocab_size=tokenizer.n_vocab, attention=attention)
    write_imported(tmp_path / "run", GPT(config), tokenizer)
    words = shlex.split(next_command(tmp_path / "run"))

    assert words[-2:] == ["--prompt", "The <|mask|> is"]
    assert main(words[1:]) == 0


def test_a_model_of_a_chat_chats(tmp_path: Path) -> None:
    """Its checkpoint has the template."""
    tokenizer = pytok.train(TEXT, 270)
    model = GPT(dataclasses.replace(CONFIG, vocab_size=tokenizer.n_vocab))
    write_imported(tmp_path / "run", model, tokenizer, {"chat.json": b"{}"})

    assert next_command(tmp_path / "run") == f"gpt chat {tmp_path / 'run'}"
