"""Several small models, their average, and one model that is distilled from them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

from gpt.data.batch import Batch
from gpt.errors import TrainingError
from gpt.generation.ensemble import Ensemble
from gpt.lab.apparatus.probes import leak, random_ids, random_model
from gpt.lab.apparatus.texts import short_shards
from gpt.lab.apparatus.training import (
    BITS,
    DIVERGED,
    LEAK,
    Run,
    Training,
    causality,
    held_out_bits,
    small_model,
)
from gpt.lab.apparatus.tuning import base_run
from gpt.lab.checks import Above, Below, Less
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Part, Setting, Sizes, Source
from gpt.model.objectives import distillation
from gpt.runs.reading import read_checkpoint
from gpt.spec.objective import Distillation

VOCAB, MEMBERS = 512, 3
ONE, LONGER, ENSEMBLE, DISTILLED = ARMS = ("one", "one, longer", "ensemble", "distilled")


def definitions(setting: Setting) -> Figures:
    """Compare an ensemble, and the loss of distillation, with their definitions."""
    seeds, model = range(MEMBERS + 1), small_model(setting)
    student, *teachers = (random_model(model, VOCAB, seed, std=0.5) for seed in seeds)
    ids = random_ids(student, 2, 17)
    batch, targets = Batch(inputs=ids[:, :-1], targets=ids[:, 1:]), ids[:, 1:, None]
    loss = distillation.Distillation(Distillation(teachers=(Path("unread"),)), teachers)
    with torch.no_grad():
        each = torch.stack([teacher(batch.inputs).log_softmax(-1) for teacher in teachers])
        mean, ours = each.exp().mean(0), student(batch.inputs).log_softmax(-1)
        divergence = (mean * (mean.log() - ours)).sum(-1).mean()
        plain = -ours.gather(-1, targets).mean() / 2 + divergence / 2
        log_p = Ensemble(teachers)(batch.inputs).gather(-1, targets)
        of_members = each.gather(-1, targets.expand(MEMBERS, *targets.shape))
        return {
            "ensemble": float((log_p - mean.gather(-1, targets).log()).abs().max()),
            "distillation": float((loss(student, batch).sum / targets.numel() - plain).abs()),
            "gain": float(log_p.mean() - of_members.mean()),
        }


def how(setting: Setting, **changes: Any) -> Run:
    """Return how one model of an arm is trained."""
    size = setting.size
    steps = size["steps"] * (MEMBERS if setting.arm == LONGER else 1)
    data = partial(short_shards, size["characters"], VOCAB)
    return Run(steps=steps, data=data, device=setting.device, changes=changes)


def run_of(name: str, setting: Setting, number: int, **changes: Any) -> Path:
    """Return the run of a model of a seed, made once in each process."""
    assert setting.rate is not None
    return base_run(
        f"{name}-{setting.rate:g}-{setting.size['characters']}",
        small_model(setting),
        how(setting, **changes),
        seed=MEMBERS * setting.seed + number,
        rate=setting.rate,
    )


def measure(setting: Setting) -> Figures:
    """Train the models of an arm, and measure their average on the held-out text."""
    count = MEMBERS if setting.arm in (ENSEMBLE, DISTILLED) else 1
    try:
        runs = [run_of("member", setting, number) for number in range(count)]
        if setting.arm == DISTILLED:
            runs = [run_of("student", setting, 0, objective=Distillation(teachers=tuple(runs)))]
    except TrainingError:
        return {BITS: DIVERGED, LEAK: 0.0}
    models = [read_checkpoint(run).model(setting.device) for run in runs]
    bits = held_out_bits(Ensemble(models), how(setting).shards(), setting.device)
    return {BITS: bits, LEAK: max(map(leak, models))}


SIZES: Sizes = {
    "smoke": {"layers": 1, "width": 32, "context": 32, "steps": 3, "characters": 16_000},
    "cpu": {"layers": 2, "width": 64, "context": 64, "steps": 200, "characters": 64_000},
    "gpu": {"layers": 12, "width": 768, "context": 512, "steps": 2000, "characters": 360_000},
}

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
                Below(claim="an ensemble averages probabilities", figure="ensemble", bound=1e-5),
                Below(
                    claim="distillation is half cross-entropy, half divergence from the average",
                    figure="distillation",
                    bound=1e-5,
                ),
                Above(
                    claim="its loss is below the mean of its members', on any text (Jensen)",
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
            cost=Training(model=small_model, how=how).cost,
            noise_of=BITS,
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                *(
                    Less(claim=claim, arm=arm, than=than, figure=BITS)
                    for arm, than, claim in (
                        (ENSEMBLE, ONE, "an ensemble of 3 is better than one of its models"),
                        (ENSEMBLE, LONGER, "and better than one model with all of its steps"),
                        (DISTILLED, ONE, "a model distilled from it is better than one of text"),
                        (ENSEMBLE, DISTILLED, "which the ensemble itself is better than"),
                    )
                ),
                *causality([""]),
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
