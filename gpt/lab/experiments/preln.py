"""Where normalization is placed: gradients at initialization, and whether warm-up is needed."""

from __future__ import annotations

import torch
from torch import nn

from gpt.data.batch import Batch
from gpt.lab.checks import Grows, Less, NotWorse
from gpt.lab.experiment import Bars, Experiment, Figures, Lines, Part, Setting, Source
from gpt.lab.training import BITS, Run, Training, training_part
from gpt.model.gpt import GPT
from gpt.model.objectives.next_token import CrossEntropy
from gpt.spec import objective
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.norm import LayerNorm
from gpt.spec.schedule import Cosine
from gpt.spec.wiring import PostNorm, PreNorm

WIRINGS: dict[str, PostNorm | PreNorm] = {"post": PostNorm(), "pre": PreNorm()}
VOCAB = 512
WARMUP = 0.1


def model(setting: Setting, layers: int | None = None) -> Architecture:
    """Return the model of an arm, which begins with its wiring, of *layers* layers."""
    return Architecture(
        context=setting.size["context"],
        layers=layers or setting.size["layers"],
        width=setting.size["width"],
        attention=GroupedQuery(heads=4, kv_heads=4),
        norm=LayerNorm(),
        wiring=WIRINGS[setting.arm.partition(",")[0]],
    )


def gradients(setting: Setting) -> Figures:
    """Compute the gradient norm of the last MLP at initialization, for each depth.

    Matrices are drawn as in the paper (Glorot 2010), since the trainer's branches are zero at
    first.
    """
    depths = setting.size["depths"]
    norms = []
    for layers in depths:
        gpt = GPT(GPTConfig.over(model(setting, layers), VOCAB), setting.seed)
        generator = torch.Generator().manual_seed(setting.seed)
        for module in gpt.blocks.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
        ids = torch.randint(VOCAB, (8, setting.size["context"] + 1), generator=generator)
        batch = Batch(inputs=ids[:, :-1], targets=ids[:, 1:])
        loss = gpt(batch, CrossEntropy(objective.CrossEntropy())).sum / batch.num_targets
        weight = gpt.get_parameter(f"blocks.{layers - 1}.mlp.output.weight")
        (gradient,) = torch.autograd.grad(loss, weight)
        norms.append(gradient.norm().item())
    return {"layers": [float(depth) for depth in depths], "gradient": norms}


def how(setting: Setting) -> Run:
    """Return how an arm is trained: with or without warm-up."""
    warmup = WARMUP if setting.arm.endswith("warm-up") else 0.0
    return Run(steps=setting.size["steps"], schedule=Cosine(warmup=warmup, floor=0.1))


EXPERIMENT = Experiment(
    id="preln",
    question="Do gradients at initialization say which placement of the norm needs warm-up?",
    source=Source(
        paper="Xiong 2020, On Layer Normalization in the Transformer Architecture",
        link="arXiv:2002.04745",
        where="theorem 1; sections 3.3 and 4",
    ),
    claim="With post-norm the gradient of the last MLP does not depend on the number of layers L, "
    "with pre-norm it falls as L^-0.5; pre-norm without warm-up is as good as post-norm with it.",
    parts=[
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
                    claim="the gradient of pre-norm falls as L^-0.5",
                    arm="pre",
                    x="layers",
                    y="gradient",
                    between=(-0.65, -0.35),
                ),
                Grows(
                    claim="the gradient of post-norm does not depend on L",
                    arm="post",
                    x="layers",
                    y="gradient",
                    between=(-0.15, 0.15),
                ),
            ],
        ),
        training_part(
            arms=["post, warm-up", "post, none", "pre, warm-up", "pre, none"],
            training=Training(model=model, how=how),
            sizes={
                "smoke": {"context": 16, "width": 32, "layers": 2, "steps": 3},
                "cpu": {"context": 64, "width": 64, "layers": 8, "steps": 300},
                "gpu": {"context": 512, "width": 768, "layers": 24, "steps": 10_000},
            },
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
        Bars(part="loss", figure=BITS, label="bits per byte, held out"),
    ],
    bounds="The paper trains translation, with 6 layers of width 512, and BERT; here 8 layers of "
    "width 64 predict a small text for 300 steps. Each arm has its own best learning rate, so a "
    "model that only a low rate keeps from diverging is not counted as failed.",
    expects="Exponents as claimed; post-norm without warm-up clearly worse.",
)
