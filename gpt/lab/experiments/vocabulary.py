"""How many tokens a small model should have, if every vocabulary may cost the same."""

from __future__ import annotations

import functools
from itertools import zip_longest
from pathlib import Path

import pytok
from gpt.lab.apparatus.texts import END, library, once
from gpt.lab.apparatus.training import BITS, Run, Training, training_part
from gpt.lab.checks import Below, Less
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Part, Setting, Source
from gpt.model.flops import parts_of, training_flops
from gpt.model.shapes import without_memory
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from pytok import shards
from pytok.tokenizer import Tokenizer

SIZES = {"512": 512, "2,048": 2048, "8,192": 8192, "32,768": 32_768}
"""Ids of a vocabulary; the largest is the last power of four that the text has pairs for."""
ARMS = tuple(SIZES)


@functools.cache
def texts() -> tuple[list[str], list[str]]:
    """Return modules to train on, and every 40th, which is held out."""
    modules = list(library().values())
    return [text for n, text in enumerate(modules, 1) if n % 40], modules[39::40]


@functools.cache
def largest() -> Tokenizer:
    """Return the vocabulary of which all others are the beginning."""
    return pytok.train(texts()[0], SIZES[ARMS[-1]], special_tokens=(END,))


def data_of(arm: str) -> Path:
    """Return token shards by the beginning of the largest vocabulary."""

    def make(folder: Path) -> None:
        tokenizer = largest().truncated(SIZES[arm])
        parts = dict(zip(("train", "val"), texts(), strict=True))
        with shards.writing(folder / "shards", tokenizer, parts) as writer:
            for name, modules in parts.items():
                for text in modules:
                    ids = tokenizer.encode_ordinary(text)
                    writer.append(name, ids, len(text.encode()), ends_document=True)
                writer.flush()

    return once(f"vocabulary-{arm}", make) / "shards"


def model(setting: Setting) -> Architecture:
    """Return the model, the same for all vocabularies."""
    layers, width = setting.size["layers"], setting.size["width"]
    heads = GroupedQuery(heads=4, kv_heads=4)
    return Architecture(context=64, layers=layers, width=width, attention=heads)


def cheaper(setting: Setting) -> float:
    """Return the FLOPs of a token with the smallest vocabulary, divided by those of an arm's."""
    configs = [GPTConfig.over(model(setting), SIZES[arm]) for arm in (ARMS[0], setting.arm)]
    smallest, ours = (training_flops(without_memory(config)) for config in configs)
    return smallest / ours


def fewer_steps(setting: Setting) -> Run:
    """Return a run of the FLOPs of the smallest vocabulary, with steps of as many tokens."""
    return run_of(setting, setting.size["rows"])


def fewer_rows(setting: Setting) -> Run:
    """Return a run of the same FLOPs, with about as many steps, of fewer tokens."""
    return run_of(setting, max(1, round(setting.size["rows"] * cheaper(setting))))


def run_of(setting: Setting, rows: int) -> Run:
    """Return a run of the FLOPs of the smallest vocabulary, with steps of *rows* rows."""
    size, vocab = setting.size, SIZES[setting.arm]
    steps = max(1, round(size["steps"] * size["rows"] * cheaper(setting) / rows))
    data, device = data_of(setting.arm), setting.device
    return Run(steps=steps, rows=rows, vocab=vocab, data=data, device=device)


TRAININGS = {
    "steps": Training(model=model, how=fewer_steps),
    "rows": Training(model=model, how=fewer_rows),
}


def ladder(setting: Setting) -> Figures:
    """Compare the beginning of the largest vocabulary with one trained alone; count parameters."""
    ours = largest().truncated(SIZES[setting.arm])
    alone = pytok.train(texts()[0], SIZES[setting.arm], special_tokens=(END,))
    gpt = without_memory(GPTConfig.over(model(setting), SIZES[setting.arm]))
    count = {name: part.parameters for name, part in parts_of(gpt).items()}
    first = Setting(arm=ARMS[0], size=setting.size)
    return {
        "differing": float(sum(a != b for a, b in zip_longest(ours.vocab, alone.vocab))),
        "embedding": 100 * count["embedding"] / sum(count.values()),
        **{
            name: abs(training.cost(setting).flops / training.cost(first).flops - 1)
            for name, training in TRAININGS.items()
        },
    }


SMALL = {"layers": 1, "width": 32, "steps": 3, "rows": 24}
LARGE = {"layers": 2, "width": 64, "steps": 150, "rows": 24}
GPU = {"layers": 6, "width": 256, "steps": 20_000, "rows": 64}
EXACT = (
    (ARMS, "its vocabulary is the one that is trained alone", "differing", 0.0),
    (ARMS, "fewer steps cost the same FLOPs, within 5%", "steps", 0.05),
    (ARMS, "fewer rows cost the same FLOPs, within 5%", "rows", 0.05),
)

EXPERIMENT = Experiment(
    id="vocabulary",
    question="How many tokens should the vocabulary of a small model have?",
    source=Source(
        paper="Tao 2024, Scaling Laws with Vocabulary",
        link="arXiv:2407.13623",
        where="abstract; sections 3 and 4: models of equal FLOPs have a best vocabulary",
    ),
    claim="Among models trained with the same FLOPs one vocabulary is best, neither the smallest "
    "nor the largest, and it grows with the model, more slowly than the other parameters.",
    parts=[
        Part(
            name="ladder",
            kind="EXACT",
            arms=list(ARMS),
            measure=ladder,
            sizes={"smoke": LARGE, "cpu": LARGE, "gpu": GPU},
            checks=[
                Below(claim=f"{arm}: {claim}", arm=arm, figure=figure, bound=bound)
                for arms, claim, figure, bound in EXACT
                for arm in arms
            ],
        ),
        *(
            training_part(
                name=name,
                arms=list(ARMS),
                training=training,
                sizes={"smoke": SMALL, "cpu": LARGE, "gpu": GPU},
                rates=(3e-3, 1e-2, 3e-2),
                tuning_seeds=TUNING_SEEDS[:1],
                checks=[
                    Less(claim=f"{name}: 2,048 beats {arm}", arm="2,048", than=arm, figure=BITS)
                    for arm in ("512", "32,768")
                ],
            )
            for name, training in TRAININGS.items()
        ),
    ],
    panels=[
        Bars(part="steps", figure=BITS, label="bits per byte, equal FLOPs by fewer steps"),
        Bars(part="rows", figure=BITS, label="bits per byte, equal FLOPs by fewer rows"),
        Bars(part="ladder", figure="embedding", label="embedding, % of parameters"),
    ],
    bounds="The paper's models have 33 million parameters and more besides the vocabulary, and up "
    "to 500 billion characters of text; here some 100,000 see about a megabyte. With equal FLOPs "
    "a larger vocabulary has fewer steps, or fewer rows in a step: both change more than the data "
    "that is seen, so both are shown. Seeds of 2,048 differ by 0.2 bits. The embedding is also "
    "the head. The text is mostly code; one size of model says nothing about growth.",
    expects="2,048 is best: with fewer steps 32,768 tokens are hardly learned in some 10 of them, "
    "with fewer rows the difference is smaller.",
)
