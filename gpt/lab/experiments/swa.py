"""What a sliding window keeps, and how far information travels through layers of it."""

from __future__ import annotations

import torch

from gpt.lab.checks import Below, Equal
from gpt.lab.experiment import Experiment, Figures, Lines, Part, Setting, Source
from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.pattern import Causal, Window

VOCAB = 64
WINDOW, LAYERS, WIDTH, HEADS = 5, 3, 32, 4


def gpt_of(setting: Setting) -> GPT:
    """Return a model with a full pattern, or with windows, and weights that are all at work."""
    pattern = Causal() if setting.arm == "full" else Window(size=WINDOW)
    architecture = Architecture(
        context=setting.size["context"],
        layers=LAYERS,
        width=WIDTH,
        attention=GroupedQuery(heads=HEADS, kv_heads=HEADS, pattern=pattern),
    )
    gpt = GPT(GPTConfig.over(architecture, VOCAB), setting.seed).double()
    generator = torch.Generator().manual_seed(setting.seed)
    with torch.no_grad():
        for parameter in gpt.parameters():  # output projections are zero at first
            parameter.normal_(std=0.2, generator=generator)
    return gpt.eval()


def measure(setting: Setting) -> Figures:
    """Decode token by token, look at what is kept, and at what the last token depends on."""
    gpt, tokens = gpt_of(setting), setting.size["context"]
    ids = torch.randint(VOCAB, (1, tokens), generator=torch.Generator().manual_seed(1))
    cache = gpt.new_cache(1, torch.float64)
    with torch.inference_mode():
        steps = [gpt(ids[:, i : i + 1], cache=cache) for i in range(tokens)]
        error = (torch.cat(steps, 1) - gpt(ids)).abs().max().item()
    embedded: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
        embedded.append(output.detach().requires_grad_())
        return embedded[0]

    hook = gpt.embedding.register_forward_hook(keep)
    logits = gpt(ids)
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[0, -1].square().sum(), embedded[0])
    reached = gradient[0].abs().amax(-1) > 0
    kept = [float(cache.bytes_at(n)) for n in range(1, tokens + 1)]
    return {
        "error": error,
        "reach": float(tokens - 1 - int(reached.nonzero()[0])),
        "bytes": kept[-1],
        "tokens": [float(n) for n in range(1, tokens + 1)],
        "kept": kept,
    }


CONTEXT = 64
BYTES = LAYERS * 2 * WIDTH * 8
"""Bytes of the keys and values of a token in float64."""

EXPERIMENT = Experiment(
    id="swa",
    question="How far does a model see through layers of sliding windows, and what must it keep?",
    source=Source(
        paper="Jiang 2023, Mistral 7B",
        link="arXiv:2310.06825",
        where="section 2, figures 1 and 2",
    ),
    claim="With windows of W tokens the cache holds W tokens whatever the length, and information "
    "moves forward by up to W tokens a layer, so L layers see about L x W tokens.",
    parts=[
        Part(
            name="window",
            kind="EXACT",
            arms=["full", "window"],
            measure=measure,
            sizes={name: {"context": CONTEXT} for name in ("smoke", "cpu", "gpu")},
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
                    claim="without windows it depends on all",
                    arm="full",
                    figure="reach",
                    value=CONTEXT - 1,
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
        )
    ],
    panels=[
        Lines(
            part="window",
            x="tokens",
            y="kept",
            x_label="tokens read",
            y_label="bytes of keys and values",
        )
    ],
    bounds="Mistral counts the token itself among the W, as here, so L layers reach L x (W - 1) "
    "tokens back; its L x W is a round figure.",
)
