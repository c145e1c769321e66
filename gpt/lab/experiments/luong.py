"""Attention of a recurrent decoder: which scores, which windows, and what without."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from gpt.lab.apparatus.pairs import GPU, LOSS, MATCH, SMOKE, PairTraining, decoding_error
from gpt.lab.checks import Below, Greater, Less
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Lines, Part, Setting, Source
from gpt.model.build import build_model
from gpt.nn.context import Memory
from gpt.spec.dropout import Dropout
from gpt.spec.recurrent import Alignment, Recurrent
from gpt.spec.scoring import Additive, Dot, General, LocalP, Location

WINDOW = 2
ALIGNMENTS: dict[str, Alignment | None] = {
    "none": None,
    "dot": Alignment(score=Dot()),
    "general": Alignment(score=General()),
    "concat": Alignment(score=Additive()),
    "location": Alignment(score=Location()),
    "local-m": Alignment(score=General(), monotonic=WINDOW),
    "local-p": Alignment(score=General(), normalizer=LocalP(window=WINDOW)),
}
ATTENDING = [arm for arm in ALIGNMENTS if arm != "none"]


def model(setting: Setting) -> Recurrent:
    """Return the model of an arm."""
    return Recurrent(
        context=16,
        layers=setting.size["layers"],
        width=setting.size["width"],
        alignment=ALIGNMENTS[setting.arm],
        dropout=Dropout(rate=0.0),
    )


def defined(arm: str, layer: Any, target: Tensor, states: Tensor, position: int) -> Tensor:
    """Return the weights of *states* (S, W) for a *target* (W,) by section 3 of the paper: (S,)."""
    score = layer.score
    index, values = torch.arange(len(states)), []
    for source, state in enumerate(states):
        if arm == "dot":
            value = target @ state
        elif arm == "concat":
            both = torch.cat((score.query.weight, score.key.weight), dim=1)
            value = score.vector.weight[0] @ (both @ torch.cat((target, state))).tanh()
        elif arm == "location":
            value = (score.query.weight @ target)[source]
        else:
            value = target @ score.query.weight.T @ state
        values.append(value)
    scores, center = torch.stack(values), torch.tensor(float(min(position, len(states) - 1)))
    if arm == "local-p":
        hidden = (layer.normalizer.hidden.weight @ target).tanh()
        center = len(states) * (layer.normalizer.center.weight[0] @ hidden).sigmoid()
    distances = index - center
    if arm.startswith("local"):
        scores[distances.abs() > WINDOW] = -math.inf
    gaussian = (-distances.square() / (2 * (WINDOW / 2) ** 2)).exp()
    return scores.softmax(0) * (gaussian if arm == "local-p" else 1)


@torch.inference_mode()
def weights(setting: Setting) -> Figures:
    """Compare weights with their definition, and decoding with reading the whole target."""
    model_ = build_model(model(setting).with_vocabulary(16), setting.seed)
    network: Any = model_.double().eval()
    draw = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.normal_(std=0.5, generator=draw)
    width, layer, tokens = setting.size["width"], network.attention, 6
    targets, states = (
        torch.randn(1, n, width, dtype=torch.float64, generator=draw) for n in (tokens, 9)
    )
    memory = Memory(states, torch.ones(1, 9, dtype=torch.bool))
    plain = [defined(setting.arm, layer, targets[0, i], states[0], i) for i in range(tokens)]
    error = (layer.weights(targets, memory, 0)[0] - torch.stack(plain)).abs().max()
    return {"error": float(error), "decoding": decoding_error(network, 16)}


TRAINING = PairTraining(model=model)
WIDTH = {"width": 8, "layers": 1}
CPU = {"layers": 1, "width": 48, "steps": 400, "pairs": 4000, "longest": 12, "batch": 512}
BEATS = [
    Greater(claim=f"{arm} beats {than}", arm=arm, than=than, figure=MATCH)
    for arm, thans in (("general", ("none", "location")), ("local-p", ("general", "local-m")))
    for than in thans
]
EXPERIMENT = Experiment(
    id="luong",
    question="What does attention add to a recurrent translator, and which kind of it?",
    source=Source(
        paper="Luong 2015, Effective Approaches to Attention-based Neural Machine Translation",
        link="arXiv:1508.04025",
        where="section 3; table 1, BLEU 14.0 without attention, 16.8 with location, 18.1 with "
        "input feeding, 19.0 with local-p; figure 6, by length",
    ),
    claim="Attention adds up to 5.0 BLEU, the more the longer the sentences are; local attention "
    "to a predicted position is the best, location the weakest score.",
    parts=[
        Part(
            name="weights",
            kind="EXACT",
            arms=ATTENDING,
            measure=weights,
            sizes={"smoke": WIDTH, "cpu": WIDTH, "gpu": WIDTH},
            checks=[
                Below(claim=f"{arm}: {claim}", arm=arm, figure=figure, bound=1e-6)
                for figure, claim in (
                    ("error", "weights as defined"),
                    ("decoding", "step by step as at once"),
                )
                for arm in ATTENDING
            ],
        ),
        Part(
            name="translation",
            kind="QUALITY",
            arms=list(ALIGNMENTS),
            measure=TRAINING,
            sizes={"smoke": SMOKE, "cpu": CPU, "gpu": GPU},
            checks=[
                Less(claim="less is lost in long ones", arm="general", than="none", figure="drop"),
                Greater(
                    claim="general beats location", arm="general", than="location", figure=MATCH
                ),
                Greater(
                    claim="local-m is good only where order is kept",
                    arm="local-m",
                    than="local-m",
                    figure="monotone",
                    than_figure="reversed",
                ),
                *BEATS,
            ],
            rates=(3e-3, 1e-2),
            chosen_by=LOSS,
            cost=TRAINING.cost,
            noise_of=MATCH,
            tuning_seeds=TUNING_SEEDS[:1],
        ),
    ],
    panels=[
        Lines(
            part="translation",
            x="letters",
            y="by length",
            x_label="letters of a source",
            y_label="% translated exactly",
        ),
        Bars(part="translation", figure="reversed", label="% of the reversed translated exactly"),
    ],
    bounds="Sources are letters of ten kinds, copied or reversed, instead of German; the model "
    "has one layer of width 48, and windows of 2 on either side instead of 10. Where a letter "
    "comes from follows from its position, which the score location can learn. Exact matches of "
    "sources of 2 to 12 letters are counted, not BLEU: those of general and local-p differ by 40% "
    "and more between seeds, some of which learn one order alone. The best of two learning rates "
    "is taken, which is the larger for all.",
    expects="Attention far better than none, the gap growing with length; location near general, "
    "since the orders are functions of position; local-m good on the monotone half only.",
)
