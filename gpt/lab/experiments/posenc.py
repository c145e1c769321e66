"""Eight position encodings: what they are by definition, and how they read longer texts."""

from __future__ import annotations

import torch

from gpt.lab.apparatus.positions import DEFINITIONS, bits_by_length, deviations, longer, t5_for
from gpt.lab.apparatus.probes import cache_error, random_ids, random_model
from gpt.lab.apparatus.training import DIVERGED, Training, training_part
from gpt.lab.checks import Above, Below, Equal, Greater, Less, Within
from gpt.lab.experiment import (
    TUNING_SEEDS,
    Check,
    Experiment,
    Figures,
    Lines,
    Part,
    Setting,
    Sizes,
    Source,
)
from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.pattern import Causal, Full
from gpt.spec.position import ALiBi, AnyPosition, Learned, Music, Rope, Shaw, Sinusoidal

VOCAB, HEADS = 512, 4
FACTORS = (1, 2, 4)  # lengths of the texts that are read, as multiples of those in training
PATTERNS: dict[str, Causal | Full] = {"": Causal(), "both sides": Full()}


def model(setting: Setting) -> Architecture:
    """Return the model of an arm: its encoding, and whether tokens see later ones."""
    (name, _, sides), context = setting.arm.partition(", "), setting.size["context"]
    encodings: dict[str, AnyPosition | None] = {
        "none": None,
        "learned": Learned(),
        "sinusoidal": Sinusoidal(),
        "rotary": Rope(),
        "ALiBi": ALiBi(),
        "T5": t5_for(context),
        "Shaw": Shaw(distance=16),
        "Music": Music(distance=context - 1),
    }
    return Architecture(
        context=context,
        layers=setting.size["layers"],
        width=setting.size["width"],
        attention=GroupedQuery(heads=HEADS, kv_heads=HEADS, pattern=PATTERNS[sides]),
        position=encodings[name],
    )


@torch.no_grad()
def permuted(setting: Setting) -> Figures:
    """Permute the tokens of a text, and compare the logits with the permuted ones."""
    gpt = random_model(model(setting), VOCAB, setting.seed)
    ids = random_ids(gpt, 2, setting.size["context"])
    order = torch.randperm(ids.shape[1], generator=torch.Generator().manual_seed(0))
    before, after = gpt(ids)[:, order], gpt(ids[:, order])
    return {"change": float((before - after).abs().max() / before.abs().max())}


def definition(setting: Setting) -> Figures:
    """Compare an encoding with its definition, and decoding with reading the whole text."""
    gpt, context = random_model(model(setting), VOCAB, setting.seed), setting.size["context"]
    extends = float(longer(gpt, 2 * context) is not None)
    decoding, errors = cache_error(gpt, context), deviations(setting.arm, gpt, context)
    return {**errors, "decoding": decoding, "extends": extends}


def lengths(setting: Setting, gpt: GPT | None) -> Figures:
    """Return the bits per byte of held-out text, in windows of several lengths."""
    contexts = [times * setting.size["context"] for times in FACTORS]
    bits = bits_by_length(gpt, contexts, setting.device)
    short, *_, long = bits
    read = [float(context) for context in contexts[: sum(each < DIVERGED for each in bits)]]
    figures = {"short": short, "long": long, "rise": long - short if gpt else DIVERGED}
    return {**figures, "tokens": read, "bits": bits[: len(read)]}


SIZE = {"context": 24, "width": 32, "layers": 2}
FACTS: Sizes = {"smoke": SIZE, "cpu": SIZE, "gpu": SIZE}
CLAIMS = [
    ("sinusoidal", "shift", "PE(p + k) = M_k PE(p)", 3e-6),  # tables of angles are in float32
    ("rotary", "shift", "scores depend on m - n only", 3e-6),
    ("rotary", "norm", "norms do not change", 3e-6),
    *((arm, "error", "equal to its definition", 3e-6) for arm in DEFINITIONS),
    *((arm, "decoding", "decoding equals reading the whole text", 1e-10) for arm in DEFINITIONS),
]
DEFINED: list[Check] = [
    Below(claim=f"{arm}: {claim}", arm=arm, figure=figure, bound=bound)
    for arm, figure, claim, bound in CLAIMS
]
LAST = Equal(claim="learned: no later positions", arm="learned", figure="extends", value=0)
ORDERED = [NONE, BOTH, ROTARY] = ["none", "none, both sides", "rotary, both sides"]
ORDER: list[Check] = [
    Below(claim="without positions, permuting commutes", arm=BOTH, figure="change", bound=1e-12),
    Above(claim="the causal mask alone gives order", arm=NONE, figure="change", bound=0.01),
    Above(claim="rotary positions alone do", arm=ROTARY, figure="change", bound=0.01),
]

EXPERIMENT = Experiment(
    id="posenc",
    question="Which position encodings are good, and which of them read longer texts?",
    source=Source(
        paper="Fleetwood 2024, You could have designed state of the art positional encoding",
        link="https://huggingface.co/blog/designing-positional-encoding",
        where="from Desirable Properties to Rotary Positional Encoding; for longer texts Press "
        "2021, arXiv:2108.12409, figure 1",
    ),
    claim="Without positions attention does not see the order of tokens. A shift of sines is a "
    "rotation, and scores of rotated queries and keys depend on their distance only. Rotary "
    "positions are better than learned ones; longer texts are read well with ALiBi, not with "
    "sines and rotary positions.",
    parts=[
        Part(name="order", kind="EXACT", arms=ORDERED, measure=permuted, sizes=FACTS, checks=ORDER),
        Part(
            name="definition",
            kind="EXACT",
            arms=list(DEFINITIONS),
            measure=definition,
            sizes=FACTS,
            checks=[*DEFINED, LAST],
        ),
        training_part(
            arms=["none", *DEFINITIONS],
            training=Training(model=model, also=lengths),
            sizes={
                "smoke": {"context": 16, "width": 32, "layers": 1, "steps": 3},
                "cpu": {"context": 32, "width": 64, "layers": 2, "steps": 500},
                "gpu": {"context": 512, "width": 768, "layers": 12, "steps": 20_000},
            },
            checks=[
                Less(claim="rotary beats learned", arm="rotary", than="learned", figure="short"),
                Less(claim="learned beats none", arm="learned", than="none", figure="short"),
                *(
                    Greater(
                        claim=f"{arm}: long is worse",
                        arm=arm,
                        than=arm,
                        figure="long",
                        than_figure="short",
                    )
                    for arm in ("sinusoidal", "rotary")
                ),
                Within(claim="ALiBi: long is no worse", arm="ALiBi", figure="rise", high=0.02),
            ],
            rates=(3e-3, 1e-2, 3e-2),
            tuning_seeds=TUNING_SEEDS[:1],
        ),
    ],
    panels=[
        Lines(
            part="loss",
            x="tokens",
            y="bits",
            x_label="tokens of a window; the first is that of training",
            y_label="bits per byte, held out",
            log=("x",),
        )
    ],
    bounds="Models of 2 layers are trained on windows of 32 tokens, for 500 steps, and the "
    "longest texts have 128; the papers train on hundreds. A causal mask says something of "
    "positions: none is as good as learned ones in so few steps. T5's buckets are scaled to the "
    "windows. In longer windows fewer tokens have little context, which makes each look better.",
    expects="At the length of training rotary best, T5 and ALiBi next, then learned and sines, "
    "none last; at four times the length ALiBi flat, T5 a little worse, rotary and sines much.",
)
