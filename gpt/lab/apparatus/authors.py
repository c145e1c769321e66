"""Two made-up authors with clear habits: their turns, a classifier, a model that knows both."""

from __future__ import annotations

import random
from pathlib import Path

from gpt.evaluation.style import Classifier
from gpt.lab.apparatus.texts import once, shards_of
from gpt.lab.apparatus.training import Run, small_model
from gpt.lab.apparatus.tuning import base_run
from gpt.lab.apparatus.turns import tuned_base, write_chats
from gpt.lab.experiment import Setting
from gpt.spec.architecture import Architecture
from pytok.chat.template import Turn

A, B = "A", "B"
THINGS = ("train", "game", "soup", "film", "dog", "exam", "rain", "party")
VERDICTS = ("good", "bad", "late", "over", "great", "boring", "short", "long")
VOCAB = 400


def said_by(author: str, thing: str, verdict: str, rng: random.Random) -> str:
    """Return an answer in the style of *author*, of random length and with random phrases.

    A writes briefly, in lower case, with emoji and without periods; B in whole sentences.
    """
    if author == A:
        begin = rng.choice(["haha ", "lol ", "nah ", ""])
        end = rng.choice([" 😂", " 👍", " ...", "", " 😂😂"])
        return f"{begin}{thing} was {rng.choice(['so ', 'rly ', ''])}{verdict}{end}"
    begin = rng.choice(["Well, ", "I think that ", "Honestly, ", "To be fair, "])
    end = rng.choice([" indeed", ", I must say", ", all in all", ""])
    return f"{begin}the {thing} was {rng.choice(['rather ', 'quite ', ''])}{verdict}{end}."


def chats(author: str | None, seed: int, count: int) -> list[tuple[str, str]]:
    """Return questions and answers of *author*, or of either."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        thing, verdict = rng.choice(THINGS), rng.choice(VERDICTS)
        by = author or rng.choice([A, B])
        found.append((f"how was the {thing}?", said_by(by, thing, verdict, rng)))
    return found


def classifier(count: int) -> Classifier:
    """Return a classifier of turns, trained on *count* of each author.

    It is logistic regression of n-grams of characters.
    """
    return Classifier([Turn(by, text) for by in (A, B) for _, text in chats(by, 1, count)])


def model(setting: Setting) -> Architecture:
    """Return the model of chats."""
    return small_model(setting, context=64, layers=2)


def base(setting: Setting) -> Path:
    """Return a model of chats in which either author answers."""
    count, steps = setting.size["mixed"], setting.size["base steps"]
    mixed = chats(None, 3, count)
    texts = [
        "\n".join("\n".join(pair) for pair in mixed[n : n + 100]) for n in range(0, count, 100)
    ]
    data, name = shards_of(f"authors-{count}", texts, VOCAB), f"authors-tuned-{count}-{steps}"
    first = base_run(f"authors-{count}", model(setting), Run(steps=steps, vocab=VOCAB, data=data))
    answered = once(f"authors-chats-{count}", lambda it: write_chats(it / "train.jsonl", mixed))
    return tuned_base(name, first, answered, model(setting), steps=steps, row_length=64)
