"""Dropout in the first steps alone: whether it helps a model that underfits."""

from __future__ import annotations

import statistics

from gpt.lab.apparatus.dropping import SCHEDULE, SCHEDULES, P
from gpt.lab.apparatus.gradients import ANGLES, directions
from gpt.lab.apparatus.training import (
    Run,
    Training,
    small_model,
    task_of,
    training_loss,
    training_part,
)
from gpt.lab.checks import Greater, Less
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Lines, Part, Setting, Source
from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture
from gpt.spec.dropout import Dropout


def model(setting: Setting) -> Architecture:
    """Return the model of an arm."""
    return small_model(setting, dropout=Dropout(rate=0.0 if setting.arm == "none" else P))


def how(setting: Setting) -> Run:
    """Return how an arm is trained: with its schedule of dropout."""
    size, changes = setting.size, {"dropout_schedule": SCHEDULES.get(setting.arm)}
    return Run(steps=size["steps"], rows=size["rows"], device=setting.device, changes=changes)


def of_gradients(setting: Setting) -> Figures:
    """Train, and compare gradients at some steps: the first half of those is early."""
    at, batches, some = (setting.size[name] for name in ("at", "batches", "some"))
    task = task_of(model(setting), how(setting), seed=setting.seed, rate=6e-3)
    variances, errors = directions(task, at=at, batches=batches, some=some, device=setting.device)
    half = len(at) // 2
    return {
        "step": [float(step) for step in at],
        "variances": variances,
        "early variance": statistics.fmean(variances[:half]),
        "late variance": statistics.fmean(variances[half:]),
        "early error": statistics.fmean(errors[:half]),
    }


def fit(setting: Setting, gpt: GPT | None) -> Figures:
    """Compute the loss of the model of an arm on the text that it was trained on."""
    return {"training": training_loss(gpt, how(setting).shards(), rows=256)}


SMOKE = {"layers": 1, "width": 32, "context": 16, "steps": 4, "rows": 4}
CPU = {"layers": 2, "width": 96, "context": 64, "steps": 200, "rows": 12}
GPU = {"layers": 8, "width": 512, "context": 512, "steps": 5_000, "rows": 64}

EXPERIMENT = Experiment(
    id="earlydrop",
    question="Does dropout in the first steps alone lower the training loss?",
    source=Source(
        paper="Liu 2023, Dropout Reduces Underfitting",
        link="arXiv:2303.01500",
        where="section 3, figures 3 and 4; table 1: ViT-T 73.9 without, 67.9 with, 74.3 with early "
        "dropout",
    ),
    claim="At first dropout lowers the variance of the gradient's direction across batches, and "
    "its error; a model that underfits ends with a lower training loss if it has dropout early "
    "only, and with a higher one if it has it throughout.",
    parts=[
        ANGLES,
        SCHEDULE,
        Part(
            name="directions",
            kind="QUALITY",
            arms=["none", "standard"],
            measure=of_gradients,
            sizes={
                "smoke": {**SMOKE, "at": (1, 4), "batches": 3, "some": 2},
                "cpu": {**CPU, "at": (5, 10, 20, 40, 80, 160), "batches": 32, "some": 8},
                "gpu": {**GPU, "at": (10, 40, 160, 640, 1280, 2560), "batches": 32, "some": 8},
            },
            checks=[
                Less(
                    claim="at first gradients vary less in direction",
                    arm="standard",
                    than="none",
                    figure="early variance",
                ),
                Less(
                    claim="at first gradients deviate less from the whole one",
                    arm="standard",
                    than="none",
                    figure="early error",
                ),
                Greater(
                    claim="later on they vary more",
                    arm="standard",
                    than="none",
                    figure="late variance",
                ),
            ],
        ),
        training_part(
            arms=["none", "standard", "early"],
            training=Training(model=model, how=how, also=fit),
            sizes={"smoke": SMOKE, "cpu": CPU, "gpu": GPU},
            rates=(3e-3, 6e-3, 1.2e-2),
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                Less(
                    claim="early dropout lowers the training loss",
                    arm="early",
                    than="none",
                    figure="training",
                ),
                Greater(
                    claim="standard dropout raises it",
                    arm="standard",
                    than="none",
                    figure="training",
                ),
            ],
        ),
    ],
    panels=[
        Lines(
            part="directions",
            x="step",
            y="variances",
            x_label="step",
            y_label="gradient direction variance",
            log=("x",),
        ),
        Bars(part="loss", figure="training", label="training loss without dropout, nats"),
    ],
    bounds="The paper trains image classifiers for 300 epochs, in which early steps with dropout "
    "can be made up for; here a small decoder reads a text once. Dropout is after the embedding "
    "and each branch.",
    expects="A lower variance in the first steps, which is the robust part; a difference of "
    "training loss of half a percent at most, which may be noise.",
    seeds={"smoke": 1, "cpu": 8, "gpu": 5},
)
