"""The memory of weights by their bits, of training as estimated, and runs that end at a loss."""

from __future__ import annotations

from gpt.lab.apparatus.quantizing import STORED, weights
from gpt.lab.apparatus.steps import (
    ending,
    overlapping,
    peak_bytes,
    process_peak,
    recipe_for,
    step_of,
)
from gpt.lab.checks import Below, Equal, Within
from gpt.lab.experiment import Bars, Experiment, Figures, Part, Setting, Source
from gpt.spec.optimizer import AdamW, Muon
from gpt.training.memory import estimate_memory

ARMS = ["AdamW", "AdamW, recomputed", "Muon"]


def peak(setting: Setting) -> Figures:
    """Estimate the peak of a training step, then measure it: tensors, and a process."""
    recompute = setting.arm.endswith("recomputed")
    optimizer: AdamW | Muon = Muon() if setting.arm == "Muon" else AdamW()
    recipe = recipe_for(setting, optimizer=optimizer, recompute=recompute)
    estimate = estimate_memory(step_of(recipe), recipe)
    assert estimate is not None
    _, tensors = peak_bytes(step_of(recipe))
    process = process_peak(recipe)
    return {
        "MB": estimate.total / 1e6,
        "tensors": tensors / estimate.total,
        "process": process / estimate.total,
    }


SMALL = {"context": 16, "width": 256, "layers": 1}
TINY = {"context": 16, "width": 32, "layers": 1, "rows": 8, "loss": 6.15, "most": 30}
SEEN = {"0": 1, "8": 2, "12": 4}
"""How often an epoch has each token, by the overlap of rows of 16."""
FACTS = (
    ("float32", "bits", 32.0, 0.0, "32 bits in float32"),
    ("bfloat16", "bits", 16.0, 0.0, "16 bits in bfloat16"),
    ("int8", "bits", 8.0, 0.1, "8 bits in int8, and a scale for each output"),
    ("NF4", "bits", 4.127, 0.001, "4.127 bits in NF4"),
    ("bfloat16", "billions", 6.738415616, 0.0, "Llama 2 7B has 6.74 billion weights"),
    ("bfloat16", "GB a billion", 2.0, 0.0, "2 GB for a billion, not quantized"),
    ("NF4", "GB a billion", 0.5, 0.1, "half a GB with 4 bits, and tables of tokens of 16"),
)
"""Arm, figure, value, tolerance and claim of what is computed."""

EXPERIMENT = Experiment(
    id="memory",
    question="What do weights and training take, and what do the options of a trainer do?",
    source=Source(
        paper="Reddit 2024, How to train your dra... model",
        link="https://www.reddit.com/r/Oobabooga/comments/19480dr/",
        where="'VRAM of an unquantized model ~ 2 x billions of parameters'; stop at loss; "
        "overlapping chunks",
    ),
    claim="A model that is not quantized takes 2 GB for a billion weights, one of 4 bits a "
    "quarter. Training that stops at a loss ends when it is reached; rows that overlap repeat "
    "tokens.",
    parts=[
        Part(
            name="weights",
            kind="EXACT",
            arms=STORED,
            measure=weights,
            sizes={"smoke": SMALL, "cpu": SMALL, "gpu": SMALL},
            checks=[
                *(
                    Equal(claim=claim, arm=arm, figure=figure, value=value, tolerance=tolerance)
                    for arm, figure, value, tolerance, claim in FACTS
                ),
                Below(
                    claim="matrices take what the formulas say, within a thousandth",
                    figure="deviation",
                    bound=1e-3,
                ),
            ],
        ),
        Part(
            name="stop",
            kind="EXACT",
            arms=["whole", "stopped"],
            measure=ending,
            sizes={"smoke": TINY, "cpu": TINY, "gpu": TINY},
            checks=[
                Equal(
                    claim="a run ends with the first step whose smoothed loss is the limit or less",
                    arm="stopped",
                    figure="late",
                    value=0,
                ),
                Below(claim="before the last of 30", arm="stopped", figure="steps", bound=29),
                Equal(claim="without a limit it makes all", arm="whole", figure="steps", value=30),
            ],
        ),
        Part(
            name="overlap",
            kind="EXACT",
            arms=list(SEEN),
            measure=overlapping,
            sizes={"smoke": TINY, "cpu": TINY, "gpu": TINY},
            checks=[
                Equal(
                    claim=f"rows of 16 overlap by {arm} tokens: each {times} times at {figure}",
                    arm=arm,
                    figure=figure,
                    value=times,
                )
                for arm, times in SEEN.items()
                for figure in ("least", "most")
            ],
        ),
        Part(
            name="training",
            kind="QUALITY",
            arms=ARMS,
            measure=peak,
            sizes={
                "smoke": {"context": 64, "width": 64, "layers": 2, "rows": 4},
                "cpu": {"context": 256, "width": 256, "layers": 4, "rows": 16},
                "gpu": {"context": 1024, "width": 768, "layers": 12, "rows": 16},
            },
            checks=[
                Within(
                    claim=f"{arm}: {figure} as estimated, within {margin:.0%}",
                    arm=arm,
                    figure=figure,
                    low=1 - margin,
                    high=1 + margin,
                )
                for figure, margin in (("tensors", 0.05), ("process", 0.15))
                for arm in ARMS
            ],
        ),
    ],
    panels=[
        Bars(part="weights", figure="GB", label="GB of the weights of Llama 2 7B"),
        Bars(part="training", figure="MB", label="MB of tensors at the peak of a step, estimated"),
    ],
    bounds="2 GB for a billion are weights alone: a step of training with Adam in float32 takes 16 "
    "bytes for a weight, and activations. GB are 10^9 bytes. The process gives memory back at "
    "once here; by default glibc keeps gaps, up to half as much again. Estimates follow from a "
    "quarter and a half of a batch. Only steps are measured, not the loading of a base; a GPU has "
    "an allocator of its own, which is not measured.",
    expects="Exact as claimed; tensors within 5% of the estimate, the process within 15%.",
    seeds={"smoke": 1, "cpu": 3, "gpu": 3},
)
