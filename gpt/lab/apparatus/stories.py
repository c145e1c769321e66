"""Stories of people, questions about them, some that depend on others, and a base for both."""

from __future__ import annotations

import random
import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from gpt.lab.apparatus.texts import once, shards_of
from gpt.lab.apparatus.training import Run, small_model
from gpt.lab.apparatus.tuning import base_run
from gpt.lab.apparatus.turns import Said, write_chats
from gpt.lab.experiment import Setting
from gpt.spec.architecture import Architecture
from gpt.spec.convolution import Canon
from gpt.spec.optimizer import Muon

VOCAB = 360

PEOPLE = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana")
THINGS = {
    "eats": ("rice", "soup", "bread", "fish", "corn", "cake"),
    "has": ("cats", "dogs", "hens", "owls", "goats", "bees"),
    "plays": ("chess", "golf", "darts", "drums", "cards", "tennis"),
}
Facts: TypeAlias = Mapping[tuple[str, str], str]
"""Things by name and verb."""


def facts(rng: random.Random) -> Facts:
    """Return six facts, in any order: of each of three people the things of the same two verbs."""
    verbs = rng.sample(sorted(THINGS), 2)
    pairs = [(name, verb) for name in rng.sample(PEOPLE, 3) for verb in verbs]
    return {(name, verb): rng.choice(THINGS[verb]) for name, verb in rng.sample(pairs, 6)}


def story(known: Facts) -> str:
    """Return a story: a line for each fact, "Ada eats rice."."""
    return "".join(f"{name} {verb} {thing}.\n" for (name, verb), thing in known.items())


def questions(known: Facts, rng: random.Random) -> list[tuple[str, str]]:
    """Return a question for each fact, in any order, with its answer: "Ada eats?", "rice"."""
    asked = [(f"{name} {verb}?", thing) for (name, verb), thing in known.items()]
    return rng.sample(asked, len(asked))


def dialog(known: Facts, rng: random.Random) -> list[tuple[str, str]]:
    """Return two questions with their answers, of which the second depends on the first.

    The first names a person and a verb: "Ada eats?". The second, "and Ben?", names another person
    alone; the verb is that of the first.
    """
    name, verb = rng.choice(list(known))
    other = rng.choice(sorted({each for each, _ in known} - {name}))
    return [(f"{name} {verb}?", known[name, verb]), (f"and {other}?", known[other, verb])]


def model(setting: Setting) -> Architecture:
    """Return the model of all arms; its short convolutions make retrieval quick to learn."""
    return small_model(setting, context=128, convolution=Canon(kernel=6, points=("A",)))


def base(setting: Setting) -> Path:
    """Return a model of stories, each with questions that depend on no others, as plain text."""
    rng, count, texts = random.Random(0), setting.size["texts"], []
    for _ in range(count):
        known = facts(rng)
        asked = "".join(f"{question}\n{answer}\n" for question, answer in questions(known, rng))
        texts.append(f"{story(known)}{asked}\n")
    documents = ["".join(texts[n : n + 100]) for n in range(0, count, 100)]
    how = Run(
        steps=setting.size["base steps"],
        rows=8,
        vocab=VOCAB,
        optimizer=Muon(),
        data=shards_of(f"stories-{count}", documents, VOCAB),
        device=setting.device,
    )
    return base_run(f"stories-{count}", model(setting), how, rate=Muon().lr)


def conversations(seed: int, count: int, *, single: bool) -> tuple[list[Said], list[str]]:
    """Return conversations about stories, and the stories: their system prompts.

    Each has two questions, or a *single* one.
    """
    rng = random.Random(seed)
    chats: list[Said] = []
    stories = []
    for _ in range(count):
        known = facts(rng)
        first, second = dialog(known, rng)
        found = [first, second] if single else [(*first, *second)]
        chats += found
        stories += [story(known)] * len(found)
    return chats, stories


def chats_of(seed: int, count: int, *, single: bool) -> Path:
    """Return a folder of `conversations` to train on."""

    def write(folder: Path) -> None:
        write_chats(folder / "train.jsonl", *conversations(seed, count, single=single))

    return once(f"stories-{seed}-{count}-{single}", write)


def normalized(text: str) -> list[str]:
    """Return the words of *text* as SQuAD compares them (Rajpurkar 2016, arXiv:1606.05250).

    >>> normalized("The  cat!")
    ['cat']
    """
    plain = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", plain).split()


def exact(given: Sequence[str], answers: Sequence[str]) -> float:
    """Return the fraction of exact matches (EM)."""
    pairs = zip(given, answers, strict=True)
    return sum(normalized(a) == normalized(b) for a, b in pairs) / len(answers)


def f1(given: Sequence[str], answers: Sequence[str]) -> float:
    """Return the mean F1 of the words."""
    return sum(_f1(normalized(a), normalized(b)) for a, b in zip(given, answers, strict=True)) / (
        len(answers)
    )


def _f1(given: list[str], answer: list[str]) -> float:
    if not given or not answer:
        return float(given == answer)
    common = sum((Counter(given) & Counter(answer)).values())
    if not common:
        return 0.0
    precision, recall = common / len(given), common / len(answer)
    return 2 * precision * recall / (precision + recall)
