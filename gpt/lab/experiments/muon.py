"""Muon against AdamW at three batch sizes: steps and tokens to the same loss."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gpt.lab.apparatus.training import DIVERGED, Run, Training, small_model, training_part
from gpt.lab.checks import Below, Factor, Less
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Lines, Part, Setting, Source
from gpt.optim.build import build_optimizer
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.schedule import Linear

ROWS = (8, 16, 32)
SMOKE = {"context": 16, "layers": 1, "width": 32, "steps": 8, "target": 6.3}
CPU = {"context": 32, "layers": 2, "width": 96, "steps": 250, "target": 4.0}
GPU = {"context": 512, "layers": 12, "width": 768, "steps": 3000, "target": 2.0}
"""The target is a training loss in nats per token; frequencies of tokens alone have 5.3."""


def optimizer(name: str, rate: float) -> AdamW | Muon:
    """Return an optimizer; Muon's rates of other weights are as many times *rate* as by default."""
    if name == "AdamW":
        return AdamW(lr=rate)
    usual = Muon()
    times = rate / usual.lr
    return Muon(lr=rate, embedding_lr=usual.embedding_lr * times, scale_lr=usual.scale_lr * times)


def polynomial(gradient: Tensor) -> Tensor:
    """Return U s(Σ) Vᵀ, s being Jordan's quintic, five times, of Σ divided by its norm."""
    u, s, v = torch.linalg.svd(gradient, full_matrices=False)
    s = s / s.square().sum().sqrt()
    for _ in range(5):
        s = 3.4445 * s - 4.775 * s**3 + 2.0315 * s**5
    orthogonal: Tensor = u @ torch.diag(s) @ v
    return orthogonal


def definition(setting: Setting) -> Figures:
    """Compare two steps of a matrix (rows, columns) with the formula of its optimizer."""
    rows, columns = 24, 8
    generator = torch.Generator().manual_seed(setting.seed)
    linear = nn.Linear(columns, rows, bias=False, dtype=torch.float64)
    w = linear.weight.detach().clone()
    spec = optimizer(setting.arm, 0.01)
    ours = build_optimizer(spec, linear, torch.float64)
    first = second = torch.zeros_like(w)
    for step in (1, 2):
        g = torch.randn(rows, columns, dtype=w.dtype, generator=generator)
        linear.weight.grad = g
        ours.step()
        if setting.arm == "Muon":
            first = 0.9 * first + 0.1 * g
            nesterov = 0.9 * first + 0.1 * g
            w = w - 0.01 * math.sqrt(max(1, rows / columns)) * polynomial(nesterov)
        else:
            first, second = 0.9 * first + 0.1 * g, 0.95 * second + 0.05 * g**2
            moments = first / (1 - 0.9**step), (second / (1 - 0.95**step)).sqrt()
            w = (1 - 0.01 * 0.1) * w - 0.01 * moments[0] / (moments[1] + 1e-8)
    return {"error": float((linear.weight.detach() - w).abs().max())}


def how(setting: Setting) -> Run:
    """Return how an arm is trained: at a rate that stays constant, so that each step counts."""
    name, _, rows = setting.arm.partition(", ")
    return Run(
        steps=setting.size["steps"],
        rows=int(rows),
        optimizer=optimizer(name, setting.rate or 1.0),
        schedule=Linear(warmup=0.05, decay=0.0),
        device=setting.device,
    )


TRAINING = Training(model=small_model, how=how)


def trial(setting: Setting) -> Figures:
    """Train an arm; read its loss after equal steps and tokens, and when it is the target."""
    found: Any = TRAINING(setting)
    steps, losses = found["steps"] or [0.0], found["losses"] or [DIVERGED]
    equal = setting.size["steps"] * ROWS[0] / int(setting.arm.partition(", ")[2])
    least = np.minimum.accumulate(losses)  # falls, so that it can be inverted
    to_target = np.interp(-setting.size["target"], -least, steps, right=math.inf)
    return {
        **found,
        "equal steps": losses[-1],
        "equal tokens": float(np.interp(equal, steps, losses)),
        "to target": float(to_target),
    }


EXPERIMENT = Experiment(
    id="muon",
    question="Does Muon need fewer steps than AdamW, and does the batch size matter?",
    source=Source(
        paper="Jordan 2024, Muon: An optimizer for hidden layers in neural networks",
        link="https://kellerjordan.github.io/posts/muon",
        where="section Results: 1.35 times faster to the same loss; for batch sizes Shah 2025, "
        "arXiv:2505.02222",
    ),
    claim="Muon reaches the same loss in 1.35 times less training than AdamW, and keeps its "
    "advantage at large batches.",
    parts=[
        Part(
            name="definition",
            kind="EXACT",
            arms=["AdamW", "Muon"],
            measure=definition,
            sizes={"smoke": {}, "cpu": {}, "gpu": {}},
            checks=[Below(claim="two steps equal the formula", figure="error", bound=1e-7)],
        ),
        dataclasses.replace(
            training_part(
                arms=[f"{name}, {rows}" for rows in ROWS for name in ("AdamW", "Muon")],
                training=TRAINING,
                sizes={"smoke": SMOKE, "cpu": CPU, "gpu": GPU},
                rates=(1e-3, 3e-3, 1e-2, 3e-2),
                tuning_seeds=TUNING_SEEDS[:1],
                checks=[
                    *(
                        Less(
                            claim=f"Muon is better after {equal}, with {rows} rows",
                            arm=f"Muon, {rows}",
                            than=f"AdamW, {rows}",
                            figure=equal,
                        )
                        for rows in ROWS
                        for equal in ("equal steps", "equal tokens")
                    ),
                    *(
                        Factor(
                            claim=f"Muon needs 1 / 1.35 of the steps, with {rows} rows",
                            arm=f"Muon, {rows}",
                            to=f"AdamW, {rows}",
                            figure="to target",
                            between=(0.65, 0.85),
                        )
                        for rows in ROWS
                    ),
                ],
            ),
            measure=trial,
        ),
    ],
    panels=[
        Bars(part="loss", figure="to target", label="steps to the target loss"),
        Lines(
            part="loss",
            x="steps",
            y="losses",
            x_label="step",
            y_label="training loss, nats per token",
        ),
    ],
    bounds="A model of 270,000 parameters for 250 steps of 256 to 1,024 tokens, at a constant rate "
    "after warm-up; the speedrun has 124 million, and batches of half a million tokens. Embeddings "
    "are trained by AdamW in both arms, at twice the rate with Muon. Steps to the target are read "
    "between means of 7 steps; it was chosen on one seed so that all reach it.",
    expects="Fewer steps with Muon, by a factor of 1.2 to 2, at all batch sizes.",
)
