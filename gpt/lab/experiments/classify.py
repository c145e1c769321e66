"""A classifier of sentiment: against chance, against words, and what the base forgets."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.adapt.wrapping import merged_weights
from gpt.data.batch import Batch
from gpt.data.labeled_rows import LENGTHS
from gpt.data.labeled_texts import LabeledText
from gpt.lab.checks import Equal, Greater, Less, Within
from gpt.lab.experiment import (
    TUNING_SEEDS,
    Bars,
    Experiment,
    Figures,
    Part,
    Setting,
    Size,
    Sizes,
    Source,
)
from gpt.lab.labeled import classified, figures, labeled
from gpt.lab.onebatch import relative_error
from gpt.lab.texts import english, shards_of
from gpt.lab.training import Run
from gpt.lab.tuning import base_run
from gpt.model.classifier import Classifier
from gpt.model.gpt import GPT
from gpt.runs.reading import read_checkpoint
from gpt.spec import classifier
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.task import Train
from pytok.tokenizer import Tokenizer

CONTEXT, VOCAB, OLD = 64, 512, 20_000
WORDS: Mapping[str, tuple[str, ...]] = {
    "positive": ("great", "lovely", "perfect", "a joy", "superb"),
    "negative": ("awful", "broken", "useless", "a waste", "terrible"),
    "neutral": ("blue", "a gift", "from a shop", "two years old", "quite small"),
}
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


def architecture(size: Size) -> Architecture:
    """Return the model of the base."""
    return Architecture(
        context=CONTEXT,
        layers=size["layers"],
        width=size["width"],
        attention=GroupedQuery(heads=4, kv_heads=4),
    )


def base(size: Size) -> Path:
    """Return the base, which has read English and reviews without labels."""
    text, count = english()[:-OLD], size["unlabeled"]
    known = [text[start : start + 1000] for start in range(0, len(text), 1000)]
    known += [each.text for each in reviews(count, 0)]
    shards = shards_of(f"known-{count}", known, VOCAB)
    return base_run("reviews", architecture(size), Run(steps=size["steps"], data=shards))


@torch.inference_mode()
def bits_of_old(gpt: GPT, tokenizer: Tokenizer) -> float:
    """Return the bits per byte of English that the base has not read."""
    text = english()[-OLD:]
    ids = torch.tensor(tokenizer.encode(text))
    rows = ids[: len(ids) // CONTEXT * CONTEXT].view(-1, CONTEXT)
    nats = F.cross_entropy(gpt(rows)[:, :-1].flatten(0, 1), rows[:, 1:].flatten())
    return float(nats) * len(ids) / len(text.encode()) / math.log(2)


def by_words(train: Sequence[LabeledText], test: Sequence[LabeledText]) -> Figures:
    """Test logistic regression of the counts of words, with a small penalty."""
    words = sorted({word for each in train for word in each.text.split()})

    def counts(texts: Sequence[LabeledText]) -> tuple[Tensor, Tensor]:
        rows = [Counter(each.text.split()) for each in texts]
        labels = [CLASSES.index(each.label) for each in texts]
        return torch.tensor([[row[w] for w in words] for row in rows]).float(), torch.tensor(labels)

    features, labels = counts(train)
    weight = torch.zeros(len(CLASSES), len(words), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=100)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(features @ weight.T, labels) + 1e-3 * weight.square().sum()
        torch.autograd.backward(value)
        return value

    optimizer.step(loss)  # type: ignore[arg-type]
    features, labels = counts(test)
    logits = (features @ weight.T).detach()
    accuracy = float((logits.argmax(1) == labels).float().mean())
    return {"accuracy": accuracy, "loss": float(F.cross_entropy(logits, labels)), "forgot": 0.0}


def arm(setting: Setting) -> Figures:
    """Train and test an arm on texts of the seed, and measure what its body has forgotten."""
    assert setting.rate is not None
    size, seed = setting.size, setting.seed
    train = list(reviews(size["texts"], 1000 + seed))
    test = list(reviews(size["tests"], 5000 + seed))
    if setting.arm == WORDS_ALONE:
        return by_words(train, test)
    data = labeled(f"reviews-{len(train)}-{seed}", train, test)
    start = base(size)
    planned = {"epochs": size["epochs"], "device": setting.device, "train": TRAIN[setting.arm]}
    found = classified(start, data, rate=setting.rate, seed=seed, **planned)
    if found is None:
        return {**figures(None), "forgot": math.inf}
    checkpoint = read_checkpoint(start)
    gpt, tokenizer = checkpoint.model().eval(), checkpoint.tokenizer()
    before = bits_of_old(gpt, tokenizer)
    weights = merged_weights(found[1].classifier())
    gpt.load_state_dict(
        {k: v for k, v in weights.items() if not k.startswith("head.")}, strict=False
    )
    return {**figures(found), "forgot": bits_of_old(gpt, tokenizer) - before}


def definition(setting: Setting) -> Figures:
    """Compare logits of padded texts with the head on the last token of each text alone."""
    spec = classifier.Classifier.over(architecture(setting.size), classes=CLASSES)
    model = Classifier(spec.with_vocabulary(VOCAB), setting.seed).double().eval()
    generator = torch.Generator().manual_seed(setting.seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2, generator=generator)
        ids, lengths = torch.randint(VOCAB, (3, 16), generator=generator), (16, 9, 1)
        given = {LENGTHS: torch.tensor(lengths)}
        ours = model(Batch(ids, given[LENGTHS], given=given))
        rows = zip(ids, lengths, strict=True)
        last = [model.hidden(row[None, :length])[0][0, -1] for row, length in rows]
        return {"error": relative_error(ours, torch.stack(last) @ model.head.weight.T)}


CLASSES, WORDS_ALONE = tuple(WORDS), "words alone"
TRAIN: Mapping[str, Train] = {
    "all weights": "all",
    "LoRA": "lora",
    "last block": "last-block",
    "head only": "head",
}
SIZES: Sizes = {
    "smoke": {
        "layers": 1,
        "width": 32,
        "steps": 3,
        "unlabeled": 100,
        "texts": 64,
        "tests": 32,
        "epochs": 1,
    },
    "cpu": {
        "layers": 3,
        "width": 96,
        "steps": 400,
        "unlabeled": 2000,
        "texts": 600,
        "tests": 600,
        "epochs": 4,
    },
    "gpu": {
        "layers": 12,
        "width": 768,
        "steps": 5000,
        "unlabeled": 50_000,
        "texts": 1000,
        "tests": 5000,
        "epochs": 4,
    },
}

EXPERIMENT = Experiment(
    id="classify",
    question="Does a tuned language model know more of a text than its words, and does it forget?",
    source=Source(
        paper="DataCamp 2023, An Introductory Guide to Fine-Tuning LLMs",
        link="https://www.datacamp.com/tutorial/fine-tuning-large-language-models",
        where="sentiment of three classes by GPT-2, and the pitfalls: overfitting and catastrophic "
        "forgetting; no number. That LoRA forgets less: Biderman 2024, arXiv:2405.09673",
    ),
    claim="GPT-2, tuned on 1,000 texts, classifies sentiment; what is tuned can forget the old.",
    parts=[
        Part(
            name="definition",
            kind="EXACT",
            arms=["last token"],
            measure=definition,
            sizes=SIZES,
            checks=[
                Equal(
                    claim="logits are the head's of the last token, whatever a text is padded with",
                    arm="last token",
                    figure="error",
                    value=0,
                    tolerance=1e-10,
                )
            ],
        ),
        Part(
            name="arms",
            kind="QUALITY",
            arms=[*TRAIN, WORDS_ALONE],
            measure=arm,
            sizes=SIZES,
            rates=(1e-3, 3e-3, 1e-2),
            chosen_by="loss",
            noise_of="accuracy",
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                Within(
                    claim="words alone are better than guessing, one in three",
                    arm=WORDS_ALONE,
                    figure="accuracy",
                    low=0.36,
                ),
                Greater(
                    claim="a tuned model is better than words alone",
                    arm="all weights",
                    than=WORDS_ALONE,
                    figure="accuracy",
                ),
                Within(
                    claim="tuned by all weights, it has forgotten some of the old text",
                    arm="all weights",
                    figure="forgot",
                    low=0.01,
                ),
                Less(
                    claim="LoRA forgets less than all weights",
                    arm="LoRA",
                    than="all weights",
                    figure="forgot",
                ),
                Equal(
                    claim="a head that is trained alone forgets nothing",
                    arm="head only",
                    figure="forgot",
                    value=0.0,
                ),
            ],
        ),
    ],
    panels=[
        Bars(part="arms", figure="accuracy", label="accuracy on new texts"),
        Bars(
            part="arms",
            arms=tuple(TRAIN),
            figure="forgot",
            label="bits per byte of old text, more than before",
        ),
    ],
    bounds="The guide tunes GPT-2 124M on tweets, and gives no number. Here texts are made up: of "
    "two opinions the writer's own counts, so words say little by design. The base of 3 layers "
    "has read English and such texts without labels for 400 steps. Forgetting is measured once, "
    "after all epochs; a curve over epochs is left out.",
    expects="Words alone near 0.6, all weights and LoRA above 0.9; all weights forget some tenths "
    "of a bit, LoRA less.",
)
