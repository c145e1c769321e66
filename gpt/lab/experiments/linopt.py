"""Why transformers need Adam: the same signs in a linear one that learns regression in context."""

from __future__ import annotations

import math
from statistics import median

import torch
from torch import nn
from torch.func import grad, vmap

from gpt.lab.apparatus.digits import CLASSES, PIXELS, digits, gradients_of_images, seeded
from gpt.lab.apparatus.linear_icl import (
    CONSTRUCTION,
    directional_smoothness,
    loss,
    prompts,
    robust_condition,
    start,
    typical_loss,
)
from gpt.lab.checks import Factor, Less
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Lines, Part, Setting, Source
from gpt.lab.statistics import hill_index

ROWS, CLIP = 64, 1.0
DATA = ["normal", "heavy"]


def train(setting: Setting) -> Figures:
    """Train with new prompts in each step; look at loss, gradient and Hessian on others on the way.

    Diverged runs are worse than any other.
    """
    assert setting.rate is not None
    kind, data = setting.arm.split(", ")
    heavy, steps, looks = data == "heavy", setting.size["steps"], setting.size["looks"]
    parameters = start(setting.seed, setting.device).requires_grad_()
    optimizer: torch.optim.Optimizer = torch.optim.Adam([parameters], setting.rate)
    if kind == "SGD":
        optimizer = torch.optim.SGD([parameters], setting.rate, momentum=0.9)
    generator = torch.Generator().manual_seed(setting.seed)
    fixed = prompts(1024, torch.Generator().manual_seed(0), heavy=heavy)
    test = tuple(each.to(setting.device) for each in fixed)
    few = tuple(each[:128] for each in test)
    losses, seen, conditions, smoothness = [], [], [], []
    for step in range(1, steps + 1):
        batch = (each.to(setting.device) for each in prompts(ROWS, generator, heavy=heavy))
        optimizer.zero_grad()
        torch.autograd.backward(loss(parameters, *batch))
        nn.utils.clip_grad_norm_([parameters], CLIP)
        before = parameters.detach().clone()
        optimizer.step()
        after = parameters.detach().clone()
        if step % (steps // looks) == 0:
            seen.append(float(step))
            losses.append(float(typical_loss(after, *test)))
            smoothness.append(abs(directional_smoothness(before, after, *test)))
        if step % (steps // 4) == 0:
            conditions.append(robust_condition(after, *few))
    figures = {
        "loss": median(losses[-5:]),
        "condition": median(conditions),
        "smoothness": median(smoothness),
    }
    if not all(map(math.isfinite, [*losses, *conditions, *smoothness])):
        figures = dict.fromkeys(figures, math.inf)
    return {"step": seen, "losses": losses, **figures}


def noise(setting: Setting) -> Figures:
    """Measure the tail of |g_B - g| at the start, over batches of one: its Hill index."""
    if setting.arm == "digits":
        mlp = seeded(
            setting.seed,
            lambda: nn.Sequential(nn.Linear(PIXELS, 32), nn.ReLU(), nn.Linear(32, CLASSES)),
        )
        gradients = gradients_of_images(mlp, digits(setting.seed)[0])
    else:
        generator = torch.Generator().manual_seed(setting.seed)
        z, y = prompts(setting.size["count"], generator, heavy=setting.arm == "heavy")
        gradients = vmap(grad(loss), (None, 0, 0))(start(setting.seed), z, y).flatten(1)
    norms = (gradients - gradients.mean(0)).norm(dim=1)
    return {"index": hill_index(norms.tolist(), 100 / len(norms)).value}


EXPERIMENT = Experiment(
    id="linopt",
    question="Does a linear transformer already show why transformers are trained with Adam?",
    source=Source(
        paper="Ahn 2023, Linear attention is (maybe) all you need",
        link="arXiv:2310.01082",
        where="section 3, figures 1 to 5; von Oswald 2022, arXiv:2212.07677, proposition 1",
    ),
    claim="In a shallow linear transformer Adam is much better than SGD, gradient noise has heavy "
    "tails, and along Adam's path condition number and directional smoothness are smaller; more so "
    "with heavy-tailed data.",
    parts=[
        CONSTRUCTION,
        Part(
            name="training",
            kind="QUALITY",
            arms=[f"{optimizer}, {data}" for data in DATA for optimizer in ("SGD", "Adam")],
            measure=train,
            sizes={
                "smoke": {"steps": 8, "looks": 4},
                "cpu": {"steps": 2000, "looks": 25},
                "gpu": {"steps": 20_000, "looks": 200},
            },
            rates=(3e-3, 1e-2, 3e-2, 1e-1),
            chosen_by="loss",
            tuning_seeds=TUNING_SEEDS[:1],
            noise_of="loss",
            checks=[
                Factor(
                    claim=f"{data}: {claim}", arm=f"Adam, {data}", to=f"SGD, {data}", figure=figure
                )
                for data in DATA
                for claim, figure in (
                    ("a lower loss", "loss"),
                    ("conditioned", "condition"),
                    ("smoother", "smoothness"),
                )
            ],
        ),
        Part(
            name="noise",
            kind="QUALITY",
            arms=["digits", *DATA],
            measure=noise,
            sizes={"smoke": {"count": 2000}, "cpu": {"count": 20_000}, "gpu": {"count": 20_000}},
            checks=[
                Less(claim="heavier than of digits", arm="normal", than="digits", figure="index"),
                Less(claim="heavier with the data", arm="heavy", than="normal", figure="index"),
            ],
        ),
    ],
    panels=[
        Lines(
            part="training",
            x="step",
            y="losses",
            x_label="steps",
            y_label="median squared error by that of 0",
            log=("y",),
        ),
        Bars(part="noise", figure="index", label="index of the noise's tail (less is heavier)"),
    ],
    bounds="The paper's data and sizes (3 layers, 5 features, 20 examples), but 2,000 steps of 64 "
    "prompts instead of 10,000 of 1,000, and P and Q are trained whole; the authors' code holds "
    "their last row and column. The mean of held-out losses is that of a few prompts: in pilots "
    "it differed by factors of 1,000 between seeds. So the figure is the median over prompts of "
    "(error / label)^2. Smoothness is compared by its absolute value, which differs by factors of "
    "1,000 between seeds with heavy data. The control is an MLP on digits instead of a "
    "convolutional network. The tail of the noise depends on where it is measured: from a start "
    "of standard deviation 0.1 the data changed it little in pilots; here the start is 0.02, and "
    "the tail the 100 largest of 20,000.",
    expects="Adam lower by 10 times with heavy tails, by less with normal data; all signs as "
    "claimed.",
    seeds={"smoke": 1, "cpu": 10, "gpu": 10},
)
