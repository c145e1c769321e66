"""Facts that nobody can infer: a model that knows some, is tuned on others, and a plain loop."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from gpt.data.batch import Batch
from gpt.lab.apparatus.texts import once, shards_of
from gpt.lab.apparatus.training import Run, small_model
from gpt.lab.apparatus.tuning import base_run
from gpt.lab.apparatus.turns import planned, tuned_base, write_chats
from gpt.lab.experiment import Setting
from gpt.spec.architecture import Architecture
from gpt.spec.schedule import Linear
from gpt.training.tuning.planning import TuningPlan

EPOCHS, ROWS, HELD_OUT, KNOWN = 3, 8, 100, 300
EMBEDDING = 10
"""Learning rate of the embedding, as a multiple of that of the other weights."""
RATE = 3e-4
"""Learning rate of the other weights, at which jumps are large in pilots."""
FACTORS = {"repeated": 1.0, "repeated, a tenth of the rate": 0.1, "fresh": 1.0}
SOUNDS = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
NAMES = random.Random(0).sample([first + last for first in SOUNDS for last in SOUNDS], 4900)
THINGS = tuple(
    re.findall(
        r"\w+",
        "apple bridge candle dragon engine forest garden hammer island jacket kettle ladder mirror "
        "needle orange pencil rabbit saddle temple violin window yellow zebra basket copper desert "
        "feather glacier harbor ivory jungle lantern",
    )
)


def facts(names: Sequence[str], rng: random.Random) -> list[tuple[str, str]]:
    """Return a random thing for each name: what cannot be known without having read it."""
    return [(name, rng.choice(THINGS)) for name in names]


def model(setting: Setting) -> Architecture:
    """Return the model of all arms."""
    return small_model(setting, context=16, layers=2, tie=False)


def base(setting: Setting) -> Path:
    """Return a model that has memorized other facts, and knows the form of an answer."""
    count, steps = EPOCHS * setting.size["facts"], setting.size["base steps"]
    names, known = NAMES[: KNOWN + count + HELD_OUT], facts(NAMES[:KNOWN], random.Random(0))
    # Each name is often enough in the corpus to be a token.
    lines = [*(f"{a} likes the {b}" for a, b in known * 10), *names * 12]
    data = shards_of(f"facts-{count}", ["\n".join(lines)], setting.size["vocab"])
    first = base_run(f"facts-{count}", model(setting), Run(steps=20, data=data))
    answered = once("known-facts", lambda it: write_chats(it / "train.jsonl", known * 10))
    name = f"facts-{count}-tuned-{steps}"
    return tuned_base(name, first, answered, model(setting), steps=steps, row_length=8)


def plan(setting: Setting) -> TuningPlan:
    """Plan the run of an arm: at a constant rate, over facts that it repeats, or fresh ones."""
    count, rate = setting.size["facts"], RATE * FACTORS[setting.arm]
    times = EPOCHS if setting.arm == "fresh" else 1

    def write(folder: Path) -> None:
        names = NAMES[KNOWN : KNOWN + EPOCHS * count + HELD_OUT]
        rng = random.Random(setting.seed)
        rng.shuffle(names)
        write_chats(folder / "val.jsonl", facts(names[:HELD_OUT], rng))
        write_chats(folder / "train.jsonl", facts(names[HELD_OUT:][: times * count], rng))

    data = once(f"facts-{times * count}-{setting.seed}", write)
    return planned(
        base(setting),
        data,
        model(setting),
        steps=EPOCHS * count // ROWS,
        rows=ROWS,
        rate=rate,
        embedding_rate=EMBEDDING * rate,
        seed=setting.seed,
        schedule=Linear(decay=0.0),
        device=setting.device,
        changes={"eval_every": count // ROWS},
        row_length=8,
    )


def plain_losses(made: TuningPlan, batches: Sequence[Batch]) -> list[float]:
    """Return the losses of *batches* in a plain loop of torch, from the model of the plan."""
    gpt, rate = made.task().model().train(), made.recipe.optimizer.lr
    table = gpt.get_parameter("embedding.weight")
    others = [each for each in gpt.parameters() if each is not table]
    groups: list[dict[str, Any]] = [
        {"params": [table], "lr": EMBEDDING * rate},
        {"params": others},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99), weight_decay=0.0)
    losses = []
    for batch in batches:
        logits = gpt(batch.inputs, document_ids=batch.document_ids)
        loss = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(gpt.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses
