"""What a sliding window keeps, how far information travels through it, and what it loses."""

from __future__ import annotations

import torch

from gpt.lab.apparatus.probes import cache_error, random_ids, random_model
from gpt.lab.apparatus.training import BITS, Run, Training, training_part
from gpt.lab.checks import Below, Equal, Less, NotWorse
from gpt.lab.experiment import (
    TUNING_SEEDS,
    Bars,
    Check,
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

CONTEXT, WINDOW, LAYERS, WIDTH, HEADS = 64, 5, 3, 32, 4
BYTES = LAYERS * 2 * WIDTH * 8
"""Bytes of the keys and values of a token in float64."""


def heads(pattern: Causal | Window) -> GroupedQuery:
    """Return multi-head attention with a pattern."""
    return GroupedQuery(heads=HEADS, kv_heads=HEADS, pattern=pattern)


def measure(setting: Setting) -> Figures:
    """Decode token by token, look at what is kept, and at what the last token depends on."""
    architecture = Architecture(
        context=CONTEXT,
        layers=LAYERS,
        width=WIDTH,
        attention=heads(Causal() if setting.arm == "full" else Window(size=WINDOW)),
    )
    gpt = random_model(architecture, 64, setting.seed)
    cache, tokens = gpt.new_cache(1, torch.float64), range(1, CONTEXT + 1)
    embedded: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
        embedded.append(output.detach().requires_grad_())
        return embedded[0]

    hook = gpt.embedding.register_forward_hook(keep)
    logits = gpt(random_ids(gpt, 1, CONTEXT))
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[0, -1].square().sum(), embedded[0])
    reached = gradient[0].abs().amax(-1) > 0
    kept = [float(cache.bytes_at(n)) for n in tokens]
    return {
        "error": cache_error(gpt, CONTEXT),
        "reach": float(CONTEXT - 1 - int(reached.nonzero()[0])),
        "bytes": float(cache.nbytes),
        "tokens": [float(n) for n in tokens],
        "kept": kept,
    }


PATTERNS: dict[str, Causal | Window] = {
    "full": Causal(),
    **{f"W = {size}": Window(size=size) for size in (2, 8, 32)},
    "W = 8, 3:1": Window(size=8, long_every=4),
    "W = 8, 1:1": Window(size=8, long_every=2),
}
"""Windows in all layers, or in so many for each with the full context."""


def model(setting: Setting) -> Architecture:
    """Return the model of an arm; its token shift makes attention useful in a short run."""
    attention = heads(PATTERNS[setting.arm])
    return Architecture(**setting.size["shape"], attention=attention, shift=TokenShift())


def how(setting: Setting) -> Run:
    """Return how it is trained."""
    return Run(steps=setting.size["steps"], optimizer=Muon(), device=setting.device)


SIZES: Sizes = {
    "smoke": {"shape": {"context": 16, "layers": 4, "width": 32}, "steps": 3},
    "cpu": {"shape": {"context": 64, "layers": 4, "width": 64}, "steps": 200},
    "gpu": {"shape": {"context": 4096, "layers": 8, "width": 512}, "steps": 20_000},
}
LOSS: list[Check] = [
    Less(claim="W = 8 is better than W = 2", arm="W = 8", than="W = 2", figure=BITS),
    Less(claim="the full context is better than W = 8", arm="full", than="W = 8", figure=BITS),
    *(
        NotWorse(claim=claim, arm=arm, than="full", figure=BITS, margin=0.02)
        for claim, arm in (
            ("half of the context is within 0.02 of all", "W = 32"),
            ("so is a window in three of four layers", "W = 8, 3:1"),
            ("and in one of two", "W = 8, 1:1"),
        )
    ),
]

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
            arms=["full", "window"],
            measure=measure,
            sizes=SIZES,
            checks=[
                Below(
                    claim="decoding with a cache of a window equals reading the whole text",
                    arm="window",
                    figure="error",
                    bound=1e-10,
                ),
                Equal(
                    claim="the last token depends on L x (W - 1) tokens before it, and no others",
                    arm="window",
                    figure="reach",
                    value=LAYERS * (WINDOW - 1),
                ),
                Equal(
                    claim="on all without windows", arm="full", figure="reach", value=CONTEXT - 1
                ),
                Equal(
                    claim="the cache holds W tokens",
                    arm="window",
                    figure="bytes",
                    value=WINDOW * BYTES,
                ),
                Equal(
                    claim="without windows it holds all",
                    arm="full",
                    figure="bytes",
                    value=CONTEXT * BYTES,
                ),
            ],
        ),
        training_part(
            arms=list(PATTERNS),
            training=Training(model=model, how=how),
            sizes=SIZES,
            checks=LOSS,
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
    "tokens back; its L x W is a round figure. Losses are of 4 layers and 64 tokens, where Gemma 3 "
    "has 32,768 and windows of 1,024.",
    expects="The smaller the window the worse; 1:1 as good as the full context, 3:1 nearly.",
)
