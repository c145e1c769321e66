"""Generated problems as texts: shards to train on, and the completions of a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytok
from gpt.data.problems.coding import Coding
from gpt.generation.rollouts import complete
from gpt.lab.apparatus.texts import END, once
from gpt.model.gpt import GPT
from pytok import shards
from pytok.tokenizer import Tokenizer


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
