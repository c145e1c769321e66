"""Experts: what they hold and what a token uses of it, and what that buys."""

from __future__ import annotations

import dataclasses
import math

import torch

from gpt.lab.apparatus.definitions import mixture
from gpt.lab.apparatus.onebatch import relative_error
from gpt.lab.apparatus.probes import load_entropy, random_model
from gpt.lab.apparatus.texts import english_shards
from gpt.lab.apparatus.training import BITS, Training, rows_of, small_model, training_part
from gpt.lab.checks import Below, Equal, Greater, Less
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Part, Setting, Sizes, Source
from gpt.model.flops import parts_of
from gpt.model.gpt import GPT
from gpt.model.shapes import without_memory
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.experts import Experts
from gpt.spec.mlp import MLP

VOCAB = 512
SIZES: Sizes = {
    "smoke": {"layers": 1, "width": 32, "hidden": 32, "context": 16, "steps": 3},
    "cpu": {"layers": 2, "width": 96, "hidden": 128, "context": 64, "steps": 300},
    "gpu": {"layers": 12, "width": 768, "hidden": 1024, "context": 512, "steps": 20_000},
}


def gated(hidden: int) -> MLP:
    """Return the MLP of Mixtral with a hidden layer of *hidden*."""
    return MLP(activation="silu", gated=True, hidden=hidden)


def counts(architecture: Architecture, vocab: int) -> tuple[int, int]:
    """Return the parameters of a model, in all and for a token, without memory for them."""
    parts = parts_of(without_memory(GPTConfig.over(architecture, vocab))).values()
    return sum(part.parameters for part in parts), sum(part.active for part in parts)


def published(setting: Setting) -> Figures:
    """Count the parameters of Mistral or Mixtral in billions."""
    mlp = gated(14_336)
    architecture = Architecture(
        context=8,
        layers=32,
        width=4096,
        attention=GroupedQuery(heads=32, kv_heads=8),
        mlp=mlp if setting.arm == "Mistral 7B" else Experts(expert=mlp),
        tie=False,
    )
    total, active = counts(architecture, 32_000)
    return {"total": total / 1e9, "active": active / 1e9}


def model(setting: Setting) -> Architecture:
    """Return the model of an arm: 2 of 8 experts, or an MLP as large as 2 or all of them."""
    hidden = setting.size["hidden"]
    mlps: dict[str, MLP | Experts] = {
        "small": gated(2 * hidden),
        "experts": Experts(expert=gated(hidden)),
        "unbalanced": Experts(expert=gated(hidden), balance=None),
        "large": gated(8 * hidden),
    }
    return small_model(setting, mlp=mlps[setting.arm])


@torch.no_grad()
def definition(setting: Setting) -> Figures:
    """Compare experts with their definition, and their parameters with those of dense models."""
    experts = random_model(model(setting), VOCAB, setting.seed).get_submodule("blocks.0.mlp")
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(1, 32, setting.size["width"], dtype=torch.float64, generator=draw)
    (ours, loss), (plain, switch) = experts(x), mixture(experts, x[0])
    (total, active), (_, small), (large, _) = (
        counts(model(dataclasses.replace(setting, arm=arm)), VOCAB)
        for arm in ("experts", "small", "large")
    )
    return {
        "output": relative_error(ours[0], plain),
        "balance": float((loss - switch).abs()),
        "active": abs(active / small - 1),
        "total": abs(total / large - 1),
    }


def entropy(setting: Setting, gpt: GPT | None) -> Figures:
    """Return how evenly experts are chosen for held-out text; NaN without experts."""
    if gpt is None:
        return {"entropy": math.nan}
    return {"entropy": load_entropy(gpt, rows_of(gpt, english_shards(VOCAB), "val", 64).inputs)}


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
            arms=["Mistral 7B", "Mixtral 8x7B"],
            measure=published,
            sizes={"smoke": {}, "cpu": {}, "gpu": {}},
            checks=[
                Equal(claim=claim, arm=arm, figure=figure, value=value, tolerance=tolerance)
                for arm, figure, value, tolerance, claim in (
                    ("Mixtral 8x7B", "total", 46.7, 0.05, "46.7 billion parameters, for memory"),
                    ("Mixtral 8x7B", "active", 12.9, 0.05, "12.9 billion for a token, for FLOPs"),
                    ("Mistral 7B", "total", 7.24, 0.005, "not 8 x 7.24: only MLPs are 8 times"),
                )
            ],
        ),
        Part(
            name="routing",
            kind="EXACT",
            arms=["experts"],
            measure=definition,
            sizes=SIZES,
            checks=[
                Below(claim=claim, figure=figure, bound=bound)
                for figure, bound, claim in (
                    ("output", 1e-10, "a token gets the weighted sum of its 2 best experts"),
                    ("balance", 1e-10, "the balance loss is Switch's"),
                    ("active", 0.02, "as many active parameters as the small model, within 2%"),
                    ("total", 0.02, "as many in all as the large one, within 2%"),
                )
            ],
        ),
        training_part(
            arms=["small", "experts", "unbalanced", "large"],
            training=Training(model=model, also=entropy),
            sizes=SIZES,
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                *(
                    Less(claim=claim, arm=arm, than=than, figure=BITS)
                    for arm, than, claim in (
                        ("experts", "small", "experts beat a dense model of equal active size"),
                        ("large", "experts", "a dense model of equal total size beats experts"),
                    )
                ),
                Greater(
                    claim="with the balance loss, tokens are spread more evenly over experts",
                    arm="experts",
                    than="unbalanced",
                    figure="entropy",
                ),
            ],
        ),
    ],
    panels=[Bars(part="loss", figure=BITS, label="bits per byte, held out")],
    bounds="The announcement compares Mixtral with published models, trained on other texts; here "
    "2 layers of width 96 are trained alike for 300 steps, of which an expert sees a quarter of "
    "the tokens. Many narrow experts are slow on a processor, so FLOPs say nothing of seconds.",
    expects="Experts between the two dense models, nearer to the smaller one after so few steps; "
    "without balance an entropy of 0.9, since no expert has starved yet.",
)
