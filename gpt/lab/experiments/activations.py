"""Activations: their formulas, what many layers of them do to a signal, and MLPs with them."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from gpt.lab.apparatus.activations import VALUES, function_of
from gpt.lab.apparatus.texts import english_shards
from gpt.lab.apparatus.training import BITS, Training, rows_of, small_model, training_part
from gpt.lab.checks import Above, Below, Greater, Less, NotWorse
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Lines, Part, Setting, Source
from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture
from gpt.spec.mlp import MLP, Activation

VOCAB, LAYERS = 512, 50
ARMS = ["relu", "relu2", "leaky_relu", "gelu", "silu", "selu", "tanh", "sigmoid", "identity"]


def depth(setting: Setting) -> Figures:
    """Send inputs that are not normalized through 50 layers of LeCun's weights."""
    width, function = setting.size["width"], function_of(setting.arm)
    generator = torch.Generator().manual_seed(setting.seed)
    x = 0.1 + 1.5 * torch.randn(512, width, generator=generator)
    variances = [float(x.var())]
    for _ in range(LAYERS):
        x = function(x @ torch.randn(width, width, generator=generator) * width**-0.5)
        variances.append(float(x.var()))
    return {
        "layer": [float(layer) for layer in range(LAYERS + 1)],
        "variance": variances,
        "last": variances[-1],
        "mean": abs(float(x.mean())),
    }


def model(setting: Setting) -> Architecture:
    """Return the model of an arm."""
    return small_model(setting, mlp=MLP(activation=cast(Activation, setting.arm)))


def dead(setting: Setting, gpt: GPT | None) -> Figures:
    """Count hidden units with a derivative of 0 for each of 2,048 held-out tokens, in percent."""
    if gpt is None:
        return {"dead": math.nan}
    hidden: list[Tensor] = []
    for layer in range(len(gpt.blocks)):
        linear = gpt.get_submodule(f"blocks.{layer}.mlp.input")
        linear.register_forward_hook(lambda module, inputs, y: hidden.append(y.detach()))
    with torch.no_grad():
        gpt(rows_of(gpt, english_shards(VOCAB), "val", 2048 // gpt.context).inputs)
    x = torch.stack(hidden).flatten(1, 2).requires_grad_()
    (derivative,) = torch.autograd.grad(function_of(setting.arm)(x).sum(), x)
    return {"dead": 100 * float((derivative == 0).all(1).float().mean())}


EXPERIMENT = Experiment(
    id="activations",
    question="Which activations keep a signal alive, and which make better models?",
    source=Source(
        paper="Klambauer 2017, Self-Normalizing Neural Networks",
        link="arXiv:1706.02515",
        where="theorem 1 and 2: mean in -0.1 to 0.1 and variance in 0.8 to 1.5. Hendrycks 2016, "
        "arXiv:1606.08415, for GELU; So 2021, arXiv:2109.08668, section 4, for squared ReLU",
    ),
    claim="SELU draws mean and variance of each layer to 0 and 1, whatever they were; GELU, Swish "
    "and squared ReLU train better models than ReLU, whose units can die.",
    parts=[
        VALUES,
        Part(
            name="depth",
            kind="EXACT",
            arms=["selu", "elu", "tanh", "silu", "relu"],
            measure=depth,
            sizes={"smoke": {"width": 256}, "cpu": {"width": 512}, "gpu": {"width": 4096}},
            checks=[
                Below(claim="selu: mean after 50 layers", arm="selu", figure="mean", bound=0.1),
                Above(claim="selu: variance, at least 0.8", arm="selu", figure="last", bound=0.8),
                Below(claim="selu: variance, at most 1.5", arm="selu", figure="last", bound=1.5),
                Below(claim="tanh: variance, vanishing", arm="tanh", figure="last", bound=0.1),
                Below(claim="relu: variance, vanishing", arm="relu", figure="last", bound=1e-10),
            ],
        ),
        training_part(
            arms=ARMS,
            training=Training(model=model, also=dead),
            sizes={
                "smoke": {"context": 16, "layers": 1, "width": 32, "steps": 3},
                "cpu": {"context": 64, "layers": 2, "width": 64, "steps": 200},
                "gpu": {"context": 512, "layers": 12, "width": 768, "steps": 20_000},
            },
            rates=(3e-3, 1e-2, 3e-2),
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                *(
                    Less(claim=f"{arm} is better than relu", arm=arm, than="relu", figure=BITS)
                    for arm in ("relu2", "gelu", "silu")
                ),
                NotWorse(
                    claim="leaky_relu is as good as relu",
                    arm="leaky_relu",
                    than="relu",
                    figure=BITS,
                    margin=0.02,
                ),
                *(
                    Less(claim=f"relu is better than {arm}", arm="relu", than=arm, figure=BITS)
                    for arm in ("sigmoid", "identity")
                ),
                Greater(
                    claim="relu has dead units, leaky_relu has none (percent)",
                    arm="relu",
                    than="leaky_relu",
                    figure="dead",
                ),
            ],
        ),
    ],
    panels=[
        Lines(
            part="values",
            arms=["relu", "gelu", "silu", "selu", "tanh"],
            x="x",
            y="y",
            x_label="x",
            y_label="f(x)",
        ),
        Lines(
            part="depth",
            x="layer",
            y="variance",
            x_label="layer",
            y_label="variance of its outputs",
            log=("y",),
        ),
        Bars(part="loss", figure=BITS, label="bits per byte, held out"),
    ],
    bounds="50 layers of 512 units have weights of variance 1 / inputs for all activations, which "
    "is what SELU asks for; ReLU has a variance of its own, 2 / inputs (He 2015). The MLPs have "
    "equal widths, so equal parameters. Two layers of width 64 and 200 steps are few: seeds of "
    "ReLU, leaky ReLU and GELU differ by up to 0.25 bits, more than most of the means, and few "
    "units die.",
    expects="All equalities. Squared ReLU, GELU and Swish better than ReLU by 0.005 to 0.02 bits, "
    "sigmoid and identity clearly worse; hardly any dead units.",
)
