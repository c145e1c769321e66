"""Generated problems as texts: shards to train on, and the completions of a model."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Sequence
from pathlib import Path

import pytok
from gpt.data.problems.coding import Coding
from gpt.generation.rollouts import complete
from gpt.lab.apparatus.texts import END, once
from gpt.model.gpt import GPT
from pytok import shards
from pytok.tokenizer import Tokenizer

HOPS = range(2, 10)
CYCLE = random.Random(0).sample(string.ascii_letters, 52)
NEXT = dict(zip(CYCLE, [*CYCLE[1:], CYCLE[0]], strict=True))
"""A table that every model can learn: the letter after each letter."""


def of_bytes() -> Tokenizer:
    """Return the tokenizer whose tokens are single bytes, and the end of a text."""
    return pytok.train(["0"], 257, special_tokens=(END,))


def puzzle_shards(name: str, texts: Sequence[str], tokenizer: Tokenizer) -> Path:
    """Return token shards of *texts*, each a document; every fiftieth is held out.

    *name* says which texts they are, and of which tokenizer.
    """

    def make(folder: Path) -> None:
        file = folder / "texts.jsonl"
        file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        shards.write(file, tokenizer, folder / "shards", val=0.02, split="documents")

    return once(f"puzzles-{name}", make) / "shards"


def completions(
    gpt: GPT, tokenizer: Tokenizer, prompts: Sequence[str], max_tokens: int
) -> list[str]:
    """Return the likeliest completion of each of *prompts*; "" for those that are cut off."""
    coding = Coding.of_texts(tokenizer)
    found = complete(
        gpt.eval(),
        [coding.encode(prompt) for prompt in prompts],
        ends=coding.ends,
        max_tokens=max_tokens,
    )
    return [coding.decode(each.text_ids) if each.has_ended else "" for each in found]


def hop_problems(*, held_out: bool) -> list[str]:
    """Return all problems of a split: a letter, and a number of hops from it. A fifth is held out.

    >>> len(hop_problems(held_out=True)), len(hop_problems(held_out=False))
    (84, 332)
    """
    every = [f"{letter}{count}" for letter in CYCLE for count in HOPS]
    return [each for n, each in enumerate(every) if (n % 5 == 0) == held_out]


def hops(problem: str) -> str:
    """Return the steps of *problem*: what is left, and where, after each hop.

    >>> NEXT["x"] + NEXT[NEXT["x"]] == hops("x2")[1::2]
    True
    """
    letter, steps = problem[0], ""
    for left in reversed(range(int(problem[1]))):
        letter = NEXT[letter]
        steps += f"{left}{letter}"
    return steps
