"""Dropout: less overfitting, and an average of many networks for the price of one."""

from __future__ import annotations

import torch
from torch import nn

from gpt.lab.apparatus import definitions, digits
from gpt.lab.apparatus.probes import random_ids, random_model
from gpt.lab.apparatus.texts import short_shards
from gpt.lab.apparatus.training import BITS, Run, Training, small_model, training_part
from gpt.lab.checks import Below, Less, NotWorse
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Lines, Part, Setting, Source
from gpt.nn.dropout import Dropout as DropoutModule
from gpt.spec.architecture import Architecture
from gpt.spec.dropout import Dropout

VOCAB = 512
DIGITS = {"fractions": (0.1, 0.3, 1.0), "width": 256, "steps": 300, "rows": 64, "networks": 50}
SMALL = {"fractions": (0.1, 1.0), "width": 32, "steps": 3, "rows": 32, "networks": 3}
LARGE = {"context": 256, "layers": 6, "width": 384, "steps": 5000, "characters": 400_000}


def p_of(setting: Setting) -> float:
    """Return the probability of an arm."""
    return float(setting.arm.removeprefix("p="))


def definition(setting: Setting) -> Figures:
    """Count what is dropped, and average a softmax layer over all its thinned networks."""
    p, draw = p_of(setting), torch.Generator().manual_seed(setting.seed)
    x = torch.randn(10, dtype=torch.float64, generator=draw)
    weight = torch.randn(digits.CLASSES, 10, dtype=torch.float64, generator=draw)
    mean = definitions.thinned(x, weight, p)
    dropped = digits.seeded(setting.seed, lambda: DropoutModule(p)(torch.ones(1 << 18)).double())
    gpt, plain = (
        random_model(Architecture(context=16, width=32, dropout=Dropout(rate=rate)), VOCAB, 0)
        for rate in (p, 0.0)
    )
    ids = random_ids(gpt, 2, 16)
    return {
        "scaling": float((mean - (weight @ x).softmax(-1)).abs().max()),
        "dropped": abs(float((dropped == 0).double().mean()) - p),
        "mean": abs(float(dropped.mean()) - 1),
        "evaluation": float((gpt(ids) - plain(ids)).detach().abs().max()),
    }


def network(p: float, width: int) -> nn.Sequential:
    """Return an MLP of two hidden layers, each with dropout."""
    first, second = nn.Linear(digits.PIXELS, width), nn.Linear(width, width)
    hidden = first, nn.ReLU(), DropoutModule(p), second, nn.ReLU(), DropoutModule(p)
    return nn.Sequential(*hidden, nn.Linear(width, digits.CLASSES))


def classify(setting: Setting) -> Figures:
    """Train on some fractions of the digits; return the test errors in percent."""
    size, p, seed = setting.size, p_of(setting), setting.seed
    errors = []
    for fraction in size["fractions"]:
        train, test = digits.digits(seed, fraction, device=setting.device)
        mlp = digits.seeded(seed, lambda: network(p, size["width"])).to(setting.device)
        optimizer = torch.optim.AdamW(mlp.parameters(), lr=setting.rate or 0.0)
        digits.fit(mlp, train, optimizer, steps=size["steps"], rows=size["rows"], seed=seed)
        errors.append(100 * (1 - digits.accuracy(mlp, test)))
    averages = digits.seeded(seed, lambda: digits.accuracy_of_averages(mlp, test, size["networks"]))
    return {
        "fractions": list(size["fractions"]),
        "errors": errors,
        "error": sum(errors) / len(errors),
        "scaled": errors[-1],
        "one": 100 * (1 - float(averages[0])),
        "average": 100 * (1 - float(averages[-1])),
    }


def model(setting: Setting) -> Architecture:
    """Return the decoder of an arm, with dropout after the embedding and each branch."""
    return small_model(setting, dropout=Dropout(rate=p_of(setting)))


def how(setting: Setting) -> Run:
    """Return how a decoder is trained: many epochs of a short text."""
    data = short_shards(setting.size["characters"], VOCAB)
    return Run(steps=setting.size["steps"], vocab=VOCAB, data=data, device=setting.device)


EXPERIMENT = Experiment(
    id="dropout",
    question="How much does dropout help, and does scaling weights average its networks?",
    source=Source(
        paper="Srivastava 2014, Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
        link="https://jmlr.org/papers/v15/srivastava14a.html",
        where="section 6.1, MNIST: 1.60% without, 1.35% with; section 7, figures 9 to 11",
    ),
    claim="Dropout lowers the test error; scaling the weights is as good as averaging 50 thinned "
    "networks, one of which is worse.",
    parts=[
        Part(
            name="definition",
            kind="EXACT",
            arms=["p=0.5", "p=0.2"],
            measure=definition,
            sizes={"smoke": {}, "cpu": {}, "gpu": {}},
            checks=[
                Below(claim=claim, figure=figure, bound=bound)
                for figure, bound, claim in (
                    ("scaling", 1e-12, "a softmax layer is the geometric mean of all its networks"),
                    ("dropped", 5e-3, "p is dropped"),
                    ("mean", 5e-3, "the mean stays"),
                    ("evaluation", 0.0, "nothing is dropped in evaluation"),
                )
            ],
        ),
        Part(
            name="digits",
            kind="QUALITY",
            arms=["p=0", "p=0.2", "p=0.5", "p=0.8"],
            measure=classify,
            sizes={"smoke": SMALL, "cpu": DIGITS, "gpu": {**DIGITS, "width": 2048, "steps": 5000}},
            rates=(1e-3, 3e-3, 1e-2),
            chosen_by="error",
            tuning_seeds=TUNING_SEEDS[:1],
            noise_of="error",
            checks=[
                Less(claim="p = 0.5 lowers the error", arm="p=0.5", than="p=0", figure="error"),
                Less(
                    claim="scaled weights are better than one thinned network",
                    arm="p=0.5",
                    than="p=0.5",
                    figure="scaled",
                    than_figure="one",
                ),
                NotWorse(
                    claim="and no worse than the average of 50, by 0.3 percentage points",
                    arm="p=0.5",
                    than="p=0.5",
                    figure="scaled",
                    than_figure="average",
                    margin=0.3,
                ),
            ],
        ),
        training_part(
            name="text",
            arms=["p=0", "p=0.1", "p=0.3"],
            training=Training(model=model, how=how),
            sizes={
                "smoke": {"context": 16, "layers": 1, "width": 32, "steps": 3, "characters": 20000},
                "cpu": {"context": 32, "layers": 2, "width": 96, "steps": 300, "characters": 15000},
                "gpu": LARGE,
            },
            rates=(1e-3, 2e-3, 4e-3, 8e-3),
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                Less(claim="p = 0.1 lowers a decoder's loss", arm="p=0.1", than="p=0", figure=BITS),
                Less(claim="so does p = 0.3", arm="p=0.3", than="p=0", figure=BITS),
            ],
        ),
    ],
    panels=[
        Lines(
            part="digits", x="fractions", y="errors", x_label="fraction of data", y_label="% wrong"
        ),
        Bars(part="text", figure=BITS, label="bits per byte, held out"),
    ],
    bounds="1,797 digits of 8 x 8 pixels; no max-norm, no momentum, no dropped inputs. The text is "
    "as short as the decoder needs to overfit: with twice as much, dropout did harm.",
    expects="Fewer errors with p = 0.5, most at a middle fraction; lower losses with 0.1 to 0.3.",
)
