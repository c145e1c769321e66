"""An uninterrupted run to compare with, and a base and a chat to fine-tune on."""

from __future__ import annotations

from pathlib import Path

import pytest

import pytok
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from pytok import shards
from pytok.chat.template import write_conversations
from pytok.tokenizer import Tokenizer
from tests.gpt.conftest import TEXT
from tests.gpt.training.interrupted import renamed
from tests.gpt.training.tuning import TEMPLATE, conversation


@pytest.fixture
def uninterrupted(recipe: Recipe) -> Recipe:
    """The run of `recipe` without a stop, in a folder of its own."""
    uninterrupted = renamed(recipe, "uninterrupted")
    train(uninterrupted)
    return uninterrupted


@pytest.fixture(scope="session")
def bpe() -> Tokenizer:
    """A tokenizer without the special tokens of a chat."""
    return pytok.train([TEXT], 280, special_tokens=("<|endoftext|>",))


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory, bpe: Tokenizer) -> Path:
    """A pretrained run, with its shards beside it."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "corpus.txt").write_text(TEXT, encoding="utf-8")
    shards.write(folder / "corpus.txt", bpe, folder / "data", val=0.2)
    recipe = Recipe(
        data=folder / "data",
        out=folder / "run",
        steps=30,
        batch_size=4,
        device="cpu",
        dtype="float32",
        compile=False,
        model=Architecture(
            context=32,
            layers=2,
            width=32,
            attention=GroupedQuery(heads=2, kv_heads=2),
            value_embedding=ValueEmbedding(),
            tie=False,
        ),
    )
    train(recipe)
    return recipe.out


@pytest.fixture(scope="session")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a chat that tuning reads: 24 conversations to train on, 2 held out."""
    folder = tmp_path_factory.mktemp("chat")
    TEMPLATE.save(folder / "chat.json")
    many = [conversation(number, turns=2 + number % 4) for number in range(24)]
    write_conversations(folder / "train.jsonl", many)
    write_conversations(folder / "val.jsonl", [conversation(77), conversation(78)])
    return folder
