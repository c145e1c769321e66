"""Where normalization is placed: gradients at initialization, and whether warm-up is needed."""

from __future__ import annotations

from typing import Any

import torch

from gpt.lab.apparatus.onebatch import mean_loss
from gpt.lab.apparatus.oracles import torch_hidden
from gpt.lab.apparatus.probes import random_ids, random_model
from gpt.lab.apparatus.training import BITS, RateGrid, Run, Training, causality, glorot, small_model
from gpt.lab.checks import Below, Greater, Grows, Less, NotWorse, Within
from gpt.lab.experiment import Experiment, Figures, Lines, Part, Setting, Source
from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm
from gpt.spec.schedule import Cosine
from gpt.spec.wiring import PostNorm, PreNorm

VOCAB = 512
RATES = (1e-3, 2e-3, 4e-3, 8e-3)
SMALL = {"context": 16, "width": 32, "layers": 2}
UNIGRAM = 3.35
"""Bits per byte that a run must reach: frequencies of tokens alone have 3.41."""


def model(setting: Setting, **fields: Any) -> Architecture:
    """Return the model of an arm, which begins with its wiring."""
    wiring = PreNorm() if setting.arm.startswith("pre") else PostNorm()
    return small_model(
        setting, mlp=MLP(activation="relu"), norm=LayerNorm(), wiring=wiring, **fields
    )


def definition(setting: Setting) -> Figures:
    """Compare the stream after all blocks with that of torch's own layers, in float64."""
    gpt = random_model(model(setting, position=None, bias=True), VOCAB, setting.seed)
    ids = random_ids(gpt, 2, setting.size["context"])
    plain = torch_hidden(gpt, ids, norm_first=setting.arm == "pre")
    return {"error": (gpt.hidden(ids)[0] - plain).abs().max().item()}


def gradients(setting: Setting) -> Figures:
    """Compute the gradient norm of the last MLP at initialization, for each depth."""
    norms = []
    for layers in setting.size["depths"]:
        gpt = GPT(GPTConfig.over(model(setting, layers=layers), VOCAB), setting.seed)
        glorot(gpt, setting.seed)
        ids = random_ids(gpt, 8, setting.size["context"] + 1)
        loss = mean_loss(gpt(ids[:, :-1]), ids[:, 1:])
        weight = gpt.get_parameter(f"blocks.{layers - 1}.mlp.output.weight")
        (gradient,) = torch.autograd.grad(loss, weight)
        norms.append(gradient.norm().item())
    return {"layers": [float(layers) for layers in setting.size["depths"]], "gradient": norms}


def how(setting: Setting) -> Run:
    """Return how an arm is trained: with or without warm-up."""
    schedule = Cosine(warmup=0.1 if setting.arm.endswith("warm-up") else 0.0, floor=0.1)
    return Run(
        steps=setting.size["steps"], schedule=schedule, device=setting.device, initialize=glorot
    )


GRID = RateGrid(training=Training(model=model, how=how), worst=UNIGRAM)

EXPERIMENT = Experiment(
    id="preln",
    question="Do gradients at initialization say which position of the norm needs warm-up?",
    source=Source(
        paper="Xiong 2020, On Layer Normalization in the Transformer Architecture",
        link="arXiv:2002.04745",
        where="theorem 1; sections 3.3 and 4, figures 2 and 5",
    ),
    claim="With post-norm the gradient of the last MLP does not depend on the number of layers L, "
    "with pre-norm it falls as L^-0.5; pre-norm without warm-up is as good as post-norm with it, "
    "and post-norm without it fails.",
    parts=[
        Part(
            name="wiring",
            kind="EXACT",
            arms=["post", "pre"],
            measure=definition,
            sizes={"smoke": SMALL, "cpu": SMALL, "gpu": SMALL},
            checks=[Below(claim="layers equal those of torch.nn", figure="error", bound=1e-10)],
        ),
        Part(
            name="gradient",
            kind="QUALITY",
            arms=["post", "pre"],
            measure=gradients,
            sizes={
                "smoke": {"context": 16, "width": 32, "depths": (2, 4, 8)},
                "cpu": {"context": 64, "width": 64, "depths": (2, 4, 6, 8, 12, 16, 24)},
                "gpu": {"context": 512, "width": 512, "depths": (2, 4, 6, 8, 12, 16, 24, 48)},
            },
            checks=[
                Grows(claim=claim, arm=arm, x="layers", y="gradient", between=between)
                for arm, between, claim in (
                    ("pre", (-0.65, -0.35), "the gradient of pre-norm falls as L^-0.5"),
                    ("post", (-0.15, 0.15), "that of post-norm does not depend on L"),
                )
            ],
        ),
        Part(
            name="grid",
            kind="QUALITY",
            arms=["post, warm-up", "post", "pre, warm-up", "pre"],
            measure=GRID,
            sizes={
                "smoke": {**SMALL, "steps": 3, "rates": (1e-3,)},
                "cpu": {"context": 32, "width": 64, "layers": 4, "steps": 250, "rates": RATES},
                "gpu": {"context": 512, "width": 768, "layers": 24, "steps": 2500, "rates": RATES},
            },
            cost=GRID.cost,
            checks=[
                NotWorse(
                    claim="pre-norm without warm-up is as good as post-norm with it",
                    arm="pre",
                    than="post, warm-up",
                    figure=BITS,
                    margin=0.02,
                ),
                Less(
                    claim="and better than post-norm without", arm="pre", than="post", figure=BITS
                ),
                Within(claim="pre-norm fails at no rate", arm="pre", figure="failed", high=0.0),
                Greater(
                    claim="post-norm fails at more rates without warm-up than with it",
                    arm="post",
                    than="post, warm-up",
                    figure="failed",
                ),
                *causality([""]),
            ],
        ),
    ],
    panels=[
        Lines(
            part="gradient",
            x="layers",
            y="gradient",
            x_label="layers",
            y_label="gradient norm of the last MLP",
            log=("x", "y"),
        ),
        Lines(
            part="grid",
            x="rates",
            y="bits",
            x_label="learning rate",
            y_label="bits per byte, held out",
            log=["x"],
        ),
    ],
    bounds="The paper trains translation, with 6 layers of width 512, and BERT; here 4 layers of "
    "width 64 predict a small text for 250 steps, and warm-up does not change at which rates "
    "post-norm fails. A run has failed if it is no better than frequencies of tokens. Each arm "
    "has the rate of its smallest training loss. With 6 layers post-norm failed from a rate of "
    "0.002 on, with and without warm-up, so 4 were taken; with the trainer's branches, zero at "
    "first, it needed none.",
    expects="Exponents as claimed; post-norm without warm-up clearly worse, and failing at the "
    "highest rates only.",
)
