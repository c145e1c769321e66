"""From a bigram to a transformer, one part at a time."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.data.batch import Batch
from gpt.lab.apparatus.definitions import grouped
from gpt.lab.apparatus.probes import random_ids, random_model
from gpt.lab.apparatus.training import BITS, Run, Training, training_part
from gpt.lab.checks import Below, Less
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Part, Setting, Sizes, Source
from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm
from gpt.spec.pattern import Causal, Window
from gpt.spec.position import Learned
from gpt.spec.wiring import DeepNorm, PreNorm

BYTES = 257
"""Size of the vocabulary: 256 bytes, and the end of a text."""
ABSENT = DeepNorm(alpha=1e-30, beta=1.0)
"""x → branch(x): the stream is multiplied by so little that nothing is left of it."""
RESIDUAL = DeepNorm(alpha=1.0, beta=1.0)
"""x → x + branch(x), with the same initialization."""
WIRINGS: dict[str, DeepNorm | PreNorm] = {"residual": RESIDUAL, "norm": PreNorm()}
RUNGS = ["bigram", "one head", "heads", "MLP", "blocks", "residual", "norm"]


def model(setting: Setting) -> Architecture:
    """Return the model of a rung, which has all parts of those below."""
    rung, size = RUNGS.index(setting.arm), setting.size
    heads = size["heads"] if rung >= RUNGS.index("heads") else 1
    pattern: Causal | Window = Causal() if rung else Window(size=1)
    # Of two linear layers without an activation between them, nothing is left but one.
    linear = MLP(activation="identity", hidden=size["width"])
    return Architecture(
        context=size["context"],
        layers=size["layers"] if rung >= RUNGS.index("blocks") else 1,
        width=size["width"],
        attention=GroupedQuery(heads=heads, kv_heads=heads, pattern=pattern),
        position=Learned() if rung else None,
        mlp=MLP(activation="relu") if rung >= RUNGS.index("MLP") else linear,
        norm=LayerNorm() if setting.arm == "norm" else None,
        wiring=WIRINGS.get(setting.arm, ABSENT),
        tie=False,
    )


def plain(arm: str, gpt: GPT, ids: Tensor) -> Tensor:
    """Return the logits (B, T, V) of a rung for *ids* (B, T), by its definition."""
    rung = RUNGS.index(arm)

    def normed(x: Tensor, norm: Any) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias) if arm == "norm" else x

    def joined(x: Tensor, branch: Tensor) -> Tensor:
        return x + branch if arm in WIRINGS else branch

    x = gpt.get_parameter("embedding.weight")[ids]
    if rung:
        x = x + gpt.get_parameter("position.embedding.weight")[: ids.shape[1]]
    block: Any
    for block in gpt.blocks:
        attention, y = block.attention, normed(x, block.attention_norm)
        # A token that attends to itself alone has its own value.
        mixed = grouped(attention, y) if rung else attention.output(attention.value(y))
        x = joined(x, mixed)
        hidden = block.mlp.input(normed(x, block.mlp_norm))
        hidden = hidden.relu() if rung >= RUNGS.index("MLP") else hidden
        x = joined(x, block.mlp.output(hidden))
    return normed(x, gpt.norm) @ gpt.get_parameter("head.weight")[:BYTES].T


def definition(setting: Setting) -> Figures:
    """Compare a rung with its definition; compute its loss before training."""
    architecture = model(setting)
    gpt = random_model(architecture, BYTES, setting.seed)
    ids = random_ids(gpt, 2, architecture.context)
    with torch.inference_mode():
        ours, theirs = gpt(ids), plain(setting.arm, gpt, ids)
    new = GPT(GPTConfig.over(architecture, BYTES), setting.seed)
    batch = Batch(inputs=ids, targets=ids.flip(0))
    first = new.cross_entropy(batch)[0].item() / ids.numel()
    return {
        "error": float((ours - theirs).abs().max() / theirs.abs().max()),
        "off": abs(first / math.log(BYTES) - 1),
    }


def how(setting: Setting) -> Run:
    """Return how a rung is trained: byte by byte."""
    return Run(steps=setting.size["steps"], vocab=BYTES, device=setting.device)


SIZES: Sizes = {
    "smoke": {"layers": 2, "width": 32, "heads": 4, "context": 16, "steps": 3},
    "cpu": {"layers": 3, "width": 64, "heads": 4, "context": 64, "steps": 400},
    "gpu": {"layers": 6, "width": 384, "heads": 6, "context": 256, "steps": 5000},
}
BETTER = (
    ("bigram", "one head", "2.5 and 2.4"),
    ("one head", "heads", "2.4 and 2.28"),
    ("heads", "MLP", "2.28 and 2.24"),
    ("blocks", "residual", "2.08 with it"),
    ("residual", "norm", "2.08 and 2.06"),
)
"""A rung, one that is better, and losses in nats per character, as the lecture says them."""

EXPERIMENT = Experiment(
    id="ladder",
    question="Does each part of a transformer lower the loss, when they are added one at a time?",
    source=Source(
        paper="Karpathy 2023, Let's build GPT: from scratch, in code, spelled out",
        link="https://github.com/karpathy/ng-video-lecture",
        where="the losses said in the lecture: 2.5, 2.4, 2.28, 2.24, 2.08, 2.06; ln 65 at first",
    ),
    claim="A bigram has a loss of 2.5 nats per character, one head of attention 2.4, several heads "
    "2.28, an MLP after them 2.24, blocks with residual connections 2.08 and norms 2.06; at "
    "initialization the loss is that of uniform guessing.",
    parts=[
        Part(
            name="rungs",
            kind="EXACT",
            arms=RUNGS,
            measure=definition,
            sizes=SIZES,
            checks=[
                Below(claim="models equal their definition", figure="error", bound=1e-10),
                Below(claim="the first loss is ln V, within 5%", figure="off", bound=0.05),
            ],
        ),
        training_part(
            arms=RUNGS,
            training=Training(model=model, how=how),
            sizes=SIZES,
            rates=(1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                Less(claim=f"{high} is better than {low}: {said}", arm=high, than=low, figure=BITS)
                for low, high, said in BETTER
            ],
        ),
    ],
    panels=[Bars(part="loss", figure=BITS, label="bits per byte, held out")],
    bounds="The lecture reads Shakespeare by characters, with width 32, one learning rate and one "
    "seed; here help texts of Python are read by bytes, with width 64, for 400 steps. The trainer "
    "has no model without attention, MLP or residual stream. So the bigram is attention of each "
    "token to itself, of rank 64 where the lecture has a table of all pairs; an absent MLP is two "
    "linear layers without an activation; an absent connection is one times 1e-30. Left out are "
    "dropout and the last rung, 10 million parameters, with 1.48.",
    expects="Each rung is better than the one below, heads by the least; blocks without residual "
    "connections are no better than one of them.",
)
