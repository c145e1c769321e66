"""Several small models, their average, and one model that is distilled from them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from gpt.data.batch import Batch
from gpt.data.shards import open_data, open_split
from gpt.errors import TrainingError
from gpt.evaluation.bits_per_byte import evaluate
from gpt.generation.ensemble import Ensemble
from gpt.lab.apparatus.probes import leak, random_ids, random_model
from gpt.lab.apparatus.texts import english, shards_of
from gpt.lab.apparatus.training import (
    BITS,
    DIVERGED,
    LEAK,
    ROUNDING,
    Run,
    Training,
    recipe_of,
    small_model,
)
from gpt.lab.apparatus.tuning import base_run
from gpt.lab.checks import Above, Below, Less
from gpt.lab.experiment import (
    TUNING_SEEDS,
    Bars,
    Experiment,
    Figures,
    Part,
    Setting,
    Sizes,
    Source,
)
from gpt.model.gpt import GPT
from gpt.model.objectives import distillation as objectives
from gpt.parallel.runtime import Runtime
from gpt.report.events import NullReporter
from gpt.runs.reading import read_checkpoint
from gpt.runs.store import Memory
from gpt.spec.architecture import Architecture
from gpt.spec.objective import Distillation
from gpt.training.loop import train

VOCAB, MEMBERS = 512, 3


def text_shards(characters: int) -> Path:
    """Return token shards of the first *characters* of English, a fifth of them held out."""
    text = english()[:characters]
    texts = [text[start : start + 1000] for start in range(0, characters, 1000)]
    return shards_of(f"little-{characters}", texts, VOCAB, val=0.2)


def model(setting: Setting) -> Architecture:
    """Return the model of all arms."""
    return small_model(setting)


def how(setting: Setting) -> Run:
    """Return how one model of an arm is trained."""
    steps = setting.size["steps"] * (MEMBERS if setting.arm == LONGER else 1)
    data = text_shards(setting.size["characters"])
    return Run(steps=steps, vocab=VOCAB, data=data, device=setting.device)


def member(setting: Setting, number: int) -> Path:
    """Return the run of a member of the ensemble of a seed; the first is the arm of one model."""
    assert setting.rate is not None
    alone, size = dataclasses.replace(setting, arm=ONE), setting.size
    return base_run(
        f"member-{setting.rate:g}-{size['width']}-{size['characters']}",
        model(alone),
        how(alone),
        seed=MEMBERS * setting.seed + number,
        rate=setting.rate,
    )


def models(setting: Setting) -> list[GPT]:
    """Train the models of an arm, each with a seed of its own."""
    if setting.arm in (ONE, ENSEMBLE):
        runs = [member(setting, number) for number in range(MEMBERS if setting.arm != ONE else 1)]
        return [read_checkpoint(run).model(setting.device) for run in runs]
    assert setting.rate is not None
    recipe = recipe_of(model(setting), how(setting), seed=MEMBERS * setting.seed, rate=setting.rate)
    if setting.arm == DISTILLED:
        teachers = tuple(member(setting, number) for number in range(MEMBERS))
        recipe = dataclasses.replace(recipe, objective=Distillation(teachers=teachers))
    store = Memory()
    train(recipe, store=store, reporter=NullReporter())
    return [store.model(setting.device)]


def measure(setting: Setting) -> Figures:
    """Train an arm, and measure it on the held-out text."""
    try:
        found = models(setting)
    except TrainingError:
        return {BITS: DIVERGED, LEAK: 0.0}
    split = open_split(open_data(text_shards(setting.size["characters"])), "val")
    runtime = Runtime.choose(setting.device, "float32")
    bits = evaluate(Ensemble(found), split, runtime=runtime).bits_per_byte
    return {BITS: bits, LEAK: max(map(leak, found))}


def definitions(setting: Setting) -> Figures:
    """Compare an ensemble, and the loss of distillation, with their definitions."""
    several = [random_model(model(setting), VOCAB, seed) for seed in range(MEMBERS + 1)]
    student, teachers = several[0], several[1:]
    batch = Batch(inputs=random_ids(student, 2, 16), targets=random_ids(student, 2, 17)[:, 1:])
    spec, targets = Distillation(teachers=(Path("unread"),)), batch.targets[..., None]
    with torch.no_grad():
        each = torch.stack([teacher(batch.inputs).softmax(-1) for teacher in teachers])
        mean, ours = each.mean(0), student(batch.inputs).log_softmax(-1)
        log_p = Ensemble(teachers)(batch.inputs).gather(-1, targets)
        loss = objectives.Distillation(spec, teachers)(student, batch).sum / targets.numel()
        divergence = (mean * (mean.log() - ours)).sum(-1).mean()
        plain = -ours.gather(-1, targets).mean() / 2 + divergence / 2
    return {
        "ensemble": float((log_p - mean.gather(-1, targets).log()).abs().max()),
        "distillation": float((loss - plain).abs()),
        "gain": float(
            log_p.mean() - each.log().gather(-1, targets.expand(MEMBERS, *targets.shape)).mean()
        ),
    }


ONE, LONGER, ENSEMBLE, DISTILLED = ARMS = (
    "one",
    "one, 3 times the steps",
    "ensemble of 3",
    "distilled from it",
)
SIZES: Sizes = {
    "smoke": {"layers": 1, "width": 32, "context": 32, "steps": 3, "characters": 20_000},
    "cpu": {"layers": 2, "width": 64, "context": 64, "steps": 200, "characters": 80_000},
    "gpu": {"layers": 12, "width": 768, "context": 512, "steps": 2000, "characters": 450_000},
}


def lower(arm: str, than: str, claim: str) -> Less:
    """Return the check that an arm has a lower loss than another."""
    return Less(claim=claim, arm=arm, than=than, figure=BITS)


EXPERIMENT = Experiment(
    id="ensemble",
    question="On little text, are several small models better than one that trains as long?",
    source=Source(
        paper="Kim 2025, Pre-training under infinite compute",
        link="arXiv:2509.14786",
        where="abstract: ensembles have a lower loss than any single model of the same text; "
        "distilled into one 8 times smaller, 83% of the gain is kept",
    ),
    claim="The average of the probabilities of independently trained models has a lower loss than "
    "one model has, however long it trains on the same text; a student keeps most of it.",
    parts=[
        Part(
            name="definitions",
            kind="EXACT",
            arms=["three models"],
            measure=definitions,
            sizes=SIZES,
            checks=[
                Below(
                    claim="an ensemble averages probabilities",
                    arm="three models",
                    figure="ensemble",
                    bound=1e-5,
                ),
                Below(
                    claim="distillation is half cross-entropy, half divergence from the average",
                    arm="three models",
                    figure="distillation",
                    bound=1e-5,
                ),
                Above(
                    claim="its loss is below the mean of its members', on any text (Jensen)",
                    arm="three models",
                    figure="gain",
                    bound=0.0,
                ),
            ],
        ),
        Part(
            name="loss",
            kind="QUALITY",
            arms=ARMS,
            measure=measure,
            sizes=SIZES,
            rates=(3e-3, 1e-2, 3e-2),
            chosen_by=BITS,
            cost=Training(model=model, how=how).cost,
            noise_of=BITS,
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                lower(ENSEMBLE, ONE, "an ensemble of 3 is better than one of its models"),
                lower(ENSEMBLE, LONGER, "and better than one model with all of its steps"),
                lower(DISTILLED, ONE, "a model distilled from it is better than one of the data"),
                lower(ENSEMBLE, DISTILLED, "which the ensemble itself is better than"),
                *(
                    Below(claim=f"{arm} sees no later tokens", arm=arm, figure=LEAK, bound=ROUNDING)
                    for arm in ARMS
                ),
            ],
        ),
    ],
    panels=[Bars(part="loss", figure=BITS, label="bits per byte, held out")],
    bounds="The paper has 200 million tokens, models of up to 1.4 billion parameters, regularized "
    "by 30 times the usual weight decay, and a student 8 times smaller; here 3 models of 2 layers "
    "of width 64 read 64,000 characters some 8 times, and the student has their size. The "
    "student's steps cost the predictions of the teachers besides.",
    expects="The ensemble better than one by some 0.05 bits, and about as good as one with all of "
    "its steps, if that does not overfit; the student between.",
)
