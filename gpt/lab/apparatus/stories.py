"""Generated stories of people, and questions about them that depend on the questions before."""

from __future__ import annotations

import random
import re
import string
from collections import Counter
from collections.abc import Sequence

PEOPLE = "Ada Ben Cleo Dan Eve Finn Gus Hana Ivo Jude Kim Leo Mia Nils Ona Paul"
KINDS = {
    "city": "Rome Oslo Lima Cairo Delhi Paris",
    "pet": "cat dog owl fox hen pony",
    "job": "cook pilot nurse baker judge poet",
}
SAID = {"city": "lives in", "pet": "has a", "job": "is a"}


def story(rng: random.Random) -> tuple[str, list[tuple[str, str]]]:
    """Return a story of three people, and two questions with their answers.

    The first question names a person and a kind of fact: "Ada, pet?". The second, "and Ben?", names
    another person alone; the kind is that of the first.
    """
    names = rng.sample(PEOPLE.split(" "), 3)
    kinds = rng.sample(sorted(KINDS), 2)
    facts = {(n, kind): rng.choice(KINDS[kind].split(" ")) for n in names for kind in kinds}
    sentences = [f"{name} {SAID[kind]} {fact}." for (name, kind), fact in facts.items()]
    rng.shuffle(sentences)
    kind, (first, second) = rng.choice(kinds), rng.sample(names, 2)
    asked = [
        (f"{first}, {kind}?", facts[first, kind]),
        (f"and {second}?", facts[second, kind]),
    ]
    return " ".join(sentences), asked


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
