"""A base and labeled texts to train small classifiers on."""

from __future__ import annotations

from pathlib import Path

import torch

import pytok
from gpt.data.labeled_texts import LabeledText
from gpt.interop.imported import write_imported
from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery

BODY = Architecture(
    context=16, layers=3, width=32, attention=GroupedQuery(heads=2, kv_heads=1), tie=False
)
"""The body of the base."""


def letters() -> list[LabeledText]:
    """Letters in which one decides the class, wherever it is; a quarter of them is of class yes."""
    words = [f"{a}{b}{c}" for a in "abcx" for b in "abcd" for c in "abcd"]
    return [LabeledText(word, "yes" if "x" in word else "no") for word in words]


def write_base(folder: Path) -> Path:
    """A run with random weights, of which no branch is zero, and bytes as tokens."""
    tokenizer = pytok.train(["abc"], 257)
    model = GPT(BODY.with_vocabulary(tokenizer.n_vocab))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    write_imported(folder, model, tokenizer)
    return folder
