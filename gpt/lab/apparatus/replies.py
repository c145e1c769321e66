"""Questions about animals, and answers of one to four sentences, of which short ones are preferred.

A base learns questions with answers of any length. Its tunings are compared with it by the answers
to fresh questions.
"""

from __future__ import annotations

import json
import math
import random
import re
from pathlib import Path

import torch

from gpt.data.preferences import hold_out
from gpt.generation.sampling import Sampling
from gpt.generation.text import generate_batch
from gpt.lab.apparatus.adapters import ALL
from gpt.lab.apparatus.texts import once, shards_of
from gpt.lab.apparatus.training import Run
from gpt.lab.apparatus.tuning import TunedModel, base_run, tuned_model
from gpt.lab.experiment import Figures, Setting
from gpt.model.gpt import GPT
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.spec.adapter import LoRA
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.training.tuning.planning import plan_tuning
from pytok import shards
from pytok.tokenizer import Tokenizer

ANIMALS = (
    "owl",
    "fox",
    "hen",
    "cat",
    "dog",
    "cow",
    "pig",
    "horse",
    "mouse",
    "goose",
    "duck",
    "hare",
)
VERBS = ("sleeps", "sits", "runs", "eats", "waits", "sings", "hides", "walks")
SPOTS = ("barn", "field", "pond", "house", "tree", "road", "garden", "hill", "mill", "yard")
TIMES = ("at night", "in the morning", "all day", "in the rain", "in winter", "after lunch")
QUESTIONS = ("Tell me about the {}.", "What does the {} do?", "Where is the {}?", "And the {}?")
SENTENCE = r"The ({}) ({}) in the ({}) ({})\.".format(
    *("|".join(words) for words in (ANIMALS, VERBS, SPOTS, TIMES))
)
ANSWER = re.compile(f"{SENTENCE}( {SENTENCE})*")
MOST_SENTENCES, MOST_TOKENS = 4, 56
TEXTS, VOCAB, CONTEXT = 3_000, 384, 80
BETA = 0.1
"""The default of `gpt.spec.objective.DPO`, and the paper's."""
SWAPPED = "DPO, swapped"
"""Arm whose preference is the other way round."""


def question(rng: random.Random) -> tuple[str, str]:
    """Return an animal, and a question about it."""
    animal = rng.choice(ANIMALS)
    return animal, rng.choice(QUESTIONS).format(animal) + "\n"


def answer(rng: random.Random, animal: str, sentences: int) -> str:
    """Return an answer of so many *sentences*."""
    return " ".join(
        f"The {animal} {rng.choice(VERBS)} in the {rng.choice(SPOTS)} {rng.choice(TIMES)}."
        for _ in range(sentences)
    )


def text_shards() -> Path:
    """Return the base's text: answers of one to four sentences, all as often."""
    rng, texts = random.Random(0), []
    for _ in range(TEXTS):
        animal, asked = question(rng)
        texts.append(asked + answer(rng, animal, rng.randint(1, MOST_SENTENCES)))
    return shards_of("replies", texts, VOCAB, val=0.05)


def base_of(setting: Setting) -> Path:
    """Return the run of the base."""
    size = setting.size
    architecture = Architecture(
        context=CONTEXT,
        layers=size["layers"],
        width=size["width"],
        attention=GroupedQuery(heads=4, kv_heads=4),
    )
    how = Run(steps=size["base_steps"], data=text_shards(), device=setting.device)
    return base_run(f"replies-{size['layers']}x{size['width']}", architecture, how)


