"""Experts: what they hold and what a token uses of it, and what that buys."""

from __future__ import annotations

import dataclasses
import itertools

import torch
import torch.nn.functional as F

from gpt.data.shards import open_data, open_split
from gpt.lab.apparatus.onebatch import relative_error
from gpt.lab.apparatus.probes import leak, load_entropy, random_model
from gpt.lab.apparatus.texts import english_shards
from gpt.lab.apparatus.training import (
    BITS,
    DIVERGED,
    LEAK,
    Training,
    small_model,
    steps_of,
    trained,
    training_part,
)
from gpt.lab.checks import Equal, Greater, Less
from gpt.lab.experiment import (
    TUNING_SEEDS,
    Bars,
    Experiment,
    Figures,
    Part,
    Points,
    Setting,
    Sizes,
    Source,
)
from gpt.model.flops import parts_of, training_flops
from gpt.model.gpt import GPT
from gpt.model.shapes import without_memory
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.experts import BalanceLoss, Experts
from gpt.spec.mlp import MLP

EXPERTS, CHOSEN, VOCAB = 8, 2, 512


def gated(hidden: int) -> MLP:
    """Return the MLP of Mixtral with a hidden layer of *hidden*."""
    return MLP(activation="silu", gated=True, hidden=hidden)


MISTRAL = Architecture(
    context=8,
    layers=32,
    width=4096,
    attention=GroupedQuery(heads=32, kv_heads=8),
    mlp=gated(14_336),
    tie=False,
)
PUBLISHED = {
    "Mistral 7B": MISTRAL,
    "Mixtral 8x7B": dataclasses.replace(MISTRAL, mlp=Experts(expert=gated(14_336))),
}


def shapes(setting: Setting) -> Figures:
    """Count the parameters of a published model in billions, without memory for them."""
    parts = parts_of(without_memory(GPTConfig.over(PUBLISHED[setting.arm], 32_000))).values()
    total = sum(part.parameters for part in parts) / 1e9
    return {
        "total": total,
        "active": sum(part.active for part in parts) / 1e9,
        "eight": EXPERTS * total,
    }


def model(setting: Setting) -> Architecture:
    """Return the model of an arm, whose MLPs have as many parameters as their name says."""
    hidden = setting.size["hidden"]
    mlps: dict[str, MLP | Experts] = {
        "dense, equal active": gated(CHOSEN * hidden),
        "experts": Experts(expert=gated(hidden)),
        "experts, no balance": Experts(expert=gated(hidden), balance=None),
        "dense, equal total": gated(EXPERTS * hidden),
    }
    return small_model(
        setting,
        mlp=mlps[setting.arm],
    )


