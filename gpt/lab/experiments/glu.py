"""Gated MLPs against plain ones, at equal parameters."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gpt.lab.apparatus.probes import random_model
from gpt.lab.apparatus.training import BITS, Training, small_model, training_part
from gpt.lab.checks import Below, Less, Ranked
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Part, Setting, Sizes, Source
from gpt.spec.architecture import Architecture
from gpt.spec.mlp import MLP

MLPS = {
    "ReLU": MLP(activation="relu", gated=False),
    "GELU": MLP(activation="gelu", gated=False),
    "Swish": MLP(activation="silu", gated=False),
    "GLU": MLP(activation="sigmoid", gated=True),
    "Bilinear": MLP(activation="identity", gated=True),
    "GEGLU": MLP(activation="gelu", gated=True),
    "SwiGLU": MLP(activation="silu", gated=True),
    "ReGLU": MLP(activation="relu", gated=True),
}
PAPER = {
    "ReLU": 1.677,
    "GELU": 1.679,
    "Swish": 1.683,
    "GLU": 1.663,
    "Bilinear": 1.648,
    "GEGLU": 1.633,
    "SwiGLU": 1.636,
    "ReGLU": 1.645,
}
"""Log-perplexity after 524,288 steps: table 1."""
PLAIN, GATED = ("ReLU", "GELU", "Swish"), ("Bilinear", "GEGLU", "SwiGLU", "ReGLU")


def model(setting: Setting) -> Architecture:
    """Return the model of an arm."""
    return small_model(setting, mlp=MLPS[setting.arm])


TRAINING = Training(model=model)


def hidden(arm: str, x: Tensor, v: Tensor) -> Tensor:
    """Return the hidden layer of equations 1 to 6, of x W and x V."""
    gelu = x * (1 + torch.erf(x / math.sqrt(2))) / 2
    sigmoid = 1 / (1 + torch.exp(-x))
    return {
        "ReLU": x * (x > 0),
        "GELU": gelu,
        "Swish": x * sigmoid,
        "GLU": sigmoid * v,
        "Bilinear": x * v,
        "GEGLU": gelu * v,
        "SwiGLU": x * sigmoid * v,
        "ReGLU": x * (x > 0) * v,
    }[arm]


def definition(setting: Setting) -> Figures:
    """Compare an MLP with its equation, in float64, and its model's parameters with ReLU's."""
    mlp = random_model(model(setting), 64, setting.seed).get_submodule("blocks.0.mlp")
    weights = {name: weight.detach().T for name, weight in mlp.named_parameters()}
    v = weights["input.weight"]
    w = v if setting.arm in PLAIN else weights["gate.weight"]
    generator = torch.Generator().manual_seed(setting.seed + 1)
    x = torch.randn(64, setting.size["width"], dtype=v.dtype, generator=generator)
    plain = hidden(setting.arm, x @ w, x @ v) @ weights["output.weight"]
    ours = TRAINING.cost(setting).parameters
    relu = TRAINING.cost(Setting(arm="ReLU", size=setting.size)).parameters
    return {
        "error": float((mlp(x)[0].detach() - plain).abs().max() / plain.abs().max()),
        "deviation": abs(ours / relu - 1),
    }


SMOKE = {"layers": 1, "width": 96, "context": 16, "steps": 3}
CPU = {"layers": 2, "width": 96, "context": 64, "steps": 250}
GPU = {"layers": 12, "width": 768, "context": 512, "steps": 20_000}
SIZES: Sizes = {"smoke": SMOKE, "cpu": CPU, "gpu": GPU}

EXPERIMENT = Experiment(
    id="glu",
    question="Are gated MLPs better than plain ones with as many parameters?",
    source=Source(
        paper="Shazeer 2020, GLU Variants Improve Transformer",
        link="arXiv:2002.05202",
        where="equations 1 to 6; table 1, log-perplexity at 524,288 steps",
    ),
    claim="At equal parameters the gated variants are better than ReLU, GELU and Swish: GEGLU has "
    "1.633 and SwiGLU 1.636 nats where ReLU has 1.677.",
    parts=[
        Part(
            name="definition",
            kind="EXACT",
            arms=list(MLPS),
            measure=definition,
            sizes=dict.fromkeys(SIZES, SMOKE),
            checks=[
                *(
                    Below(claim=f"{arm} equals its equation", arm=arm, figure="error", bound=1e-12)
                    for arm in MLPS
                ),
                Below(
                    claim="all have as many parameters as ReLU, within 1%",
                    figure="deviation",
                    bound=0.01,
                ),
            ],
        ),
        training_part(
            arms=list(MLPS),
            training=TRAINING,
            sizes=SIZES,
            rates=(3e-3, 6e-3, 1.2e-2),
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                *(
                    Less(claim=f"{arm} is better than ReLU", arm=arm, than="ReLU", figure=BITS)
                    for arm in GATED
                ),
                Ranked(
                    claim="the eight variants are ordered as in table 1",
                    figure=BITS,
                    paper=PAPER,
                    least=0.6,
                ),
            ],
        ),
    ],
    panels=[Bars(part="loss", figure=BITS, label="bits per byte, held out")],
    bounds="The paper trains an encoder-decoder of 220 million parameters to fill spans; here a "
    "decoder of some 270,000 predicts the next token of a small text, for 250 steps.",
    expects="Gated variants better by 0.01 to 0.05 nats, GLU itself perhaps not.",
)
