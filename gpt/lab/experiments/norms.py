"""Layer, RMS and batch normalization beside each other: what each notices, rounds and leaks."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F

from gpt.lab.apparatus.norms import CASTS, CHANGES, EXACT, FOLDING, SPECS, formula_part, model
from gpt.lab.apparatus.probes import leak, random_model
from gpt.lab.apparatus.texts import english_shards
from gpt.lab.apparatus.training import BITS, ROUNDING, Training, rows_of, training_part
from gpt.lab.checks import Above, Below, Greater, Less, NotWorse
from gpt.lab.experiment import (
    TUNING_SEEDS,
    Bars,
    Experiment,
    Figures,
    Grid,
    Lines,
    Part,
    Setting,
    Source,
)
from gpt.model.gpt import GPT
from gpt.spec.norm import BatchNorm, LayerNorm, RMSNorm

VOCAB = 512
NORMS = {"layer": LayerNorm(), "rms": RMSNorm(), "batch": BatchNorm(leaks=True), "none": None}


def leaks(setting: Setting) -> Figures:
    """Change later tokens, and look at the logits before them."""
    gpt = random_model(model(setting, NORMS), VOCAB, 0)
    return {"leak": leak(gpt.train(not setting.arm.endswith("evaluated")))}


def gaps(setting: Setting, gpt: GPT | None) -> Figures:
    """Predict held-out rows as in training, so many at a time, and as in evaluation."""
    counts = [1, 2, 4, 8, 16, 32]
    found = [float("nan")] * len(counts)
    if gpt is not None:
        inputs, targets, *_ = rows_of(gpt, english_shards(VOCAB), "val", 64)
        with torch.no_grad():
            losses = {
                (training, count): torch.stack(
                    [
                        F.cross_entropy(gpt.train(training)(x).flatten(0, 1), y.flatten())
                        for x, y in zip(
                            torch.split(inputs, count), torch.split(targets, count), strict=True
                        )
                    ]
                ).mean()
                for training in (False, True)  # training changes the moving averages
                for count in counts
            }
        found = [float(losses[True, count] - losses[False, count]) for count in counts]
    return {"rows": [float(count) for count in counts], "gaps": found, "gap": abs(found[-2])}


EXPERIMENT = Experiment(
    id="norms",
    question="Why do transformers normalize by layer or root mean square, and not by batch?",
    source=Source(
        paper="Zhang and Sennrich 2019, Root Mean Square Layer Normalization",
        link="arXiv:1910.07467",
        where="table 1: invariances; section 4. Ioffe and Szegedy 2015, arXiv:1502.03167; "
        "Touvron 2023, arXiv:2302.13971, for the order of casts",
    ),
    claim="Root mean square and layer normalization do not notice a row that is scaled, batch "
    "normalization a unit or data that are; statistics of a batch need a batch, and in a language "
    "model they let each token see later ones.",
    parts=[
        formula_part(list(SPECS)),
        CASTS,
        FOLDING,
        Part(
            name="leak",
            kind="EXACT",
            arms=["layer", "rms", "batch", "batch, evaluated", "none"],
            measure=leaks,
            sizes={name: {"context": 16, "layers": 2, "width": 32} for name in EXACT},
            checks=[
                *(
                    Below(
                        claim=f"{arm}: no later token",
                        arm=arm,
                        figure="leak",
                        bound=ROUNDING,
                    )
                    for arm in ("layer", "rms", "batch, evaluated", "none")
                ),
                Above(
                    claim="batch: in training, logits change with later tokens",
                    arm="batch",
                    figure="leak",
                    bound=0.01,
                ),
            ],
        ),
        training_part(
            arms=list(NORMS),
            training=Training(model=partial(model, norms=NORMS), also=gaps),
            sizes={
                "smoke": {"context": 16, "layers": 1, "width": 32, "steps": 3},
                "cpu": {"context": 64, "layers": 2, "width": 64, "steps": 300},
                "gpu": {"context": 512, "layers": 12, "width": 768, "steps": 20_000},
            },
            leaking=["batch"],
            rates=(3e-3, 1e-2, 3e-2, 1e-1),
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                NotWorse(
                    claim="rms is as good as layer",
                    arm="rms",
                    than="layer",
                    figure=BITS,
                    margin=0.02,
                ),
                Less(claim="layer is better than none", arm="layer", than="none", figure=BITS),
                Less(claim="layer is better than batch", arm="layer", than="batch", figure=BITS),
                Greater(
                    claim="batch predicts otherwise in training than in evaluation, by nats",
                    arm="batch",
                    than="layer",
                    figure="gap",
                ),
            ],
        ),
    ],
    panels=[
        Grid(
            part="formulas",
            figures={change.replace(" ", "\n", 1): change for change in CHANGES},
            label="1: the output does not change",
        ),
        Bars(part="loss", figure=BITS, label="bits per byte, held out"),
        Lines(
            part="loss",
            x="rows",
            y="gaps",
            x_label="rows of a batch",
            y_label="nats more in training mode",
            log=("x",),
        ),
    ],
    bounds="The invariances are of norms without eps. Batch normalization has the statistics of "
    "all tokens of a batch, as torch's BatchNorm1d does. Those of 1,024 tokens, as in training, "
    "are near those of all text, so that it does no harm in evaluation; fewer rows do (see the "
    "picture). The models have 2 layers of width 64, in which one without a norm still trains at "
    "its own rate; 300 steps are few.",
    expects="All equalities; rms within 0.01 of layer; none worse by 0.02 to 0.1 bits; batch worse "
    "than layer in evaluation, since it is trained on sums that later tokens are in.",
)
