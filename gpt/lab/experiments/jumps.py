"""Whether the training loss steps down where an epoch begins, if examples can only be memorized."""

from __future__ import annotations

import numpy as np

from gpt.lab.apparatus.facts import EPOCHS, FACTORS, ROWS, plain_losses, plan
from gpt.lab.apparatus.turns import in_memory
from gpt.lab.checks import Above, Below, Greater, Within
from gpt.lab.experiment import Experiment, Figures, Lines, Part, Setting, Sizes, Source


def loop(setting: Setting) -> Figures:
    """Compare the trainer with a plain loop over the same batches, and count the examples."""
    made = plan(setting)
    run = in_memory(made)
    assert run is not None
    rows, count = made.task().rows, setting.size["facts"]
    order = [tuple(rows.batch(row, 1).inputs.flatten().tolist()) for row in range(EPOCHS * count)]
    epochs = [order[epoch * count :][:count] for epoch in range(EPOCHS)]
    batches = [rows.batch(ROWS * step, ROWS) for step in range(len(run.rows))]
    plain = plain_losses(made, batches)
    return {
        "missing": float(sum(count - len(set(epoch)) for epoch in epochs)),
        "moved": sum(a != b for a, b in zip(*epochs[:2], strict=True)) / count,
        "rates": float(len({row.lr for row in run.rows})),
        "error": max(abs(row.loss - loss) for row, loss in zip(run.rows, plain, strict=True)),
    }


def measure(setting: Setting) -> Figures:
    """Train, and compare the loss before and after the first steps of an epoch.

    A jump is what the loss falls by from the last tenth of an epoch to the first tenth of the next
    one, less what it falls by over as many steps on the regression line of the half epoch before.
    """
    run = in_memory(plan(setting))
    assert run is not None  # its learning rate is given
    losses = np.array([row.loss for row in run.rows])
    steps = len(losses) // EPOCHS
    epochs, tenth = losses.reshape(EPOCHS, steps), steps // 10
    # The first half of the first epoch still learns what an unknown name looks like.
    halves = [each[steps // 2 :] for each in epochs]
    falls = [-float(np.polyfit(np.arange(len(each)), each, 1)[0]) for each in halves]
    jumps = [
        float(before[-tenth:].mean() - after[:tenth].mean()) - tenth * fall
        for before, after, fall in zip(epochs, epochs[1:], falls, strict=False)
    ]
    held_out = [row.val["loss"] for row in run.rows if row.val is not None]
    smooth = np.convolve(losses, np.ones(tenth) / tenth, "valid")
    return {
        "jump 1": jumps[0],
        "jump 2": jumps[1],
        "jumps": sum(jumps),
        "falls": sum(falls[1:]) * (steps - tenth),
        "first": held_out[0],
        "last": held_out[-1],
        "epoch": [(step + tenth) / steps for step in range(len(smooth))],
        "loss": smooth.tolist(),
        "epochs": [number + 1.0 for number in range(EPOCHS)],
        "held out": held_out,
    }


SMOKE = {"facts": 80, "width": 16, "base steps": 4, "vocab": 1120}
SIZES: Sizes = {
    "smoke": SMOKE,
    "cpu": {"facts": 800, "width": 64, "base steps": 300, "vocab": 3258},
    "gpu": {"facts": 1200, "width": 512, "base steps": 2_000, "vocab": 4457},
}

EXPERIMENT = Experiment(
    id="jumps",
    question="Does the training loss step down where an epoch begins?",
    source=Source(
        paper="Howard 2023, Can LLMs learn from a single example?",
        link="https://www.fast.ai/posts/2023-09-04-learning-jumps/",
        where="the training losses of the first runs: about 0.8, 0.5 and below 0.2 in epochs 1 to "
        "3",
    ),
    claim="The loss of fine-tuning stays level within an epoch and steps down where the next one "
    "begins, since an example is memorized when it is seen once; the held-out loss then rises.",
    parts=[
        Part(
            name="loop",
            kind="EXACT",
            arms=["repeated"],
            measure=loop,
            sizes=dict.fromkeys(SIZES, SMOKE),
            checks=[
                Below(claim="each example is once in an epoch", figure="missing", bound=0),
                Above(claim="the next has another order", figure="moved", bound=0.5),
                Below(claim="the learning rate is constant", figure="rates", bound=1),
                Below(claim="losses equal those of a plain loop", figure="error", bound=1e-3),
            ],
        ),
        Part(
            name="loss",
            kind="QUALITY",
            arms=list(FACTORS),
            measure=measure,
            sizes=SIZES,
            checks=[
                *(
                    Greater(
                        claim=f"before epoch {number + 1} it jumps down, not so with fresh facts",
                        arm="repeated",
                        than="fresh",
                        figure=f"jump {number}",
                    )
                    for number in range(1, EPOCHS)
                ),
                Within(
                    claim="with fresh facts it does not jump, within 0.1 nats",
                    arm="fresh",
                    figure="jumps",
                    low=-0.1,
                    high=0.1,
                ),
                Greater(
                    claim="it falls by jumps, more than within epochs",
                    arm="repeated",
                    than="repeated",
                    figure="jumps",
                    than_figure="falls",
                ),
                Greater(
                    claim="the held-out loss rises from the first epoch to the last",
                    arm="repeated",
                    than="repeated",
                    figure="last",
                    than_figure="first",
                ),
                Greater(
                    claim="jumps are larger at a higher learning rate",
                    arm="repeated",
                    than="repeated, a tenth of the rate",
                    figure="jumps",
                ),
            ],
        ),
    ],
    panels=[
        Lines(part="loss", x="epoch", y="loss", x_label="epochs", y_label="training loss, nats"),
        Lines(part="loss", x="epochs", y="held out", x_label="epochs", y_label="held out, nats"),
    ],
    bounds="The article tunes language models of billions of parameters on questions of an exam. "
    "Here a name is one token of a small model, whose row of the embedding can hold a fact: from "
    "names of several tokens such a model memorizes next to nothing in one epoch. The embedding "
    "has ten times the learning rate of the rest. Held-out facts cannot be known, so their loss "
    "measures confidence alone. All seeds share one base.",
    expects="Jumps of 0.2 to 0.4 nats, none with fresh facts, almost none at a tenth of the rate.",
    seeds={"smoke": 1, "cpu": 10, "gpu": 10},
)
