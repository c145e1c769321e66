"""Epochs of a short text against a longer one, and what lets a model repeat more."""

from __future__ import annotations

import numpy as np

from gpt.data.shards import TrainingRows, open_bpe_dropout, open_data
from gpt.lab.apparatus.texts import short_shards
from gpt.lab.apparatus.training import BITS, Run, Training, small_model, training_part
from gpt.lab.checks import Above, Below, Equal, Greater, Less, NotWorse
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Lines, Part, Setting, Source
from gpt.spec.architecture import Architecture
from gpt.spec.dropout import Dropout
from gpt.spec.optimizer import AdamW
from pytok.tokenizer import Tokenizer

VOCAB = 512
EPOCHS = {"fresh": 1, "4 epochs": 4, "16 epochs": 16}
ARMS = [*EPOCHS, "dropout", "weight decay", "BPE dropout"]
"""The last three repeat as often as the arm before them."""


def epochs(setting: Setting) -> int:
    """Return how often an arm sees each token, on average."""
    return EPOCHS.get(setting.arm, max(EPOCHS.values()))


def model(setting: Setting) -> Architecture:
    """Return the model of an arm."""
    return small_model(setting, dropout=Dropout(rate=0.1 if setting.arm == "dropout" else 0.0))


def how(setting: Setting) -> Run:
    """Return how an arm is trained: as many steps as any other, on its part of the text."""
    characters = setting.size["characters"] // epochs(setting)
    return Run(
        steps=setting.size["steps"],
        data=short_shards(characters, VOCAB),
        optimizer=AdamW(weight_decay=1.0 if setting.arm == "weight decay" else 0.1),
        device=setting.device,
        changes={"bpe_dropout": 0.1 if setting.arm == "BPE dropout" else 0.0},
    )


def exposure(setting: Setting) -> Figures:
    """Count how often an arm sees its tokens, and compare the texts of tokens that are split."""
    size, run = setting.size, how(setting)
    shards = run.shards()
    data = open_data(shards)
    split, tokenizer = data.splits["train"], Tokenizer.load(shards / "tokenizer.json")
    context = size["context"]
    rows = TrainingRows(split, context=context, vocab_size=VOCAB, seed=setting.seed)
    starts = np.array([rows.start(number) for number in range(rows.per_epoch)])
    seen = np.bincount((starts[:, None] + np.arange(context)).ravel(), minlength=len(split))
    ids = split.read(0, 1000)
    parts, _ = open_bpe_dropout(data, 0.1).retokenize(ids, np.random.default_rng(1))
    return {
        "epochs": run.steps * run.rows / rows.per_epoch,
        "most": float(seen.max()),
        "omitted": float((seen == 0).sum()),
        "text": float(tokenizer.decode(parts.tolist()) == tokenizer.decode(ids.tolist())),
        "split": len(parts) / len(ids) - 1,
    }


SMOKE = {"context": 16, "layers": 1, "width": 32, "steps": 3, "characters": 40_000}
CPU = {"context": 32, "layers": 2, "width": 96, "steps": 293, "characters": 320_000}
GPU = {"context": 128, "layers": 6, "width": 384, "steps": 76, "characters": 320_000}
EXPERIMENT = Experiment(
    id="repetition",
    question="How often can a text be repeated before fresh text is better?",
    source=Source(
        paper="Muennighoff 2023, Scaling Data-Constrained Language Models",
        link="arXiv:2305.16264",
        where="section 6, figure 5: at 4 epochs the loss is 0.5% higher than with unique data",
    ),
    claim="With as much compute, up to 4 epochs are nearly as good as fresh data; with many more, "
    "repeating is worth less and less.",
    parts=[
        Part(
            name="exposure",
            kind="EXACT",
            arms=list(EPOCHS),
            measure=exposure,
            sizes={"smoke": CPU, "cpu": CPU, "gpu": CPU},
            checks=[
                *(
                    Equal(
                        claim=f"{arm}: each token is seen as often, within 5%",
                        arm=arm,
                        figure="epochs",
                        value=count,
                        tolerance=count / 20,
                    )
                    for arm, count in EPOCHS.items()
                ),
                Below(claim="no token repeats in an epoch", figure="most", bound=1.0),
                Below(
                    claim="fewer than two rows are omitted from it",
                    figure="omitted",
                    bound=2.0 * CPU["context"],
                ),
                Above(
                    claim="tokens that BPE dropout splits are the same text",
                    figure="text",
                    bound=1.0,
                ),
                Above(claim="and they are split", figure="split", bound=0.01),
            ],
        ),
        training_part(
            arms=ARMS,
            training=Training(model=model, how=how),
            sizes={"smoke": SMOKE, "cpu": CPU, "gpu": GPU},
            rates=(1e-3, 2e-3, 4e-3, 8e-3),
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                NotWorse(
                    claim="4 epochs are nearly as good as fresh text",
                    arm="4 epochs",
                    than="fresh",
                    figure=BITS,
                    margin=0.02,
                ),
                Greater(
                    claim="16 epochs are worse than 4",
                    arm="16 epochs",
                    than="4 epochs",
                    figure=BITS,
                ),
                *(
                    Less(
                        claim=f"{arm} lowers the loss of 16 epochs",
                        arm=arm,
                        than="16 epochs",
                        figure=BITS,
                    )
                    for arm in ARMS[len(EPOCHS) :]
                ),
            ],
        ),
    ],
    panels=[
        Bars(part="loss", figure=BITS, label="bits per byte, held out"),
        Lines(
            part="loss",
            x="steps",
            y="losses",
            x_label="step",
            y_label="training loss, nats per token",
        ),
    ],
    bounds="All arms train on 150,000 tokens, of which 150,000 to 9,400 are different: fewer than "
    "a model of 270,000 parameters needs. The paper has up to 9 billion parameters. The tokenizer "
    "has seen the whole text.",
    expects="4 epochs cost several hundredths of a bit here, more than in the paper; 16 are much "
    "worse, and dropout and BPE dropout win back a part of that.",
)
