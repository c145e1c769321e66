"""Activations that are computed again instead of kept: gradients, memory and time."""

from __future__ import annotations

import dataclasses
import statistics

import torch

from gpt.data.batch import Batch
from gpt.lab.apparatus.probes import random_ids, random_model
from gpt.lab.apparatus.steps import model_of, recipe_for, step_of
from gpt.lab.checks import Above, Equal, Ratio
from gpt.lab.experiment import Bars, Experiment, Figures, Lines, Part, Setting, Sizes, Source
from gpt.model.objectives.next_token import CrossEntropy
from gpt.spec import objective
from gpt.training.memory import LiveTensors

ARMS = ("kept", "recomputed")
VOCAB = 64


def backward(setting: Setting, layers: int) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Return the gradients of a random model in float64, and what they took.

    ``computed`` is how often a block is computed; ``left`` are the bytes that the forward pass
    leaves for the backward pass, and ``peak`` those at its peak, gradients included.
    """
    gpt = random_model(model_of(setting, layers), VOCAB, setting.seed).train()
    gpt.recompute = setting.arm == "recomputed"
    computed: list[object] = []
    for block in gpt.blocks:
        block.register_forward_pre_hook(lambda block, inputs: computed.append(block))
    ids = random_ids(gpt, setting.size["rows"], gpt.config.context + 1)
    batch = Batch(inputs=ids[:, :-1], targets=ids[:, 1:])
    with LiveTensors([*gpt.parameters(), *gpt.buffers()]) as live:
        before = live.bytes
        loss = gpt(batch, CrossEntropy(objective.CrossEntropy())).sum / batch.num_targets
        left = live.bytes - before
        loss.backward()
        peak = live.peak - before
    found = {name: each.grad for name, each in gpt.named_parameters() if each.grad is not None}
    return found, {
        "computed": len(computed) / layers,
        "left": float(left),
        "peak": float(peak),
    }


def exact(setting: Setting) -> Figures:
    """Compare gradients with those of activations that are kept, and bytes of several depths."""
    depths = setting.size["depths"]
    ours, figures = backward(setting, depths[-1])
    plain, reference = backward(dataclasses.replace(setting, arm=ARMS[0]), depths[-1])
    differences = [float((ours[name] - plain[name]).abs().max()) for name in plain]
    left = [backward(setting, layers)[1]["left"] for layers in depths]
    stream = setting.size["rows"] * setting.size["context"] * setting.size["width"] * 8
    return {
        **figures,
        "difference": max(differences),
        "layers": [float(layers) for layers in depths],
        "megabytes": [each / 1e6 for each in left],
        "streams": (left[-1] - left[-2]) / (depths[-1] - depths[-2]) / stream,
        "less peak": 100 * (1 - figures["peak"] / reference["peak"]),
    }


def seconds(setting: Setting) -> Figures:
    """Time optimizer steps."""
    recipe = recipe_for(setting, recompute=setting.arm == "recomputed")
    found = step_of(recipe).time(setting.size["rounds"])
    return {"seconds": found, "median": statistics.median(found)}


SMALL = {"context": 64, "width": 32, "rows": 8, "depths": (1, 2, 4, 8)}
SIZES: Sizes = {"smoke": SMALL, "cpu": SMALL, "gpu": SMALL}

EXPERIMENT = Experiment(
    id="checkpointing",
    question="What does computing activations again save, and what does it cost?",
    source=Source(
        paper="Chen 2016, Training Deep Nets with Sublinear Memory Cost; Unsloth's notebooks",
        link="arXiv:1604.06174",
        where="sections 4 and 5.3: 30% more time; https://github.com/unslothai/notebooks: '30% "
        "less VRAM, fits 2x larger batch sizes'",
    ),
    claim="Gradients are the same; memory for activations grows with the number of blocks only by "
    "what enters each; one more forward pass makes a step about 30% slower.",
    parts=[
        Part(
            name="backward",
            kind="EXACT",
            arms=ARMS,
            measure=exact,
            sizes=SIZES,
            checks=[
                Equal(
                    claim="gradients are the same, bit for bit",
                    arm="recomputed",
                    figure="difference",
                    value=0.0,
                ),
                Equal(
                    claim="each block is computed twice",
                    arm="recomputed",
                    figure="computed",
                    value=2.0,
                ),
                Equal(claim="without, it is once", arm="kept", figure="computed", value=1.0),
                Equal(
                    claim="a block more leaves its input for the backward pass, nothing else",
                    arm="recomputed",
                    figure="streams",
                    value=1.0,
                ),
                Above(
                    claim="without, it leaves ten times as much, at least",
                    arm="kept",
                    figure="streams",
                    bound=10.0,
                ),
                Above(
                    claim="the peak of activations and gradients is lower by 30%, at least",
                    arm="recomputed",
                    figure="less peak",
                    bound=30.0,
                ),
            ],
        ),
        Part(
            name="time",
            kind="SPEED",
            arms=ARMS,
            measure=seconds,
            sizes={
                "smoke": {"context": 32, "width": 32, "rows": 2, "layers": 2, "rounds": 2},
                "cpu": {"context": 128, "width": 128, "rows": 8, "layers": 8, "rounds": 25},
                "gpu": {"context": 1024, "width": 768, "rows": 16, "layers": 12, "rounds": 50},
            },
            checks=[
                Ratio(
                    claim="a step takes 30% more time",
                    arm="recomputed",
                    to="kept",
                    figure="seconds",
                    between=(1.2, 1.4),
                    below=False,
                ),
            ],
        ),
    ],
    panels=[
        Lines(
            part="backward",
            x="layers",
            y="megabytes",
            x_label="blocks",
            y_label="MB left for the backward pass",
            log=("x", "y"),
        ),
        Bars(part="time", figure="median", label="seconds of a step, median"),
    ],
    bounds="Every block is a segment, so memory still grows with depth, by one vector a token; "
    "Chen's segments of the root of the depth save more. Unsloth's 30% is against another kind of "
    "recomputation, and of all memory of a GPU; here it is of activations and gradients of a small "
    "model with many rows. A step is a forward pass, a backward pass of twice its work, and the "
    "update, so a forward pass more is a third at most.",
    expects="Exact as claimed; 25 to 33% more time.",
)
