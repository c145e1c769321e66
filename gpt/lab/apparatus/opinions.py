"""Made-up opinions of three classes, of which single words say little, and what words say."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.data.labeled_texts import LabeledText

WORDS: Mapping[str, tuple[str, ...]] = {
    "positive": ("great", "lovely", "perfect", "a joy", "superb"),
    "negative": ("awful", "broken", "useless", "a waste", "terrible"),
    "neutral": ("blue", "a gift", "from a shop", "two years old", "quite small"),
}
CLASSES = tuple(WORDS)
OPPOSITE = {"positive": "negative", "negative": "positive"}
THINGS = ("phone", "film", "hotel", "book", "lamp", "coat", "song", "soup", "chair", "game")
OTHERS = ("my sister says", "the shop says", "a friend says", "they all say", "you may say")
MINE = ("I say", "for me", "I think", "to me", "I would say")


def reviews(count: int, seed: int) -> Iterator[LabeledText]:
    """Yield texts of two opinions, of which the writer's own is the label.

    Which words occur says little of it: the other opinion is any, and "not" turns one around.
    """
    rng = random.Random(f"reviews {seed}")
    for _ in range(count):
        label, other = rng.choice([*WORDS]), rng.choice([*WORDS])
        thing, clauses = rng.choice(THINGS), []
        for speakers, meant in ((MINE, label), (OTHERS, other)):
            turned = meant in OPPOSITE and rng.random() < 0.4
            word = rng.choice(WORDS[OPPOSITE[meant] if turned else meant])
            verb = "is not" if turned else "is"
            clauses.append(f"{rng.choice(speakers)} the {thing} {verb} {word}")
        rng.shuffle(clauses)
        yield LabeledText(", ".join(clauses) + ".", label)


def by_words(train: Sequence[LabeledText], test: Sequence[LabeledText]) -> dict[str, float]:
    """Test logistic regression of the counts of words, with a small penalty."""
    words = sorted({word for each in train for word in each.text.split()})

    def counts(texts: Sequence[LabeledText]) -> tuple[Tensor, Tensor]:
        rows = [Counter(each.text.split()) for each in texts]
        labels = [CLASSES.index(each.label) for each in texts]
        return torch.tensor([[row[w] for w in words] for row in rows]).float(), torch.tensor(labels)

    features, labels = counts(train)
    weight = torch.zeros(len(CLASSES), len(words), requires_grad=True)
    optimizer: Any = torch.optim.LBFGS([weight], max_iter=50)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(features @ weight.T, labels) + 1e-3 * weight.square().sum()
        torch.autograd.backward(value)
        return value

    optimizer.step(loss)
    features, labels = counts(test)
    logits = (features @ weight.T).detach()
    accuracy = float((logits.argmax(1) == labels).float().mean())
    return {"accuracy": accuracy, "loss": float(F.cross_entropy(logits, labels))}
