"""Chat sessions with untrained models whose next token a test can choose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import pytok
from gpt.generation.conversation import ChatSession, Roles, TextDelta
from gpt.generation.sampling import Sampling
from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from pytok.chat.template import Template
from tests.gpt.models import perturbed

TWO = Template(("Ada", "Bo"), me="Ada")
GROUP = Template(("Ada", "Bo", "Cy", "Di"))
GREEDY = Sampling(temperature=0)


def chat_tokenizer() -> pytok.Tokenizer:
    """A few merges, and the special tokens of the group."""
    return GROUP.extend(pytok.train(["the cat sat on the mat, the owl did not"] * 3, 270))


def two_steps(folder: Path, context: int) -> Path:
    """A run of two steps on the chat in *folder*/data; its model is practically untrained."""
    recipe = Recipe(
        data=folder / "data",
        out=folder / "run",
        steps=2,
        batch_size=2,
        device="cpu",
        dtype="float32",
        compile=False,
        model=Architecture(
            context=context, layers=1, width=32, attention=GroupedQuery(heads=2, kv_heads=1)
        ),
    )
    train(recipe)
    return recipe.out


def lively(vocab: int, **fields: Any) -> GPT:
    """A model with random weights, whose next token depends on its context."""
    attention = GroupedQuery(heads=2, kv_heads=1)
    config = {"vocab_size": vocab, "context": 64, "layers": 2, "width": 32, "attention": attention}
    return perturbed(GPTConfig(**(config | fields)), 0.3, 0)


def leaning(bpe: pytok.Tokenizer, *tokens: str) -> GPT:
    """A model whose most probable tokens are always the special *tokens*, in this order."""
    model = GPT(GPTConfig(vocab_size=bpe.n_vocab, context=64, layers=1, width=32, tie=False))
    with torch.no_grad():
        model.embedding.weight.fill_(1.0)
        model.head.weight.zero_()
        for rank, token in enumerate(tokens):
            model.head.weight[bpe.special_tokens[token]] = float(len(tokens) - rank)
    return model.eval()


def talk_of(model: GPT, bpe: pytok.Tokenizer, **options: Any) -> ChatSession:
    """A session in which you are Bo and the model is Ada."""
    options = {"sampling": GREEDY, "max_tokens": 8} | options
    return ChatSession(model, bpe, TWO, Roles.of(TWO), **options)


def group_of(model: GPT, bpe: pytok.Tokenizer, **options: Any) -> ChatSession:
    """A session in which you are Ada and the model is everyone else."""
    options = {"sampling": GREEDY, "max_tokens": 4} | options
    return ChatSession(model, bpe, GROUP, Roles.of(GROUP, "Ada"), **options)


def said(deltas: Iterator[TextDelta]) -> str:
    """The text of an answer."""
    return "".join(delta.text for delta in deltas)
