"""Where normalization is placed: gradients at initialization, and whether warm-up is needed."""

from __future__ import annotations

import dataclasses
import statistics
from typing import Any

import torch

from gpt.data.batch import Batch
from gpt.lab.apparatus.oracles import torch_hidden
from gpt.lab.apparatus.probes import leak, random_ids, random_model
from gpt.lab.apparatus.training import (
    BITS,
    DIVERGED,
    LEAK,
    ROUNDING,
    Run,
    Training,
    glorot,
    trained,
)
from gpt.lab.checks import Below, Greater, Grows, Less, NotWorse, Within
from gpt.lab.experiment import Cost, Experiment, Figures, Lines, Part, Setting, Source
from gpt.model.gpt import GPT
from gpt.model.objectives.next_token import CrossEntropy
from gpt.spec import objective
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm
from gpt.spec.schedule import Cosine
from gpt.spec.wiring import PostNorm, PreNorm

WIRINGS: dict[str, PostNorm | PreNorm] = {"post": PostNorm(), "pre": PreNorm()}
HEADS, VOCAB, WARMUP = 4, 512, 0.1
UNIGRAM = 3.35
"""Bits per byte that a run must reach: frequencies of tokens alone have 3.41."""


def model(setting: Setting, layers: int | None = None) -> Architecture:
    """Return the model of an arm, which begins with its wiring, of *layers* layers."""
    return Architecture(
        context=setting.size["context"],
        layers=layers or setting.size["layers"],
        width=setting.size["width"],
        attention=GroupedQuery(heads=HEADS, kv_heads=HEADS),
        mlp=MLP(activation="relu"),
        norm=LayerNorm(),
        wiring=WIRINGS[setting.arm.partition(",")[0]],
    )


def wiring(setting: Setting) -> Figures:
    """Compare the stream after all blocks with that of torch's own layers, in float64."""
    architecture = dataclasses.replace(model(setting), position=None, bias=True)
    gpt = random_model(architecture, VOCAB, setting.seed)
    ids = random_ids(gpt, 2, architecture.context)
    plain = torch_hidden(gpt, ids, norm_first=setting.arm == "pre")
    return {"error": (gpt.hidden(ids)[0] - plain).abs().max().item()}


def gradients(setting: Setting) -> Figures:
    """Compute the gradient norm of the last MLP at initialization, for each depth."""
    depths = setting.size["depths"]
    norms = []
    for layers in depths:
        gpt = GPT(GPTConfig.over(model(setting, layers), VOCAB), setting.seed)
        glorot(gpt, setting.seed)
        ids = random_ids(gpt, 8, setting.size["context"] + 1)
        batch = Batch(inputs=ids[:, :-1], targets=ids[:, 1:])
        loss = gpt(batch, CrossEntropy(objective.CrossEntropy())).sum / batch.num_targets
        weight = gpt.get_parameter(f"blocks.{layers - 1}.mlp.output.weight")
        (gradient,) = torch.autograd.grad(loss, weight)
        norms.append(gradient.norm().item())
    return {"layers": [float(depth) for depth in depths], "gradient": norms}


def how(setting: Setting) -> Run:
    """Return how an arm is trained: with or without warm-up."""
    warmup = WARMUP if setting.arm.endswith("warm-up") else 0.0
    return Run(
        steps=setting.size["steps"],
        schedule=Cosine(warmup=warmup, floor=0.1),
        device=setting.device,
        initialize=glorot,
    )


def grid(setting: Setting) -> Figures:
    """Train an arm at each learning rate; the best one is that of the smallest training loss."""
    rates, each = setting.size["rates"], (model(setting), how(setting))
    runs = [trained(*each, seed=setting.seed, rate=rate) for rate in rates]
    bits = [DIVERGED if run is None else run.bits_per_byte for run in runs]
    losses = [DIVERGED if run is None else statistics.fmean(run.losses[-25:]) for run in runs]
    return {
        BITS: bits[losses.index(min(losses))],
        LEAK: max((leak(run.model) for run in runs if run), default=0.0),
        "failed": sum(each > UNIGRAM for each in bits) / len(bits),
        "rates": list(rates),
        "bits": bits,
    }


def cost(setting: Setting) -> Cost:
    """Return what the trainings of the grid cost."""
    one = Training(model=model, how=how).cost(setting)
    return dataclasses.replace(one, flops=one.flops * len(setting.size["rates"]))


SERIES: Any = {"x": "layers", "y": "gradient"}
RATES = (1e-3, 2e-3, 4e-3, 8e-3)
SMALL = {"context": 16, "width": 32, "layers": 2}
ARMS = ["post, warm-up", "post, none", "pre, warm-up", "pre, none"]

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
            measure=wiring,
            sizes=dict.fromkeys(("smoke", "cpu", "gpu"), SMALL),
            checks=[
                Below(claim="layers equal those of torch.nn", figure="error", bound=1e-10),
            ],
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
                Grows(
                    claim=f"the gradient of {arm}-norm {claim}", arm=arm, between=between, **SERIES
                )
                for arm, claim, between in (
                    ("pre", "falls as L^-0.5", (-0.65, -0.35)),
                    ("post", "does not depend on L", (-0.15, 0.15)),
                )
            ],
        ),
        Part(
            name="grid",
            kind="QUALITY",
            arms=ARMS,
            measure=grid,
            sizes={
                "smoke": {**SMALL, "steps": 3, "rates": (1e-3,)},
                "cpu": {"context": 32, "width": 64, "layers": 4, "steps": 250, "rates": RATES},
                "gpu": {"context": 512, "width": 768, "layers": 24, "steps": 2500, "rates": RATES},
            },
            cost=cost,
            checks=[
                NotWorse(
                    claim="pre-norm without warm-up is as good as post-norm with it",
                    arm="pre, none",
                    than="post, warm-up",
                    figure=BITS,
                    margin=0.02,
                ),
                Less(
                    claim="pre-norm without warm-up is better than post-norm without it",
                    arm="pre, none",
                    than="post, none",
                    figure=BITS,
                ),
                Within(
                    claim="pre-norm without warm-up fails at no rate",
                    arm="pre, none",
                    figure="failed",
                    high=0.0,
                ),
                Greater(
                    claim="post-norm fails at more rates without warm-up than with it",
                    arm="post, none",
                    than="post, warm-up",
                    figure="failed",
                ),
                Below(claim="no arm sees later tokens", figure=LEAK, bound=ROUNDING),
            ],
        ),
    ],
    panels=[
        Lines(
            part="gradient",
            **SERIES,
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
            log=("x",),
        ),
    ],
    bounds="The paper trains translation, with 6 layers of width 512, and BERT; here 4 layers of "
    "width 64 predict a small text for 250 steps, of which warm-up is 25. A run has failed if it "
    "is no better than frequencies of tokens. Each arm has the rate of its smallest training loss. "
    "With 6 layers post-norm stayed there from a rate of 0.002 on, with warm-up and without, so "
    "4 were taken; and with the trainer's branches, zero at first, it needed no warm-up.",
    expects="Exponents as claimed; post-norm without warm-up clearly worse, and failing at the "
    "highest rates only.",
)
