"""A classifier of sentiment: against guessing, against words, and what the base forgets."""

from __future__ import annotations

from collections.abc import Mapping

from gpt.lab.apparatus.labeled import (
    READING,
    accuracy_part,
    classified,
    figures,
    forgotten,
    labeled,
)
from gpt.lab.apparatus.opinions import by_words, reviews
from gpt.lab.apparatus.texts import english, shards_of
from gpt.lab.apparatus.training import Run, small_model
from gpt.lab.apparatus.tuning import base_run
from gpt.lab.checks import Equal, Greater, Less, Within
from gpt.lab.experiment import Bars, Experiment, Figures, Setting, Sizes, Source
from gpt.spec.task import Train

TRAIN: Mapping[str, Train] = {
    "all weights": "all",
    "LoRA": "lora",
    "last block": "last-block",
    "head only": "head",
}
WORDS = "words alone"


def arm(setting: Setting) -> Figures:
    """Tune a base, which has read English and reviews without labels, on reviews of the seed."""
    size, seed = setting.size, setting.seed
    train = list(reviews(size["texts"], 1000 + seed))
    test = list(reviews(size["tests"], 5000 + seed))
    if setting.arm == WORDS:
        return {**by_words(train, test), "forgot": 0.0}
    unlabeled = [each.text for each in reviews(size["unlabeled"], 0)]
    # The end of the English is held out, to measure what is forgotten.
    shards = shards_of(f"known-{len(unlabeled)}", [*unlabeled, english()], 512, val=0.02)
    model = small_model(setting, context=64)
    base = base_run("reviews", model, Run(steps=size["steps"], data=shards))
    data = labeled(f"reviews-{len(train)}-{seed}", train, test)
    found = classified(setting, base, data, train=TRAIN[setting.arm])
    return {**figures(found), "forgot": forgotten(found, base, shards)}


SIZES: Sizes = {
    "smoke": {"layers": 1, "width": 32, "steps": 3, "unlabeled": 100}
    | {"texts": 64, "tests": 32, "epochs": 1},
    "cpu": {"layers": 2, "width": 64, "steps": 500, "unlabeled": 6000}
    | {"texts": 1500, "tests": 500, "epochs": 5},
    "gpu": {"layers": 12, "width": 768, "steps": 5000, "unlabeled": 50_000}
    | {"texts": 1000, "tests": 5000, "epochs": 4},
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
    claim="GPT-2, tuned on 1,000 texts, classifies sentiment; tuning can make it forget what it "
    "knew.",
    parts=[
        READING,
        accuracy_part(
            arms=[*TRAIN, WORDS],
            measure=arm,
            sizes=SIZES,
            checks=[
                Within(
                    claim="words alone are better than guessing, one in three",
                    arm=WORDS,
                    figure="accuracy",
                    low=0.36,
                ),
                Greater(
                    claim="a tuned model is better than words alone",
                    arm="all weights",
                    than=WORDS,
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
        Bars(part="accuracy", figure="accuracy", label="accuracy on new texts"),
        Bars(
            part="accuracy",
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