def pairs(count: int, seed: int, *, swapped: bool = False) -> Path:
    """Return a file of *count* pairs of answers, of which the one with fewer sentences is chosen.

    If *swapped*, it is the other one.
    """

    def make(folder: Path) -> None:
        lines = []
        for asked, short, long in _pairs(count, seed):
            chosen, rejected = (long, short) if swapped else (short, long)
            lines.append(json.dumps({"prompt": asked, "chosen": chosen, "rejected": rejected}))
        (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    return once(f"pairs-{count}-{seed}-{swapped}", make) / "pairs.jsonl"


def chosen(count: int, seed: int) -> Path:
    """Return token shards of the questions of `pairs` with the chosen answers alone."""

    def make(folder: Path) -> None:
        tokenizer = Tokenizer.load(text_shards() / "tokenizer.json")
        (folder / "texts").mkdir()
        for number, (asked, short, _) in enumerate(_pairs(count, seed)):
            path = folder / f"texts/{number:05}.txt"
            path.write_text(asked + short, encoding="utf-8")
        shards.write(folder / "texts", tokenizer, folder / "shards", val=0.1)

    return once(f"chosen-{count}-{seed}", make) / "shards"


def _pairs(count: int, seed: int) -> list[tuple[str, str, str]]:
    """Return questions with a short and a longer answer."""
    rng, found = random.Random(seed), []
    for _ in range(count):
        animal, asked = question(rng)
        fewer, more = sorted(rng.sample(range(1, MOST_SENTENCES + 1), 2))
        found.append((asked, answer(rng, animal, fewer), answer(rng, animal, more)))
    return found


def answers(checkpoint: Checkpoint, count: int, seed: int, *, device: str = "cpu") -> list[str]:
    """Return answers of the model of *checkpoint* to *count* fresh questions, by *seed*."""
    rng = random.Random(-1 - seed)
    asked = [question(rng)[1] for _ in range(count)]
    written = [""] * count
    for index, delta in generate_batch(
        checkpoint.model(device),
        Tokenizer.load(text_shards() / "tokenizer.json"),  # a model in memory has no file of it
        asked,
        max_tokens=MOST_TOKENS,
        sampling=Sampling(temperature=1.0, seed=1_000 * seed),
    ):
        written[index] += delta
    return written


def wins(ours: list[str], theirs: list[str], *, longer: bool = False) -> float:
    """Return in how many of 100 pairs of answers ours is the shorter one, or the *longer* one.

    A tie is half a win. Text that is no answer as the base has learned them loses against one.
    """
    sign = -1 if longer else 1

    def rank(text: str) -> float:
        return sign * len(text) if ANSWER.fullmatch(text) else math.inf

    ranks = [(rank(a), rank(b)) for a, b in zip(ours, theirs, strict=True)]
    return 100 * sum((a < b) + (a == b) / 2 for a, b in ranks) / len(ranks)


def well_formed(texts: list[str]) -> float:
    """Return how many of 100 answers are sentences as the base has learned them."""
    return 100 * sum(ANSWER.fullmatch(each) is not None for each in texts) / len(texts)


def tuned(setting: Setting, steps: int, rate: float) -> TunedModel | None:
    """Tune the base on an arm's preferences, or on the chosen answers alone."""
    count, seed = setting.size["pairs"], setting.seed
    if setting.arm == "SFT":
        data, planned = chosen(count, seed), {}
    else:
        data = pairs(count, seed, swapped=setting.arm == SWAPPED)
        planned = {"method": "dpo"}
    return tuned_model(
        base_of(setting),
        data,
        adapter=LoRA(targets=ALL),
        batch_size=16,
        rate=rate,
        seed=seed,
        device=setting.device,
        changes={"steps": steps, "eval_every": steps, "patience": None},
        **planned,
    )


def log_p(gpt: GPT, prompt: list[int], completion: list[int]) -> float:
    """Return the log-probability of a completion, token by token, in float64."""
    ids = torch.tensor([prompt + completion])
    with torch.inference_mode():
        table = gpt(ids[:, :-1])[0].log_softmax(-1)
    return sum(float(table[at - 1, ids[0, at]]) for at in range(len(prompt), ids.shape[1]))


def loss(setting: Setting) -> Figures:
    """Compare the losses of the first step and of the held-out pairs with the paper's formula."""
    found = tuned(setting, 2, 1e-2)
    assert found is not None
    file, base = pairs(setting.size["pairs"], setting.seed), base_of(setting)
    plan = plan_tuning(base, data=file, out=Path("runs"), method="dpo", seed=setting.seed)
    encoded = plan.data.encoded  # type: ignore[attr-defined]
    _, held_out = hold_out([each.of.prompt for each in encoded], 0.1, setting.seed)
    models = [each.model().double() for each in (found.checkpoint, read_checkpoint(base))]
    losses = []
    for each in (encoded[index] for index in held_out):
        ours, theirs = (
            [log_p(gpt, each.prompt, completion) for completion in each.completions]
            for gpt in models
        )
        rewards = [BETA * (a - b) for a, b in zip(ours, theirs, strict=True)]
        losses.append(math.log1p(math.exp(rewards[1] - rewards[0])))
    mean = sum(losses) / len(losses)
    return {
        "first": found.losses[0] - math.log(2),
        "definition": abs(found.figures["loss"] - mean),
        "learned": math.log(2) - mean,
    }
