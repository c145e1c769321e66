"""The transformer of pairs: how many heads, why scores are scaled, and whether it needs warm-up."""

from __future__ import annotations

import torch

from gpt.lab.apparatus import sparse
from gpt.lab.apparatus.pairs import GPU, LOSS, MATCH, SMOKE, How, PairTraining, decoding_error
from gpt.lab.checks import Above, Below, Grows, Less, NotWorse
from gpt.lab.experiment import (
    TUNING_SEEDS,
    Bars,
    Check,
    Experiment,
    Figures,
    Lines,
    Part,
    Setting,
    Source,
)
from gpt.model.build import build_model
from gpt.spec.attention import GroupedQuery
from gpt.spec.encoder_decoder import EncoderDecoder
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm
from gpt.spec.position import Sinusoidal
from gpt.spec.schedule import Cosine
from gpt.spec.scoring import Dot, ScaledDot
from gpt.spec.wiring import PostNorm

SCORES: dict[str, ScaledDot | Dot] = {"scaled": ScaledDot(), "unscaled": Dot()}
WARMUP = 0.1
MORE = ["1 head", "2 heads", "4 heads", "16 heads", "1 head, unscaled", "8 heads, no warm-up"]


def attention(heads: int, score: str) -> GroupedQuery:
    """Return attention of *heads* heads, all together as wide as the model."""
    return GroupedQuery(heads=heads, kv_heads=heads, score=SCORES[score])


def model(setting: Setting) -> EncoderDecoder:
    """Return the model of an arm: its heads, and whether their scores are scaled."""
    score = "unscaled" if setting.arm.endswith(" unscaled") else "scaled"
    return EncoderDecoder(
        context=16,
        layers=setting.size["layers"],
        width=setting.size["width"],
        attention=attention(int(setting.arm.split()[0]), score),
        position=Sinusoidal(),
        mlp=MLP(activation="relu"),
        norm=LayerNorm(),
        wiring=PostNorm(),
        bias=True,
    )


def how(setting: Setting) -> How:
    """Return how an arm is trained: with or without warm-up."""
    warmup = 0.0 if setting.arm.endswith("no warm-up") else WARMUP
    return How(schedule=Cosine(warmup=warmup, floor=0.1))


def variances(setting: Setting) -> Figures:
    """Measure scores of random queries and keys, of variance 1, and the entropy of 64 of them."""
    draw, widths = torch.Generator().manual_seed(setting.seed), setting.size["widths"]
    variance, entropy = [], []
    for width in widths:
        queries, keys = (torch.randn(n, width, generator=draw) for n in (512, 64))
        scores = queries @ keys.T
        scores *= attention(1, setting.arm).dot_factor(width) or 0
        variance.append(float(scores.var()))
        entropy.append(float(torch.special.entr(scores.softmax(-1)).sum(-1).mean()))
    series = {"widths": [float(width) for width in widths], "variance": variance}
    return {**series, "entropy": entropy, "widest": entropy[-1]}


@torch.inference_mode()
def definition(setting: Setting) -> Figures:
    """Compare attention with softmax(Q K^T / sqrt(d_k)) V, and decoding with reading at once."""
    draw, tokens = torch.Generator().manual_seed(1), 7
    gpt = sparse.model(attention(2, setting.arm), tokens, 32, torch.float64)
    x = 3 * torch.randn(2, tokens, 32, dtype=torch.float64, generator=draw)
    error = (sparse.attend(gpt, x) - sparse.written_out(gpt, x)).abs().max()
    arm = "8 heads" if setting.arm == "scaled" else "1 head, unscaled"
    config = model(Setting(arm=arm, size=setting.size)).with_vocabulary(16)
    decoding = decoding_error(build_model(config, 0).eval(), 16)
    return {"error": float(error), "decoding": decoding}


