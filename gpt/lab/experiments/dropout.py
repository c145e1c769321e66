"""Dropout: less overfitting, and an average of many networks for the price of one."""

from __future__ import annotations

import itertools
from functools import partial

import torch
from torch import Tensor, nn

from gpt.lab.apparatus import digits
from gpt.lab.apparatus.probes import random_ids, random_model
from gpt.lab.apparatus.texts import short_shards
from gpt.lab.apparatus.training import BITS, Run, Training, small_model, training_part
from gpt.lab.checks import Below, Less, NotWorse
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Lines, Part, Setting, Source
from gpt.nn.dropout import Dropout as DropoutModule
from gpt.spec.architecture import Architecture
from gpt.spec.dropout import Dropout

VOCAB = 512


def p_of(setting: Setting) -> float:
    """Return the probability of an arm."""
    return float(setting.arm.partition("=")[2])


def definition(setting: Setting) -> Figures:
    """Count what is dropped, and average a softmax layer over all its thinned networks."""
    p, inputs = p_of(setting), 10
    generator = torch.Generator().manual_seed(setting.seed)
    x, weight = (
        torch.randn(n, inputs, dtype=torch.float64, generator=generator)
        for n in (1, digits.CLASSES)
    )
    masks = torch.tensor(list(itertools.product((0.0, 1.0), repeat=inputs)), dtype=torch.float64)
    kept = masks.sum(-1)
    probability = (1 - p) ** kept * p ** (inputs - kept)
    logs = (masks * x / (1 - p) @ weight.T).log_softmax(-1)
    average = (probability[:, None] * logs).sum(0).softmax(-1)  # the geometric mean, normalized
    module, ones = DropoutModule(p).train(), torch.ones(1 << 18)
    dropped = digits.seeded(setting.seed, lambda: module(ones))
    gpt, plain = (
        random_model(Architecture(context=16, width=32, dropout=each), VOCAB, setting.seed)
        for each in (Dropout(rate=p), Dropout())
    )
    ids = random_ids(gpt, 2, 16)
    return {
        "scaling": float((average - (x @ weight.T).softmax(-1)).abs().max()),
        "dropped": abs((dropped == 0).double().mean().item() - p),
        "mean": abs(dropped.double().mean().item() - 1),
        "evaluation": float((gpt(ids) - plain(ids)).detach().abs().max()),
    }


def network(p: float, width: int) -> nn.Sequential:
    """Return an MLP of two hidden layers, each with dropout."""
    hidden = [
        [nn.Linear(inputs, width), nn.ReLU(), DropoutModule(p)] for inputs in (digits.PIXELS, width)
    ]
    return nn.Sequential(*itertools.chain(*hidden), nn.Linear(width, digits.CLASSES))


@torch.no_grad()
def thinned(mlp: nn.Module, images: digits.Images, count: int) -> Tensor:
    """Return the errors of averages of 1 to *count* thinned networks, by their probabilities."""
    mlp.train()
    each = torch.stack([mlp(images.pixels).softmax(-1) for _ in range(count)])
    return (each.cumsum(0).argmax(-1) != images.labels).double().mean(-1)


def classify(setting: Setting) -> Figures:
    """Train on some fractions of the digits; return the test errors in percent."""
    size, p, seed = setting.size, p_of(setting), setting.seed
    errors, images, averages = [], [], torch.zeros(size["networks"])
    for fraction in size["fractions"]:
        train, test = digits.digits(seed, fraction, device=setting.device)
        mlp = digits.seeded(seed, lambda: network(p, size["width"])).to(setting.device)
        optimizer = torch.optim.AdamW(mlp.parameters(), lr=setting.rate or 0.0)
        digits.fit(mlp, train, optimizer, steps=size["steps"], rows=size["rows"], seed=seed)
        errors.append(100 * (1 - digits.accuracy(mlp, test)))
        images.append(float(len(train)))
        averages = 100 * digits.seeded(seed, partial(thinned, mlp, test, size["networks"]))
    return {
        "images": images,
        "errors": errors,
        "error": sum(errors) / len(errors),
        "scaled": errors[-1],
        "one": float(averages[0]),
        "average": float(averages[-1]),
        "networks": [float(n + 1) for n in range(len(averages))],
        "averages": averages.tolist(),
    }


def model(setting: Setting) -> Architecture:
    """Return the decoder of an arm, with dropout after the embedding and each branch."""
    return small_model(
        setting,
        dropout=Dropout(rate=p_of(setting)),
    )


def how(setting: Setting) -> Run:
    """Return how a decoder is trained: many epochs of a short text."""
    size = setting.size
    data = short_shards(size["characters"], VOCAB)
    return Run(steps=size["steps"], vocab=VOCAB, data=data, device=setting.device)


DIGITS = {"fractions": (0.1, 0.3, 1.0), "width": 256, "steps": 300, "rows": 64, "networks": 50}
SMALL = {"fractions": (0.1, 1.0), "width": 32, "steps": 3, "rows": 32, "networks": 3}
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
            sizes={name: {} for name in ("smoke", "cpu", "gpu")},
            checks=[
                Below(
                    claim="a softmax layer is the geometric mean of its thinned networks",
                    figure="scaling",
                    bound=1e-12,
                ),
                Below(claim="p is dropped", figure="dropped", bound=5e-3),
                Below(claim="the mean stays", figure="mean", bound=5e-3),
                Below(claim="nothing is dropped in evaluation", figure="evaluation", bound=0.0),
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
                Less(
                    claim="p = 0.5 lowers the test error", arm="p=0.5", than="p=0", figure="error"
                ),
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
                "gpu": {"context": 256, "layers": 6, "width": 384, "steps": 5000}
                | {"characters": 400000},
            },
            rates=(1e-3, 2e-3, 4e-3, 8e-3),
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                Less(
                    claim=f"{p} lowers the loss of a decoder that overfits",
                    arm=p,
                    than="p=0",
                    figure=BITS,
                )
                for p in ("p=0.1", "p=0.3")
            ],
        ),
    ],
    panels=[
        Lines(
            part="digits",
            x="images",
            y="errors",
            x_label="images to train on",
            y_label="test error, %",
            log=("x",),
        ),
        Lines(
            part="digits",
            arms=["p=0.2", "p=0.5", "p=0.8"],
            x="networks",
            y="averages",
            x_label="thinned networks averaged",
            y_label="test error, %",
        ),
        Bars(part="text", figure=BITS, label="bits per byte, held out"),
    ],
    bounds="Here are 1,797 digits of 8 x 8 pixels, and networks of 90,000 weights, without "
    "max-norm and momentum; differences of few images are noise. Inputs are not dropped. The text "
    "was made as short as the decoder needs to overfit: with twice as much, dropout did harm.",
    expects="Lower errors with p = 0.5, most at some middle number of images; p = 0.1 to 0.3 "
    "lowers the loss of the decoder.",
)