def routing(setting: Setting) -> Figures:
    """Compare experts and their balance loss with their definitions, one token at a time."""
    gpt = random_model(model(Setting(arm="experts", size=setting.size)), VOCAB, setting.seed)
    experts = gpt.get_submodule("blocks.0.mlp")
    weights = dict(experts.named_parameters())
    x = torch.randn(1, 32, gpt.config.width, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        ours, loss = experts(x)
        logits = x[0] @ weights["router.weight"].T
        chosen = logits.topk(CHOSEN).indices
        theirs = torch.zeros_like(x[0])
        for token, number in itertools.product(range(len(logits)), range(CHOSEN)):
            expert = chosen[token, number]
            gate, up, down = (weights[f"routed.{name}.weight"][expert] for name in LINEAR)
            weight = logits[token, chosen[token]].softmax(-1)[number]
            theirs[token] += weight * (down @ (F.silu(gate @ x[0, token]) * (up @ x[0, token])))
        fractions = chosen.flatten().bincount(minlength=EXPERTS) / chosen.numel()
        balance = BalanceLoss().weight * EXPERTS * (fractions * logits.softmax(-1).mean(0)).sum()
    return {
        "output": relative_error(ours[0], theirs),
        "balance": float((loss - balance).abs()),
    }


def sizes(setting: Setting) -> Figures:
    """Compare the parameters of experts with those of both dense models, and the FLOPs."""

    def counts(arm: str) -> tuple[int, int, int]:
        architecture = model(Setting(arm=arm, size=setting.size))
        built = without_memory(GPTConfig.over(architecture, VOCAB))
        parts = parts_of(built).values()
        total, active = (sum(getattr(p, name) for p in parts) for name in ("parameters", "active"))
        return total, active, training_flops(built)

    (total, active, flops), (most, _, more), (least, _, _) = map(counts, (EXPERTED, TOTAL, ACTIVE))
    return {"active": active / least, "total": total / most, "FLOPs": more / flops}


def defined(setting: Setting) -> Figures:
    """Compare experts with their definition, and their size with that of dense models."""
    return {**routing(setting), **sizes(setting)}


def entropy(gpt: GPT) -> float:
    """Return the entropy of how often each expert is chosen for held-out text."""
    tokens, context = open_split(open_data(english_shards(VOCAB)), "val"), gpt.config.context
    ids = torch.from_numpy(tokens.read(0, 64 * context).astype("int64")).view(-1, context)
    return load_entropy(gpt, ids)


def train(setting: Setting) -> Figures:
    """Train an arm; return its loss, its leak, and the entropy of its experts."""
    assert setting.rate is not None
    architecture = model(setting)
    flops = training_flops(without_memory(GPTConfig.over(architecture, VOCAB)))
    run = trained(architecture, steps_of(setting), seed=setting.seed, rate=setting.rate)
    if run is None:
        return {BITS: DIVERGED, LEAK: 0.0, "entropy": 0.0, "GFLOPs": flops / 1e9}
    found = {BITS: run.bits_per_byte, LEAK: leak(run.model), "GFLOPs": flops / 1e9}
    if isinstance(architecture.mlp, Experts):
        found["entropy"] = entropy(run.model)
    return found


LINEAR = ("gate", "input", "output")
ACTIVE, EXPERTED, UNBALANCED, TOTAL = ARMS = (
    "dense, equal active",
    "experts",
    "experts, no balance",
    "dense, equal total",
)
SIZES: Sizes = {
    "smoke": {"layers": 1, "width": 32, "hidden": 32, "context": 16, "steps": 3},
    "cpu": {"layers": 2, "width": 96, "hidden": 128, "context": 64, "steps": 300},
    "gpu": {"layers": 12, "width": 768, "hidden": 1024, "context": 512, "steps": 20_000},
}


def counted(*rows: tuple[str, str, float, float, str]) -> list[Equal]:
    """Return the checks of figures: arm, figure, value, tolerance and claim."""
    return [
        Equal(claim=claim, arm=arm, figure=figure, value=value, tolerance=tolerance)
        for arm, figure, value, tolerance, claim in rows
    ]


MISTRALS = tuple(PUBLISHED)
NONE: Sizes = {name: {} for name in SIZES}
LOSS = training_part(
    arms=ARMS,
    training=Training(model=model),
    sizes=SIZES,
    tuning_seeds=TUNING_SEEDS[:1],
    checks=[
        Less(
            claim="8 experts, 2 for a token, are better than a dense model of equal active size",
            arm=EXPERTED,
            than=ACTIVE,
            figure=BITS,
        ),
        Less(
            claim="a dense model of equal total size, with more FLOPs, is better than experts",
            arm=TOTAL,
            than=EXPERTED,
            figure=BITS,
        ),
        Greater(
            claim="with the balance loss, tokens are spread more evenly over experts",
            arm=EXPERTED,
            than=UNBALANCED,
            figure="entropy",
        ),
    ],
)

EXPERIMENT = Experiment(
    id="moe",
    question="What do 8 experts cost and buy, if each token uses 2 of them?",
    source=Source(
        paper="Jiang 2024, Mixtral of Experts",
        link="arXiv:2401.04088",
        where="section 2.2: 47 billion parameters, 13 billion active; the announcement has 46.7 "
        "and 12.9. The balance loss is that of Fedus 2021, arXiv:2101.03961",
    ),
    claim="Mixtral 8x7B has 46.7 billion parameters and uses 12.9 billion for a token: at equal "
    "active parameters experts are better than a dense model.",
    parts=[
        Part(
            name="shapes",
            kind="EXACT",
            arms=MISTRALS,
            measure=shapes,
            sizes=NONE,
            checks=counted(
                (MISTRALS[1], "total", 46.7, 0.05, "46.7 billion parameters, for memory"),
                (MISTRALS[1], "active", 12.9, 0.05, "12.9 billion for a token, for FLOPs"),
                (MISTRALS[0], "eight", 57.9, 0.05, "not 57.9: only MLPs are 8 times those of 7B"),
            ),
        ),
        Part(
            name="routing",
            kind="EXACT",
            arms=[EXPERTED],
            measure=defined,
            sizes=SIZES,
            checks=counted(
                (
                    EXPERTED,
                    "output",
                    0,
                    1e-10,
                    "a token gets the weighted sum of its 2 best experts",
                ),
                (EXPERTED, "balance", 0, 1e-10, "the balance loss is Switch's"),
                (
                    EXPERTED,
                    "active",
                    1,
                    0.02,
                    "as many active parameters as the smaller, within 2%",
                ),
                (EXPERTED, "total", 1, 0.02, "as many in all as the larger model, within 2%"),
            ),
        ),
        dataclasses.replace(LOSS, measure=train),
    ],
    panels=[
        Points(
            part="loss",
            x="GFLOPs",
            y=BITS,
            x_label="FLOPs of training on a token, billions",
            y_label="bits per byte, held out",
        ),
        Bars(
            part="loss",
            arms=(EXPERTED, UNBALANCED),
            figure="entropy",
            label="entropy of the experts' loads, 1 if even",
        ),
    ],
    bounds="The announcement compares Mixtral with other models that were published, trained on "
    "other texts; here 2 layers of width 96 are trained alike for 300 steps. Many narrow experts "
    "are slow on a processor, so FLOPs say nothing of seconds. LoRA on experts is left out.",
    expects="Experts between the two dense models, nearer to the smaller one after so few steps; "
    "without balance an entropy of 0.9, since no expert has starved yet.",
)
