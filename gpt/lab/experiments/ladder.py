"""From a bigram to a transformer, one part at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.data.batch import Batch
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
RUNGS = ("bigram", "one head", "heads", "MLP", "blocks", "residual", "norm")
VIDEO = {"bigram": 2.5, "one head": 2.4, "heads": 2.28, "MLP": 2.24, "residual": 2.08, "norm": 2.06}
"""Losses in nats per character, as the lecture says them."""


def model(setting: Setting) -> Architecture:
    """Return the model of a rung, which has all parts of those below."""
    rung, size = RUNGS.index(setting.arm), setting.size
    heads = size["heads"] if rung >= RUNGS.index("heads") else 1
    return Architecture(
        context=size["context"],
        layers=size["layers"] if rung >= RUNGS.index("blocks") else 1,
        width=size["width"],
        attention=GroupedQuery(
            heads=heads, kv_heads=heads, pattern=Causal() if rung else Window(size=1)
        ),
        position=Learned() if rung else None,
        # Of two linear layers without an activation between them, nothing is left but one.
        mlp=MLP(activation="relu")
        if rung >= RUNGS.index("MLP")
        else MLP(activation="identity", hidden=size["width"]),
        norm=LayerNorm() if setting.arm == "norm" else None,
        wiring=WIRINGS.get(setting.arm, ABSENT),
        tie=False,
    )


def plain(arm: str, weights: Mapping[str, Tensor], layers: int, heads: int, ids: Tensor) -> Tensor:
    """Return the logits (B, T, V) of a rung for *ids* (B, T), by its definition."""

    def norm(name: str, x: Tensor) -> Tensor:
        scale, bias = weights.get(f"{name}.weight"), weights.get(f"{name}.bias")
        return x if scale is None else F.layer_norm(x, x.shape[-1:], scale, bias)

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ weights[f"{name}.weight"].T

    def joined(x: Tensor, branch: Tensor) -> Tensor:
        return x + branch if arm in ("residual", "norm") else branch

    x, tokens = weights["embedding.weight"][ids], ids.shape[1]
    visible = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    if arm == "bigram":
        visible = torch.eye(tokens, dtype=torch.bool)
    else:
        x = x + weights["position.embedding.weight"][:tokens]
    for block in (f"blocks.{layer}." for layer in range(layers)):
        y = norm(block + "attention_norm", x)
        q, k, v = (
            linear(f"{block}attention.{name}", y).view(*ids.shape, heads, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        x = joined(x, linear(block + "attention.output", mixed.transpose(1, 2).flatten(2)))
        hidden = linear(block + "mlp.input", norm(block + "mlp_norm", x))
        hidden = hidden.relu() if arm in ("MLP", "blocks", "residual", "norm") else hidden
        x = joined(x, linear(block + "mlp.output", hidden))
    return linear("head", norm("norm", x))[..., :BYTES]


def rung(setting: Setting) -> Figures:
    """Compare a rung with its definition; compute its loss before training."""
    architecture = model(setting)
    gpt = random_model(architecture, BYTES, setting.seed)
    ids, weights = random_ids(gpt, 2, architecture.context), dict(gpt.named_parameters())
    with torch.inference_mode():
        ours = gpt(ids)
        theirs = plain(setting.arm, weights, architecture.layers, architecture.attention.heads, ids)
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
STEPS = (*pairwise(RUNGS[:4]), ("blocks", "residual"), ("residual", "norm"))
EQUAL = "{}: the model equals its definition, in float64"
FIRST = "{}: the first loss is ln V, within 5%"


def better(lower: str, upper: str) -> Less:
    """Return the check of one rung against the one below."""
    losses = f": {VIDEO[upper]} and {VIDEO[lower]} in the lecture" if lower in VIDEO else ""
    return Less(claim=f"{upper} is better than {lower}{losses}", arm=upper, than=lower, figure=BITS)


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
            measure=rung,
            sizes=SIZES,
            checks=[
                *(Below(claim=EQUAL.format(a), arm=a, figure="error", bound=1e-10) for a in RUNGS),
                *(Below(claim=FIRST.format(a), arm=a, figure="off", bound=0.05) for a in RUNGS),
            ],
        ),
        training_part(
            arms=RUNGS,
            training=Training(model=model, how=how),
            sizes=SIZES,
            rates=(3e-3, 1e-2, 3e-2),
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[better(*pair) for pair in STEPS],
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
