"""What a sliding window keeps, how far information travels through it, and what it loses."""

from __future__ import annotations

import torch

from gpt.lab.apparatus.probes import cache_error, random_model, reach
from gpt.lab.apparatus.training import BITS, Run, Training, small_model, training_part
from gpt.lab.checks import Below, Equal, Less, NotWorse
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
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import TokenShift
from gpt.spec.optimizer import Muon
from gpt.spec.pattern import Causal, Window

PATTERNS: dict[str, Causal | Window] = {
    "full": Causal(),
    **{f"W = {size}": Window(size=size) for size in (2, 8, 32)},
    "W = 8, 3:1": Window(size=8, long_every=4),
    "W = 8, 1:1": Window(size=8, long_every=2),
}
"""Windows in all layers, or in so many for each with the full context."""


def attention(setting: Setting) -> GroupedQuery:
    """Return the multi-head attention of an arm."""
    return GroupedQuery(heads=4, kv_heads=4, pattern=PATTERNS[setting.arm])


def window(setting: Setting) -> Figures:
    """Decode token by token, look at what is kept, and at what the last token depends on."""
    context, layers, width = (setting.size[name] for name in ("context", "layers", "width"))
    architecture = small_model(setting, attention=attention(setting))
    gpt = random_model(architecture, 64, setting.seed)
    cache, tokens = gpt.new_cache(1, torch.float64), range(1, context + 1)
    per_token = layers * 2 * width * 8  # keys and values in float64
    return {
        "error": cache_error(gpt, context),
        "reach": float(reach(gpt, context)),
        "held": cache.nbytes / per_token,
        "tokens": [float(n) for n in tokens],
        "kept": [float(cache.bytes_at(n)) for n in tokens],
    }


def model(setting: Setting) -> Architecture:
    """Return the model of an arm; its token shift makes attention useful in a short run."""
    return small_model(setting, attention=attention(setting), shift=TokenShift())


def how(setting: Setting) -> Run:
    """Return how it is trained."""
    return Run(steps=setting.size["steps"], optimizer=Muon(), device=setting.device)


SHAPE = {"context": 64, "layers": 3, "width": 32}
SIZES: Sizes = {
    "smoke": {"context": 16, "layers": 4, "width": 32, "steps": 3},
    "cpu": {"context": 64, "layers": 4, "width": 64, "steps": 200},
    "gpu": {"context": 4096, "layers": 8, "width": 512, "steps": 20_000},
}

EXPERIMENT = Experiment(
    id="swa",
    question="How far does a model see through windows, what does it keep, and what does it lose?",
    source=Source(
        paper="Jiang 2023, Mistral 7B",
        link="arXiv:2310.06825",
        where="section 2, figures 1 and 2; Gemma 3, arXiv:2503.19786, section 5.2: five of six "
        "layers have windows at little cost; Sliding Window Attention, M. Kumal",
    ),
    claim="With windows of W tokens the cache holds W tokens whatever the length, and information "
    "moves forward by up to W tokens a layer, so L layers see about L x W tokens. Windows in most "
    "layers cost little quality.",
    parts=[
        Part(
            name="window",
            kind="EXACT",
            arms=["full", "W = 8"],
            measure=window,
            sizes=dict.fromkeys(SIZES, SHAPE),
            checks=[
                Below(
                    claim="decoding with a cache equals reading the whole text",
                    figure="error",
                    bound=1e-10,
                ),
                Equal(
                    claim="the last token depends on L x (W - 1) tokens before it, and no others",
                    arm="W = 8",
                    figure="reach",
                    value=3 * 7,
                ),
                Equal(claim="on all without windows", arm="full", figure="reach", value=63),
                Equal(claim="the cache holds W tokens", arm="W = 8", figure="held", value=8),
                Equal(claim="all without windows", arm="full", figure="held", value=64),
            ],
        ),
        training_part(
            arms=list(PATTERNS),
            training=Training(model=model, how=how),
            sizes=SIZES,
            checks=[
                Less(claim="W = 8 is better than W = 2", arm="W = 8", than="W = 2", figure=BITS),
                Less(claim="full is better than W = 8", arm="full", than="W = 8", figure=BITS),
                *(
                    NotWorse(claim=claim, arm=arm, than="full", figure=BITS, margin=0.02)
                    for claim, arm in (
                        ("half of the context is within 0.02 of all", "W = 32"),
                        ("so is a window in three of four layers", "W = 8, 3:1"),
                        ("and in one of two", "W = 8, 1:1"),
                    )
                ),
            ],
            rates=(0.015, 0.03),
            tuning_seeds=TUNING_SEEDS[:1],
        ),
    ],
    panels=[
        Lines(
            part="window",
            x="tokens",
            y="kept",
            x_label="tokens read",
            y_label="bytes of keys and values",
        ),
        Bars(part="loss", figure=BITS, label="bits per byte, held out"),
    ],
    bounds="Mistral counts the token itself among the W, as here, so L layers reach L x (W - 1) "
    "tokens back; its L x W is a round figure. Losses are of 4 layers and 64 tokens, where Gemma "
    "3 has 32,768 and windows of 1,024. In so few steps a small model learns from near tokens, "
    "and windows leave it nothing else: they are ahead of the full context, which the paper's are "
    "not.",
    expects="The smaller the window the worse; 1:1 as good as the full context, 3:1 nearly.",
)
