"""Dropout in the first steps alone: whether it helps a model that underfits."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpt.lab.apparatus.gradients import deviation, directions, variance
from gpt.lab.apparatus.texts import english_shards
from gpt.lab.apparatus.training import (
    Run,
    Training,
    small_model,
    task_of,
    training_loss,
    training_part,
)
from gpt.lab.checks import Below, Greater, Less
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Lines, Part, Setting, Source
from gpt.model.gpt import GPT
from gpt.nn.dropout import Dropout as DropoutModule
from gpt.nn.dropout import set_dropout
from gpt.optim.build import DROPOUT_SCHEDULES
from gpt.spec.architecture import Architecture
from gpt.spec.dropout import Dropout
from gpt.spec.schedule import EarlyDropout, LateDropout

P, CUTOFF, VOCAB, RATE = 0.1, 0.2, 512, 6e-3
SCHEDULES: dict[str, EarlyDropout | LateDropout] = {
    "early": EarlyDropout(cutoff=CUTOFF),
    "late": LateDropout(start=CUTOFF),
}


def model(setting: Setting) -> Architecture:
    """Return the model of an arm."""
    return small_model(
        setting,
        dropout=Dropout(rate=0.0 if setting.arm == "none" else P),
    )


def how(setting: Setting) -> Run:
    """Return how an arm is trained: with its schedule of dropout."""
    schedule = {"dropout_schedule": SCHEDULES.get(setting.arm)}
    size = setting.size
    return Run(steps=size["steps"], rows=size["rows"], device=setting.device, changes=schedule)


def published(arm: str, steps: int) -> Tensor:
    """Return the factors of all steps by the authors' code: a line from 1 to 0, or a jump to 1."""
    before = round(CUTOFF * steps)
    first = np.linspace(1, 0, before) if arm == "early" else np.zeros(before)
    return torch.tensor([*first, *np.full(steps - before, arm == "late")], dtype=torch.float64)


def schedule(setting: Setting) -> Figures:
    """Compare a schedule with the authors', and what is dropped at each factor with p."""
    steps, spec = setting.size["steps"], SCHEDULES[setting.arm]
    ours = [DROPOUT_SCHEDULES[type(spec)](spec, (step + 1) / steps) for step in range(steps)]
    difference = (
        (torch.tensor(ours, dtype=torch.float64) - published(setting.arm, steps)).abs().max().item()
    )
    module, x, errors = DropoutModule(P).train(), torch.ones(1 << 18), []
    with torch.random.fork_rng():
        torch.manual_seed(setting.seed)
        for factor in sorted({*ours[:: steps // 10], 0.0, 1.0}):
            set_dropout(module, factor)
            errors += [(module(x) == 0).double().mean().item() - P * factor, module(x).mean() - 1]
    e = torch.eye(3, dtype=torch.float64)
    return {
        "difference": difference * CUTOFF * steps,
        "dropped": max(abs(float(each)) for each in errors),
        "variance": abs(variance(e) - 1 / 2) + variance(e[:1].expand(3, 3)),
        "error": abs(deviation(e, e.sum(0)) - (1 - 3**-0.5) / 2),
    }


def of_gradients(setting: Setting) -> Figures:
    """Train, and compare gradients at some steps: the first half of those is early."""
    size = setting.size
    task = task_of(model(setting), how(setting), seed=setting.seed, rate=RATE)
    probe = {name: size[name] for name in PROBE}
    variances, errors = directions(task, **probe, device=setting.device)
    half = len(variances) // 2
    return {
        "step": [float(each) for each in size["at"]],
        "variances": variances,
        "early variance": statistics.fmean(variances[:half]),
        "late variance": statistics.fmean(variances[half:]),
        "early error": statistics.fmean(errors[:half]),
    }


def fit(setting: Setting, gpt: GPT | None) -> Figures:
    """Compute the loss of the model of an arm on the text that it was trained on."""
    return {"training": training_loss(gpt, english_shards(VOCAB), setting.size["evaluated"])}


SMOKE = {"layers": 1, "width": 32, "context": 16, "steps": 4, "rows": 4, "evaluated": 8}
CPU = {"layers": 2, "width": 96, "context": 64, "steps": 200, "rows": 12, "evaluated": 256}
GPU = {"layers": 8, "width": 512, "context": 512, "steps": 5_000, "rows": 64, "evaluated": 512}
PROBE: dict[str, Any] = {"at": (5, 10, 20, 40, 80, 160), "batches": 32, "some": 8}
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
        Part(
            name="schedule",
            kind="EXACT",
            arms=["early", "late"],
            measure=schedule,
            sizes={name: {"steps": 100} for name in ("smoke", "cpu", "gpu")},
            checks=[
                Below(
                    claim="early dropout is that of facebookresearch/dropout, up to one step",
                    arm="early",
                    figure="difference",
                    bound=1 + 1e-9,
                ),
                Below(claim="late dropout equals it", arm="late", figure="difference", bound=0),
                Below(claim="p times the factor is dropped", figure="dropped", bound=4e-3),
                Below(claim="equal gradients vary by 0, others 1/2", figure="variance", bound=1e-9),
                Below(claim="errors are those of known angles", figure="error", bound=1e-9),
            ],
        ),
        Part(
            name="directions",
            kind="QUALITY",
            arms=["none", "standard"],
            measure=of_gradients,
            sizes={
                "smoke": {**SMOKE, **PROBE, "at": (1, 4), "batches": 3, "some": 2},
                "cpu": {**CPU, **PROBE},
                "gpu": {**GPU, **PROBE, "at": (10, 40, 160, 640, 1280, 2560)},
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
    bounds="The paper trains image classifiers for 300 epochs; here a small decoder reads a text "
    "once. Dropout is after the embedding and each branch.",
    expects="A lower variance in the first steps, which is the robust part; a difference of "
    "training loss of half a percent at most, which may be noise.",
    seeds={"smoke": 1, "cpu": 8, "gpu": 5},
)
