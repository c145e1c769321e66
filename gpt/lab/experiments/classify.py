"""A classifier of sentiment: against guessing, against words, and what the base forgets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F

from gpt.adapt.wrapping import merged_weights
from gpt.lab.apparatus.labeled import classified, figures, labeled, pooling_error
from gpt.lab.apparatus.opinions import by_words, reviews
from gpt.lab.apparatus.texts import english, shards_of
from gpt.lab.apparatus.training import Run
from gpt.lab.apparatus.tuning import base_run
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
from gpt.model.gpt import GPT
from gpt.runs.reading import read_checkpoint
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.task import Train
from pytok.tokenizer import Tokenizer

CONTEXT, VOCAB, OLD = 64, 512, 20_000


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


def arm(setting: Setting) -> Figures:
    """Train and test an arm on texts of the seed, and measure what its body has forgotten."""
    assert setting.rate is not None
    size, seed = setting.size, setting.seed
    train = list(reviews(size["texts"], 1000 + seed))
    test = list(reviews(size["tests"], 5000 + seed))
    if setting.arm == WORDS_ALONE:
        return {**by_words(train, test), "forgot": 0.0}
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
    """Compare the logits of a classifier with their definition."""
    return {"error": pooling_error(architecture(setting.size), "last", setting.seed)}


WORDS_ALONE = "words alone"
TRAIN: Mapping[str, Train] = {
    "all weights": "all",
    "LoRA": "lora",
    "last block": "last-block",
    "head only": "head",
}
NAMES = ("layers", "width", "steps", "unlabeled", "texts", "tests", "epochs")
SIZES: Sizes = {
    "smoke": dict(zip(NAMES, (1, 32, 3, 100, 64, 32, 1), strict=True)),
    "cpu": dict(zip(NAMES, (2, 64, 500, 6000, 1500, 500, 5), strict=True)),
    "gpu": dict(zip(NAMES, (12, 768, 5000, 50_000, 1000, 5000, 4), strict=True)),
}

EXPERIMENT = Experiment(
    id="classify",
    question="Does a tuned language model know more of a text than its words, and does it forget?",
    source=Source(
        paper="DataCamp 2023, An Introductory Guide to Fine-Tuning LLMs",
        link="https://www.datacamp.com/tutorial/fine-tuning-large-language-models",
        where="sentiment of three classes by GPT-2, and the pitfalls: overfitting and catastrophic "
        "forgetting, without a figure. That LoRA forgets less: Biderman 2024, arXiv:2405.09673",
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
    bounds="The guide tunes GPT-2 124M on tweets, and has no figure. Here texts are made up: of "
    "two opinions the writer's own counts, so words say little by design. The base is small, and "
    "has read English and such texts without labels. Forgetting is measured once, after all "
    "epochs; a curve over epochs is left out.",
    expects="Words alone near 0.6, all weights and LoRA above 0.9; all weights forget some tenths "
    "of a bit, LoRA less.",
)
