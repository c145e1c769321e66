"""Short convolutions over the tokens: Canon layers, the shortest of them, and none."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.lab.apparatus.probes import cache_error, leak, random_model
from gpt.lab.apparatus.training import BITS, ROUNDING, Training, small_model, training_part
from gpt.lab.checks import Below, Less, NotWorse
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Part, Setting, Source
from gpt.nn.convolution import ShortConvolution
from gpt.spec.architecture import Architecture
from gpt.spec.convolution import Canon
from gpt.spec.embedding import TokenShift
from gpt.spec.position import Rope

CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "shift": {"shift": TokenShift()},
    "Canon A": {"convolution": Canon(points=("A",))},
    "Canon ABCD": {"convolution": Canon()},
}
ARMS = [*CONVOLUTIONS, "none, no positions", "Canon ABCD, no positions"]
CONVOLVING = [arm for arm in CONVOLUTIONS if arm != "none"]


def model(setting: Setting) -> Architecture:
    """Return the model of an arm: its convolutions, and whether it has rotary positions."""
    name, _, without = setting.arm.partition(", ")
    return small_model(setting, position=None if without else Rope(), **CONVOLUTIONS[name])


def convolved(x: Tensor, taps: Tensor, distances: range) -> Tensor:
    """Return x (B, T, W) plus its causal convolution, each feature by itself, by conv1d."""
    kernel = x.new_zeros(x.shape[-1], 1, distances[-1] + 1)
    for distance, weight in zip(distances, taps, strict=True):
        kernel[:, 0, -1 - distance] = weight
    padded = F.pad(x.mT, (distances[-1], 0))
    return x + F.conv1d(padded, kernel, groups=x.shape[-1]).mT


@torch.inference_mode()
def definition(setting: Setting) -> Figures:
    """Compare each convolution with conv1d, and decoding with reading the whole text."""
    gpt = random_model(model(setting), 32, setting.seed)
    draw, errors = torch.Generator().manual_seed(1), []
    for layer in gpt.modules():
        if isinstance(layer, ShortConvolution):
            x = torch.randn(2, 9, layer.width, dtype=torch.float64, generator=draw)
            plain = convolved(x, layer.taps(), layer.distances)
            errors.append(float((layer(x) - plain).abs().max()))
    points = {"shift": 1, "Canon A": gpt.config.layers, "Canon ABCD": 4 * gpt.config.layers}
    return {
        "error": max(errors),
        "missing": float(points[setting.arm] - len(errors)),
        "decoding": cache_error(gpt, gpt.config.context),
        "leak": leak(gpt),
    }


FACTS = {"context": 16, "width": 32, "layers": 2}
EXPERIMENT = Experiment(
    id="canon",
    question="What do convolutions over a few tokens add to attention, and how short can they be?",
    source=Source(
        paper="Allen-Zhu 2025, Physics of Language Models: Part 4.1, Architecture Design and the "
        "Magic of Canon Layers",
        link="https://ssrn.com/abstract=5240330",
        where="Canon layers of kernel 4 at the points A, B, C and D, with a residual connection "
        "and no activation",
    ),
    claim="Canon layers improve transformers for almost no parameters, and a model without "
    "positions becomes as good as one with rotary positions.",
    parts=[
        Part(
            name="definition",
            kind="EXACT",
            arms=CONVOLVING,
            measure=definition,
            sizes={"smoke": FACTS, "cpu": FACTS, "gpu": FACTS},
            checks=[
                Below(claim=f"{arm}: {claim}", arm=arm, figure=figure, bound=bound)
                for figure, bound, claim in (
                    ("error", 1e-10, "equal to conv1d with a residual connection"),
                    ("missing", 0, "at all points of all layers"),
                    ("decoding", 1e-8, "decoding equals reading the whole text"),
                    ("leak", ROUNDING, "no later tokens"),
                )
                for arm in CONVOLVING
            ],
        ),
        training_part(
            arms=ARMS,
            training=Training(model=model),
            sizes={
                "smoke": {"context": 16, "width": 32, "layers": 1, "steps": 3},
                "cpu": {"context": 32, "width": 64, "layers": 2, "steps": 500},
                "gpu": {"context": 512, "width": 768, "layers": 12, "steps": 20_000},
            },
            checks=[
                *(
                    Less(claim=f"{arm} beats {than}", arm=arm, than=than, figure=BITS)
                    for arm, than in (
                        ("Canon ABCD", "none"),
                        ("shift", "none"),
                        ("Canon ABCD", "shift"),
                        ("Canon ABCD", "Canon A"),
                    )
                ),
                NotWorse(
                    claim="with Canon, none is no worse than rotary positions without",
                    arm="Canon ABCD, no positions",
                    than="none",
                    figure=BITS,
                    margin=0.02,
                ),
            ],
            rates=(3e-3, 1e-2, 3e-2),
            tuning_seeds=TUNING_SEEDS[:1],
        ),
    ],
    panels=[Bars(part="loss", figure=BITS, label="bits per byte, held out")],
    bounds="The paper measures reasoning and knowledge on synthetic tasks of its own, and 1.3 "
    "billion parameters on 100 billion tokens; here two layers of width 64 predict English for "
    "500 steps. At this width the kernels are some percent of all parameters. Without positions "
    "Canon gains 0.11 bits, which makes it level with rotary positions; its seeds differ by as "
    "much, so that five say little of a margin of 0.02. TokenShift is on the embeddings alone, "
    "before the first layer.",
    expects="All convolutions better than none; ABCD best by far; the shift has much of the gain "
    "for one vector; with Canon, positions hardly matter.",
)