TRAINING = PairTraining(model=model, how=how)
CPU = {"layers": 1, "width": 64, "steps": 500, "pairs": 4000, "longest": 8, "batch": 384}
TWO = {"layers": 2, "width": 32}
WIDTHS = {"widths": (4, 8, 16, 32, 64, 128, 256, 512)}
VARIANCE: list[Check] = [
    Grows(claim=f"{arm}: {claim}", arm=arm, x="widths", y="variance", between=between)
    for arm, between, claim in (
        ("unscaled", (0.95, 1.05), "the variance grows as d_k"),
        ("scaled", (-0.05, 0.05), "it does not"),
    )
]
WIDEST: list[Check] = [
    Below(claim="unscaled: one key has all", arm="unscaled", figure="widest", bound=0.5),
    Above(claim="scaled: many have", arm="scaled", figure="widest", bound=3),
]
DEFINED: list[Check] = [
    Below(claim="scaled: as defined", arm="scaled", figure="error", bound=1e-10),
    Above(claim="unscaled: not", arm="unscaled", figure="error", bound=1e-3),
    Below(claim="scaled: decoding", arm="scaled", figure="decoding", bound=1e-4),
    Below(claim="unscaled: decoding", arm="unscaled", figure="decoding", bound=1e-4),
]
BETTER = {"1 head": "8 heads", "1 head, unscaled": "1 head", "8 heads, no warm-up": "8 heads"}
BEATS: list[Check] = [
    Less(claim=f"{arm} beats {than}", arm=arm, than=than, figure=LOSS)
    for than, arm in BETTER.items()
]
MANY = NotWorse(claim="8 as good as 16", arm="8 heads", than="16 heads", figure=LOSS, margin=0.02)
EXPERIMENT = Experiment(
    id="vaswani",
    question="What do several heads, scaled scores and warm-up do for a transformer of pairs?",
    source=Source(
        paper="Vaswani 2017, Attention Is All You Need",
        link="arXiv:1706.03762",
        where="section 3.2.1 and its footnote 4; table 3, rows (A): BLEU 24.9 with 1 head, 25.5 "
        "with 4, 25.8 with 8 and 16, 25.4 with 32",
    ),
    claim="Scores of random queries and keys have the variance d_k, so they are divided by its "
    "root; one head is 0.9 BLEU worse than eight, and too many are worse, too.",
    parts=[
        Part(
            name="variance",
            kind="EXACT",
            arms=list(SCORES),
            measure=variances,
            sizes={"smoke": WIDTHS, "cpu": WIDTHS, "gpu": WIDTHS},
            checks=[*VARIANCE, *WIDEST],
        ),
        Part(
            name="definition",
            kind="EXACT",
            arms=list(SCORES),
            measure=definition,
            sizes={"smoke": TWO, "cpu": TWO, "gpu": TWO},
            checks=DEFINED,
        ),
        Part(
            name="translation",
            kind="QUALITY",
            arms=["8 heads", *MORE],
            measure=TRAINING,
            sizes={"smoke": SMOKE, "cpu": CPU, "gpu": GPU},
            checks=[*BEATS, MANY],
            rates=(3e-3, 1e-2, 2e-2),
            chosen_by=LOSS,
            cost=TRAINING.cost,
            noise_of=LOSS,
            tuning_seeds=TUNING_SEEDS[:1],
        ),
    ],
    panels=[
        Lines(
            part="variance",
            x="widths",
            y="entropy",
            x_label="width of queries and keys, d_k",
            y_label="entropy of the weights of 64 keys, nats",
            log=("x",),
        ),
        Bars(part="translation", figure=LOSS, label="nats per token of a target, held out"),
        Bars(part="translation", figure=MATCH, label="% translated exactly"),
    ],
    bounds="Sources are letters of ten kinds, copied or reversed, instead of German; one layer on "
    "either side of width 64, so that 16 heads have 4 features each; Adam, and a cosine instead of "
    "the paper's schedule, with the best of two learning rates for each arm. There is no label "
    "smoothing, dropout or averaging of checkpoints.",
    expects="Variances as claimed; one head worse than several, no peak that is beyond noise; one "
    "unscaled head worse; warm-up needed a little, since each arm has its own best rate.",
)
