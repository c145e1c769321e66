"""What linear attention costs as texts grow, beside attention by softmax, and what it learns."""

from __future__ import annotations

import statistics

import torch

from gpt.lab.apparatus.definitions import linear
from gpt.lab.apparatus.probes import attention_in, cache_error, passed, random_model
from gpt.lab.apparatus.stopwatch import decoding_seconds, filled_cache, reading_seconds, totals
from gpt.lab.apparatus.training import BITS, Training, training_part
from gpt.lab.checks import Below, Equal, Grows, Less, Ratio
from gpt.lab.experiment import (
    TUNING_SEEDS,
    Bars,
    Experiment,
    Figures,
    Lines,
    Part,
    Setting,
    Sizes,
    Source,
)
from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.linear_attention import LinearAttention

FORMS = {"one chunk": 24, "chunks": 4}
"""Tokens of a chunk, of 24: the parallel form, and the one that trains in linear time."""


@torch.no_grad()
def equalities(setting: Setting) -> Figures:
    """Compare a form with the definition, and with the recurrent form, which decodes."""
    attention = LinearAttention(heads=4, chunk=FORMS[setting.arm])
    architecture = Architecture(context=24, layers=1, width=32, attention=attention, position=None)
    gpt = random_model(architecture, 64, setting.seed)
    x, y = passed(gpt, attention_in(gpt), 24)
    return {
        "definition": float((linear(attention_in(gpt), x) - y).abs().max()),
        "recurrent": cache_error(gpt, 24),
    }


def model(setting: Setting) -> Architecture:
    """Return the model of an arm; both kinds of attention have as many parameters."""
    size = setting.size
    softmax = GroupedQuery(heads=4, kv_heads=4)
    return Architecture(
        context=size["context"],
        layers=size["layers"],
        width=size["width"],
        attention=LinearAttention(heads=4) if setting.arm == "linear" else softmax,
    )


def generating(setting: Setting) -> Figures:
    """Time the token after texts of several lengths, sum up all tokens, and count what is kept."""
    lengths, rounds = setting.size["lengths"], setting.size["rounds"]
    gpt = GPT(GPTConfig.over(model(setting), 64), setting.seed).eval().to(setting.device)
    read = [reading_seconds(gpt, n, rounds) for n in lengths]
    cached = setting.arm != "softmax, no cache"
    times = [decoding_seconds(gpt, n, rounds) for n in lengths] if cached else read
    by_round = [totals(lengths, each) for each in zip(*times, strict=True)]
    kept = [filled_cache(gpt, n).bytes_at(n) for n in (lengths[0], lengths[-1])]
    return {
        "tokens": [float(n) for n in lengths],
        "reading": [statistics.median(each) for each in read],
        "total": [statistics.median(each) for each in zip(*by_round, strict=True)],
        "totals": [each[-1] for each in by_round],
        "growth": kept[1] / kept[0],
    }


TIMED = {"width": 64, "layers": 2, "rounds": 9, "context": 4096}
SIZES: Sizes = {
    "smoke": TIMED | {"lengths": (32, 64, 128), "rounds": 2, "context": 256},
    "cpu": TIMED | {"lengths": (96, 196, 392, 784, 1536, 3072)},
    "gpu": TIMED | {"lengths": (784, 3072, 12_288), "width": 256, "layers": 8, "context": 16_384},
}
TRAINED: Sizes = {
    "smoke": {"layers": 1, "width": 96, "context": 16, "steps": 3},
    "cpu": {"layers": 3, "width": 96, "context": 64, "steps": 250},
    "gpu": {"layers": 12, "width": 768, "context": 1024, "steps": 20_000},
}
EQUALITIES = [
    Below(claim=f"{arm}: {claim}", arm=arm, figure=figure, bound=1e-10)
    for arm in FORMS
    for figure, claim in (
        ("definition", "equals all pairs, by definition"),
        ("recurrent", "equals the recurrent form, token by token"),
    )
]
GROWTH = [
    Grows(claim=claim, arm=arm, x="tokens", y=y, between=between)
    for claim, arm, y, between in (
        ("reading takes time proportional to the text", "linear", "reading", (0.8, 1.2)),
        ("generating, too", "linear", "total", (0.85, 1.15)),
        ("to its square at least without a cache", "softmax, no cache", "total", (1.8, 3.2)),
    )
]
RATIOS = [
    Ratio(claim=claim, arm="linear", to=to, figure="totals", between=between)
    for claim, to, between in (
        ("1/4,462 of softmax that reads all again", "softmax, no cache", (0.5 / 4462, 2 / 4462)),
        ("1/56 of softmax with a cache", "softmax", (0.5 / 56, 2 / 56)),
    )
]

EXPERIMENT = Experiment(
    id="linear",
    question="How much faster is linear attention, than what, and is it as good?",
    source=Source(
        paper="Katharopoulos 2020, Transformers are RNNs",
        link="arXiv:2006.16236",
        where="sections 3.2 to 3.4; table 2, CIFAR-10, 3,072 tokens: 17.85 images a second, "
        "with softmax 0.004, with a cache 0.32; also in Linear Attention Is All You Need, Medium",
    ),
    claim="Generating an image of CIFAR-10 takes time proportional to its tokens, 4,462 times less "
    "than with softmax, 56 times if softmax has a cache. What is kept does not grow.",
    parts=[
        Part(
            name="forms",
            kind="EXACT",
            arms=list(FORMS),
            measure=equalities,
            sizes=SIZES,
            checks=EQUALITIES,
        ),
        Part(
            name="generating",
            kind="SPEED",
            arms=["softmax", "softmax, no cache", "linear"],
            measure=generating,
            sizes=SIZES,
            checks=[
                Equal(claim="what is kept does not grow", arm="linear", figure="growth", value=1),
                *GROWTH,
                *RATIOS,
            ],
        ),
        training_part(
            arms=["softmax", "linear"],
            training=Training(model=model),
            sizes=TRAINED,
            checks=[Less(claim="softmax learns more", arm="softmax", than="linear", figure=BITS)],
            tuning_seeds=TUNING_SEEDS[:1],
        ),
    ],
    panels=[
        Lines(
            part="generating",
            x="tokens",
            y="total",
            x_label="tokens generated",
            y_label="seconds",
            log=("x", "y"),
        ),
        Bars(part="loss", figure=BITS, label="bits per byte, held out"),
    ],
    bounds="The paper's 4,462 is against a decoder that reads the image again for each pixel, "
    "with many images side by side on a GPU; its own table has 56 against a cache. Here one row "
    "of a small model is generated on one thread, with times interpolated between lengths; short "
    "texts take some milliseconds whatever their length, so exponents are small. After equal time "
    "the paper has 0.644 bits to 0.621 with softmax (MNIST), 3.40 to 3.47 (CIFAR-10).",
    expects="Exponents near 1, and 2 without a cache; ratios of some 100 and about 1. Softmax "
    "better by 0.01 to 0.1 nats.",
)
