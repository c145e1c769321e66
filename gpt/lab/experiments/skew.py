"""Relative positions without vectors for each pair: the skewing of Music Transformer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gpt.lab.apparatus.positions import Largest, gathered
from gpt.lab.checks import Below, Equal, Grows
from gpt.lab.experiment import Experiment, Figures, Lines, Part, Setting, Source
from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.position import Music

WIDTH, HEADS = 512, 8
HEAD = WIDTH // HEADS


def skewed(encoding: Any, queries: Tensor) -> Tensor:
    """Return the scores as the model computes them for complete rows."""
    scores: Tensor = encoding.row_bias(queries)
    return scores


SCORES = {"gather": gathered, "skew": skewed}


def encoding_of(context: int, device: str = "cpu") -> Any:
    """Return the vectors of a layer, for texts of *context* tokens."""
    architecture = Architecture(
        context=context,
        layers=1,
        width=WIDTH,
        attention=GroupedQuery(heads=HEADS, kv_heads=HEADS),
        position=Music(per_head=True),
    )
    with torch.device(device):
        return GPT(GPTConfig.over(architecture, 64), None).position.in_layer(0)


def equal(setting: Setting) -> Figures:
    """Compare skewed scores with gathered ones, and the gradients of a function of them."""
    tokens, generator = setting.size["tokens"], torch.Generator().manual_seed(setting.seed)
    encoding = encoding_of(tokens).double()
    torch.nn.init.normal_(encoding.vectors.weight, generator=generator)
    queries, weights = (
        torch.randn(1, HEADS, tokens, width, dtype=torch.float64, generator=generator)
        for width in (HEAD, tokens)
    )
    queries.requires_grad_()
    found = []
    for scores in (score(encoding, queries).tril() for score in SCORES.values()):
        loss = (weights * scores.sin()).sum()
        found.append(
            [scores.detach(), *torch.autograd.grad(loss, (queries, encoding.vectors.weight))]
        )
    errors = [float((a - b).abs().max()) for a, b in zip(*found, strict=True)]
    return {"scores": errors[0], "gradients": max(errors[1:])}


def memory(setting: Setting) -> Figures:
    """Measure the largest tensors, on a device that has shapes and no memory."""
    lengths = setting.size["lengths"]
    vectors, all_tensors = [], []
    for length in lengths:
        queries = torch.empty(1, HEADS, length, HEAD, device="meta")
        encoding = encoding_of(length, "meta")
        with Largest(HEAD) as of_vectors, Largest() as of_all:
            SCORES[setting.arm](encoding, queries)
        vectors.append(float(of_vectors.bytes))
        all_tensors.append(float(of_all.bytes))
    return {
        "tokens": [float(length) for length in lengths],
        "vectors": vectors,
        "all": all_tensors,
        "GB": vectors[-1] / 1e9,
        "MB": vectors[-1] / 1e6,
        "all MB": all_tensors[-1] / 1e6,
    }


LENGTHS = {"lengths": (256, 512, 1024, 2048)}
TOKENS = {"tokens": 24}

EXPERIMENT = Experiment(
    id="skew",
    question="Does skewing give the scores of relative positions, and what does it save?",
    source=Source(
        paper="Huang 2018, Music Transformer",
        link="arXiv:1809.04281",
        where="section 3.4, figure 1 and table 1: 8.5 GB and 4.2 MB for 2,048 tokens, width 512",
    ),
    claim="Products of queries and relative vectors are computed once for each distance, then "
    "skewed, so vectors take L x D instead of L^2 x D numbers: 4.2 MB for a layer, not 8.5 GB.",
    parts=[
        Part(
            name="scores",
            kind="EXACT",
            arms=["skew"],
            measure=equal,
            sizes={"smoke": TOKENS, "cpu": TOKENS, "gpu": TOKENS},
            checks=[
                Below(
                    claim=f"{figure} equal those of a vector for each pair",
                    arm="skew",
                    figure=figure,
                    bound=1e-10,
                )
                for figure in ("scores", "gradients")
            ],
        ),
        Part(
            name="memory",
            kind="EXACT",
            arms=["gather", "skew"],
            measure=memory,
            sizes={"smoke": LENGTHS, "cpu": LENGTHS, "gpu": LENGTHS},
            checks=[
                *(
                    Grows(
                        claim=f"{claim} take memory as L^{power}",
                        arm=arm,
                        x="tokens",
                        y=figure,
                        between=(power - 0.01, power + 0.01),
                    )
                    for arm, figure, power, claim in (
                        ("gather", "vectors", 2, "vectors for each pair"),
                        ("skew", "vectors", 1, "vectors for each distance"),
                        ("skew", "all", 2, "but their products, the scores,"),
                    )
                ),
                *(
                    Equal(claim=claim, arm=arm, figure=figure, value=value, tolerance=0.1)
                    for arm, figure, value, claim in (
                        ("gather", "GB", 8.5, "gathered vectors take 8.5 GB"),
                        ("skew", "MB", 4.2, "vectors of distances take 4.2 MB"),
                        ("skew", "all MB", 134.2, "with their products it is 134 MB"),
                    )
                ),
            ],
        ),
    ],
    panels=[
        Lines(
            part="memory",
            x="tokens",
            y=figure,
            x_label="tokens",
            y_label=f"bytes of the largest tensor of {name}",
            log=("x", "y"),
        )
        for figure, name in (("vectors", "vectors"), ("all", "all"))
    ],
    bounds="The paper's figures are of vectors alone. Scores of all pairs, which attention without "
    "positions has as well, still grow with the square of the length.",
    expects="All hold: they are equalities and shapes.",
)
