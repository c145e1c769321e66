"""The transformer of pairs: how many heads, why scores are scaled, and whether it needs warm-up."""

from __future__ import annotations

import torch

from gpt.lab.apparatus import sparse
from gpt.lab.apparatus.pairs import GPU, LOSS, MATCH, SMOKE, How, PairTraining, decoding_error
from gpt.lab.checks import Above, Below, Grows, Less, NotWorse
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Lines, Part, Setting, Source
from gpt.model.build import build_model
from gpt.spec.attention import GroupedQuery
from gpt.spec.encoder_decoder import EncoderDecoder
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm
from gpt.spec.position import Sinusoidal
from gpt.spec.schedule import Cosine
from gpt.spec.scoring import Dot, ScaledDot
from gpt.spec.wiring import PostNorm

TWO = {"layers": 2, "width": 32}
CPU = {"layers": 1, "width": 64, "steps": 500, "pairs": 4000, "longest": 8, "batch": 384}


def attention(arm: str) -> GroupedQuery:
    """Return the attention of an arm: its heads, all together as wide as the model, and scores."""
    heads = int(arm.split()[0])
    score = Dot() if arm.endswith(" unscaled") else ScaledDot()
    return GroupedQuery(heads=heads, kv_heads=heads, score=score)


def model(setting: Setting) -> EncoderDecoder:
    """Return the model of an arm."""
    return EncoderDecoder(
        context=16,
        layers=setting.size["layers"],
        width=setting.size["width"],
        attention=attention(setting.arm),
        position=Sinusoidal(),
        mlp=MLP(activation="relu"),
        norm=LayerNorm(),
        wiring=PostNorm(),
        bias=True,
    )


def how(setting: Setting) -> How:
    """Return how an arm is trained: with or without warm-up."""
    return How(schedule=Cosine(warmup=0.0 if "no warm-up" in setting.arm else 0.1, floor=0.1))


def variances(setting: Setting) -> Figures:
    """Measure scores of random queries and keys, of variance 1, and the entropy of 64 of them."""
    draw, widths = torch.Generator().manual_seed(setting.seed), (4, 8, 16, 32, 64, 128, 256, 512)
    variance, entropy = [], []
    for width in widths:
        queries, keys = (torch.randn(n, width, generator=draw) for n in (512, 64))
        scores = queries @ keys.T * (attention(setting.arm).dot_factor(width) or 0)
        variance.append(float(scores.var()))
        entropy.append(float(torch.special.entr(scores.softmax(-1)).sum(-1).mean()))
    return {
        "widths": [float(width) for width in widths],
        "variance": variance,
        "entropy": entropy,
        "widest": entropy[-1],
    }


@torch.inference_mode()
def definition(setting: Setting) -> Figures:
    """Compare attention with softmax(Q K^T / sqrt(d_k)) V, and decoding with reading at once."""
    gpt = sparse.model(attention(setting.arm), 7, 32, torch.float64)
    draw = torch.Generator().manual_seed(1)
    x = 3 * torch.randn(2, 7, 32, dtype=torch.float64, generator=draw)
    pairs = build_model(model(setting).with_vocabulary(16), 0).eval()
    return {
        "error": float((sparse.attend(gpt, x) - sparse.written_out(gpt, x)).abs().max()),
        "decoding": decoding_error(pairs, 16),
    }


TRAINING = PairTraining(model=model, how=how)

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
            arms=["1 head", "1 head, unscaled"],
            measure=variances,
            sizes={"smoke": {}, "cpu": {}, "gpu": {}},
            checks=[
                *(
                    Grows(claim=claim, arm=arm, x="widths", y="variance", between=between)
                    for arm, between, claim in (
                        ("1 head, unscaled", (0.95, 1.05), "unscaled: the variance grows as d_k"),
                        ("1 head", (-0.05, 0.05), "scaled: it does not"),
                    )
                ),
                Below(claim="one key has all", arm="1 head, unscaled", figure="widest", bound=0.5),
                Above(claim="scaled: many have", arm="1 head", figure="widest", bound=3),
            ],
        ),
        Part(
            name="definition",
            kind="EXACT",
            arms=["2 heads", "2 heads, unscaled"],
            measure=definition,
            sizes={"smoke": TWO, "cpu": TWO, "gpu": TWO},
            checks=[
                Below(claim="scaled: as defined", arm="2 heads", figure="error", bound=1e-10),
                Above(claim="unscaled: not", arm="2 heads, unscaled", figure="error", bound=1e-3),
                Below(claim="decoding equals reading at once", figure="decoding", bound=1e-4),
            ],
        ),
        Part(
            name="translation",
            kind="QUALITY",
            arms=[
                "8 heads",
                "1 head",
                "4 heads",
                "16 heads",
                "1 head, unscaled",
                "8 heads, no warm-up",
            ],
            measure=TRAINING,
            sizes={"smoke": SMOKE, "cpu": CPU, "gpu": GPU},
            rates=(1e-3, 3e-3, 1e-2),
            chosen_by=LOSS,
            cost=TRAINING.cost,
            noise_of=LOSS,
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                Less(claim="8 heads beat 1", arm="8 heads", than="1 head", figure=LOSS),
                Less(claim="scaling helps", arm="1 head", than="1 head, unscaled", figure=LOSS),
                Less(claim="warm-up helps", arm="8 heads", than="8 heads, no warm-up", figure=LOSS),
                NotWorse(
                    claim="8 heads are as good as 16",
                    arm="8 heads",
                    than="16 heads",
                    figure=LOSS,
                    margin=0.02,
                ),
            ],
        ),
    ],
    panels=[
        Lines(
            part="variance", x="widths", y="entropy", x_label="d_k", y_label="entropy", log=("x",)
        ),
        Bars(part="translation", figure=LOSS, label="nats per token of a target, held out"),
        Bars(part="translation", figure=MATCH, label="% translated exactly"),
    ],
    bounds="Sources are letters of ten kinds, copied or reversed; a layer on either side of width "
    "64, so that 16 heads have 4 features each; Adam and a cosine, with the best of three learning "
    "rates for each arm; no label smoothing, dropout or averaging of checkpoints.",
    expects="Variances as claimed; one head worse than several, no peak that is beyond noise; one "
    "unscaled head worse; warm-up needed a little, since each arm has its own best rate.",
)
