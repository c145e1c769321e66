"""Random, near and global blocks: how short paths become, what is saved, and which are needed."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, cast

import torch
from torch import Tensor

from gpt.lab.apparatus import sparse
from gpt.lab.apparatus.masked import LOSS, MaskedTraining, masked_part
from gpt.lab.checks import Above, Below, Equal, Less
from gpt.lab.experiment import Bars, Check, Experiment, Figures, Part, Setting, Source
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.pattern import BigBird, Full

HEADS = 4


def pattern(window: int, random: int, global_blocks: int = 0, block: int = 4) -> BigBird:
    """Return a pattern for both sides."""
    near = BigBird(causal=False, block=block, window=window)
    return dataclasses.replace(near, random_blocks=random, global_blocks=global_blocks)


PATTERNS: dict[str, BigBird | Full] = {  # but for the first, each block attends to 7
    "full": Full(),
    "R": pattern(1, 6),
    "W": pattern(7, 0),
    "R+W": pattern(3, 4),
    "R+W+G": pattern(3, 2, 2),
}


def defined(spec: BigBird, random: Tensor, tokens: int) -> Tensor:
    """Return which pairs attend, by definition: bool (T, T). *random* are drawn blocks."""
    allowed = torch.zeros(tokens, tokens, dtype=torch.bool)
    blocks = range(tokens // spec.block)
    for row in blocks:
        near = [each for each in blocks if abs(each - row) <= spec.window // 2]
        ends = list(range(spec.global_blocks))
        seen = list(blocks) if row in ends else {*near, *ends, *random[row].tolist()} & {*blocks}
        for column in seen:
            cells = (slice(each * spec.block, (each + 1) * spec.block) for each in (row, column))
            allowed[tuple(cells)] = True
    return allowed


@torch.inference_mode()
def graph(setting: Setting) -> Figures:
    """Compare the layer with its definition, and measure the paths between tokens."""
    tokens, spec = setting.size["tokens"], PATTERNS[setting.arm]
    attention = GroupedQuery(heads=HEADS, kv_heads=HEADS, pattern=spec)
    gpt = sparse.model(attention, tokens, 32, torch.float64)
    layer, allowed = cast(Any, gpt.blocks[0]), torch.ones(tokens, tokens, dtype=torch.bool)
    if isinstance(spec, BigBird):
        allowed = defined(spec, layer.attention.pairwise.pattern.random, tokens)
    x = torch.randn(2, tokens, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    error = (sparse.attend(gpt, x) - sparse.by_definition(gpt, x, allowed)).abs().max()
    diameter, distance = sparse.paths(allowed)
    return {"error": float(error), "diameter": diameter, "distance": distance}


def length(setting: Setting) -> Figures:
    """Compute how long a text fits in 16 GB, by a layer of the paper's base model."""
    full = GroupedQuery(heads=12, kv_heads=12, pattern=Full())
    blocks = dataclasses.replace(full, pattern=pattern(3, 3, 2, block=64))
    scores, kernel, sparse_ = (
        sparse.bytes_per_token(attention, 4096, 768, fused=fused)
        for attention, fused in ((full, False), (full, True), (blocks, True))
    )
    longest, dense = 16e9 / sparse_, math.sqrt(16e9 / (scores / 4096))
    eight = 8 * sparse_ / (scores / 4096)
    return {"ratio": longest / dense, "eight": eight, "fused": kernel / sparse_}


def costs(setting: Setting) -> Figures:
    """Measure a layer of attention in blocks, beside full attention."""
    block = 4 if setting.size["head_width"] == 8 else 16
    attention = GroupedQuery(heads=2, kv_heads=2, pattern=pattern(3, 3, 2, block=block))
    return sparse.costs(setting, attention)


def model(setting: Setting) -> Architecture:
    """Return the model of an arm."""
    return Architecture(
        context=setting.size["context"],
        layers=setting.size["layers"],
        width=setting.size["width"],
        attention=GroupedQuery(heads=HEADS, kv_heads=HEADS, pattern=PATTERNS[setting.arm]),
    )


TOKENS = {"tokens": 128}
LENGTH: list[Check] = [
    Above(claim="8 times as long in 16 GB", arm="BigBird", figure="ratio", bound=8),
    Below(claim="8 from 4,096 tokens on", arm="BigBird", figure="eight", bound=4096),
    Below(claim="no longer than fused", arm="BigBird", figure="fused", bound=1),
]
EXPERIMENT = Experiment(
    id="bigbird",
    question="Which blocks must attention read in long texts, and how much longer can they be?",
    source=Source(
        paper="Zaheer 2020, Big Bird: Transformers for Longer Sequences",
        link="arXiv:2007.14062",
        where="section 2 and table 1, accuracy of masked tokens: BERT 64.2, random 60.1, window "
        "58.3, both 62.7; abstract: 8 times longer",
    ),
    claim="Random blocks make paths short, global ones make them 2 steps; random and near blocks "
    "are better than either alone; texts can be 8 times as long on the same hardware.",
    parts=[
        Part(
            name="paths",
            kind="EXACT",
            arms=list(PATTERNS),
            measure=graph,
            sizes={"smoke": TOKENS, "cpu": TOKENS, "gpu": TOKENS},
            checks=[
                *(
                    Below(
                        claim=f"{arm}: equal to its definition",
                        arm=arm,
                        figure="error",
                        bound=1e-10,
                    )
                    for arm in PATTERNS
                ),
                Equal(claim="W: 31 blocks in steps of 3", arm="W", figure="diameter", value=11),
                Below(claim="R: a few steps", arm="R", figure="diameter", bound=4),
                Equal(claim="R+W+G: two steps", arm="R+W+G", figure="diameter", value=2),
            ],
        ),
        Part(
            name="length",
            kind="EXACT",
            arms=["BigBird"],
            measure=length,
            sizes={"smoke": {}, "cpu": {}, "gpu": {}},
            checks=LENGTH,
        ),
        sparse.costs_part("BigBird", costs),
        masked_part(
            arms=list(PATTERNS),
            training=MaskedTraining(model=model),
            sizes={
                "smoke": {"context": 32, "width": 32, "layers": 1, "steps": 3, "rows": 4},
                "cpu": {"context": 128, "width": 64, "layers": 2, "steps": 400, "rows": 8},
                "gpu": {"context": 512, "width": 512, "layers": 12, "steps": 20_000, "rows": 64},
            },
            checks=[
                Less(claim=f"{better} beats {worse}", arm=better, than=worse, figure=LOSS)
                for better, worse in (("R+W", "R"), ("R+W", "W"), ("full", "R+W"), ("R", "W"))
            ],
        ),
    ],
    panels=[
        Bars(part="paths", figure="distance", label="steps between two tokens, mean"),
        sparse.COSTS[0],
        Bars(part="loss", figure=LOSS, label="nats per masked token, held out"),
    ],
    bounds="Two layers of width 64 predict masked tokens of windows of 128 for 400 steps; the "
    "paper has 12 of 768. In so few steps arms rank by how much of what they read is near: W "
    "first, full and R last. The saving is against attention that keeps all scores; a fused "
    "kernel, which came later, keeps fewer bytes than copies of blocks. Memory is of one layer.",
    expects="Paths and costs as claimed; of the losses, full best and W near it, since text of 128 "
    "tokens is mostly local; R clearly worst. The paper's W is below its R.",
)
