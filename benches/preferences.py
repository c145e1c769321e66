"""What learning from preferences changes: short answers are preferred, and answers become short.

``python -m benches.preferences FOLDER`` trains a base on questions about animals with answers of
one to six sentences, samples two answers to each of some questions, and calls the shorter one
chosen. Then it tunes the base on these pairs with each objective, as `gpt tune` plans it. The model
and the base answer `FRESH` questions each: the win rate is the fraction where the model's answer is
the shorter one, ties counting half. Bits per byte on held-out text of the base say what was lost.
"""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

import pytok
from benches.report import cpu
from gpt.evaluation.interval import Accuracy
from gpt.generation.sampling import Sampling
from gpt.generation.text import generate_batch
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.objective import DPO, KTO, ORPO, Preference
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from gpt.training.tuning.planning import plan_tuning
from gpt.training.tuning.run import tune
from pytok import shards

TEXTS, FRESH, MOST_TOKENS = 4000, 400, 110
ANIMALS = [
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
    "goat",
    "crow",
    "frog",
    "hare",
    "mole",
]
VERBS = ["sleeps", "sits", "runs", "eats", "waits", "sings", "hides", "walks"]
WHERE = ["barn", "field", "pond", "house", "tree", "road", "garden", "hill", "mill", "yard"]
TIMES = ("at night", "in the morning", "all day", "in the rain", "in winter", "after lunch")
QUESTIONS = (
    "Tell me about the {}.",
    "What does the {} do?",
    "Where is the {}?",
    "Do you know the {}?",
    "Have you seen the {}?",
)
ARMS: dict[str, tuple[str, Preference]] = {
    "DPO": ("dpo", DPO()),
    "DPO, normalized, beta 2": ("dpo", DPO(loss="sigmoid_norm", beta=2.0)),
    "ORPO": ("orpo", ORPO()),
    "KTO": ("kto", KTO()),
}
"""The method and the objective of each arm."""


@dataclass(frozen=True)
class Judged:
    """What an arm has changed."""

    wins: Accuracy
    characters: float
    """Mean length of an answer."""
    figures: dict[str, float]
    """On the held-out pairs."""
    bits: tuple[float, float]
    """Bits per byte of the base's text before and after."""
    seconds: float
    """Duration of the tuning, with its evaluations."""


def question(rng: random.Random) -> tuple[str, str]:
    """Return an animal, and a question about it."""
    animal = rng.choice(ANIMALS)
    return animal, rng.choice(QUESTIONS).format(animal) + "\n"


def text(rng: random.Random) -> str:
    """Return a question with an answer of one to six sentences."""
    animal, asked = question(rng)
    sentences = (
        f"The {animal} {rng.choice(VERBS)} in the {rng.choice(WHERE)} {rng.choice(TIMES)}."
        for _ in range(rng.randint(1, 6))
    )
    return asked + " ".join(sentences)


def make_base(folder: Path, steps: int) -> Path:
    """Train the base in *folder*, unless it is there, and return its run."""
    rng = random.Random(0)
    texts = [text(rng) for _ in range(TEXTS)]
    if not (folder / "shards").exists():
        tokenizer = pytok.train(texts, 384, special_tokens=("<|endoftext|>",))
        (folder / "texts").mkdir(parents=True)
        for number, each in enumerate(texts):
            (folder / "texts" / f"{number:05}.txt").write_text(each, encoding="utf-8")
        shards.write(folder / "texts", tokenizer, folder / "shards", val=0.05)
    recipe = Recipe(
        data=folder / "shards",
        out=folder / "base",
        steps=steps,
        batch_size=16,
        document_mask=True,
        compile=False,
        model=Architecture(
            context=128, layers=2, width=128, attention=GroupedQuery(heads=4, kv_heads=4)
        ),
    )
    train(recipe)
    return folder / "base"


def answers(checkpoint: Checkpoint, questions: Sequence[str], seed: int) -> list[str]:
    """Return an answer of the model of *checkpoint* to each of *questions*."""
    written = [""] * len(questions)
    sampling = Sampling(temperature=1.0, seed=seed)
    for index, delta in generate_batch(
        checkpoint.model(),
        checkpoint.tokenizer(),
        questions,
        max_tokens=MOST_TOKENS,
        sampling=sampling,
    ):
        written[index] += delta
    return written


def make_pairs(base: Path, path: Path, count: int, seed: int) -> Path:
    """Write *count* pairs of answers of *base* to *path*: the shorter one is chosen."""
    rng, checkpoint = random.Random(seed), read_checkpoint(base)
    questions = [question(rng)[1] for _ in range(count)]
    both = zip(
        *(answers(checkpoint, questions, seed + offset) for offset in (0, 10**6)), strict=True
    )
    lines = []
    for asked, pair in zip(questions, both, strict=True):
        chosen, rejected = sorted(pair, key=len)
        if chosen and len(chosen) < len(rejected):
            lines.append({"prompt": asked, "chosen": chosen, "rejected": rejected})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def judge(base: Path, pairs: Path, out: Path, arm: str, seed: int, lr: float | None) -> Judged:
    """Tune *base* on *pairs* as *arm* does, and let both answer fresh questions."""
    method, objective = ARMS[arm]
    start = time.perf_counter()
    plan = plan_tuning(base, data=pairs, out=out, method=method, seed=seed, lr=lr)
    tuned = tune(plan.replace(objective=objective, compile=False))
    seconds = time.perf_counter() - start
    assert tuned.base is not None
    rng = random.Random(-1 - seed)
    questions = [question(rng)[1] for _ in range(FRESH)]
    ours, theirs = (
        answers(read_checkpoint(run), questions, 2 * 10**6 + offset)
        for run, offset in ((out, 0), (base, 10**6))
    )
    lengths = [(len(a), len(b)) for a, b in zip(ours, theirs, strict=True)]
    wins = sum(a < b for a, b in lengths) + sum(a == b for a, b in lengths) / 2
    last = next(row.val for row in reversed(read_metrics(out / "metrics.jsonl")) if row.val)
    return Judged(
        wins=Accuracy.of(round(wins), FRESH),
        characters=sum(a for a, _ in lengths) / FRESH,
        figures=last,
        bits=(tuned.base.before, tuned.base.after),
        seconds=seconds,
    )


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--pairs", default=400, show_default=True, help="Questions with two answers.")
@click.option("--steps", default=300, show_default=True, help="Steps of the base.")
@click.option("--arm", "arms", multiple=True, default=list(ARMS), help="Only these.")
@click.option("--lr", type=float, help="Another learning rate than the planned one.")
@click.option("--seed", default=0, show_default=True)
def main(
    folder: Path, pairs: int, steps: int, arms: Sequence[str], lr: float | None, seed: int
) -> None:
    """Tune a base on a preference for short answers, with each objective."""
    base = make_base(folder, steps)
    data = make_pairs(base, folder / f"pairs-{seed}.jsonl", pairs, seed)
    lines = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    lengths = [len(line["chosen"]) + len(line["rejected"]) for line in lines]
    mean = sum(lengths) / 2 / len(lengths)
    print(f"{len(lines)} pairs of the base, {mean:.0f} characters an answer; {cpu()}\n")
    print("| objective | win rate | characters | accuracy | margin | KL | bits per byte | s |")
    print("|---|---|---|---|---|---|---|---|")
    for arm in arms:
        out = folder / f"{arm}-{seed}-{lr}".replace(" ", "")
        found = judge(base, data, out, arm, seed, lr)
        wins, figures = found.wins, found.figures
        margin = figures["reward_chosen"] - figures["reward_rejected"]
        kl = f"{figures['kl']:.1f}" if "kl" in figures else "-"
        print(
            f"| {arm} | {wins.rate:.0%} ({wins.low:.0%} to {wins.high:.0%}) | "
            f"{found.characters:.0f} | {figures['preference_accuracy']:.0%} | {margin:.2f} | "
            f"{kl} | "
            f"{found.bits[0]:.3f} → {found.bits[1]:.3f} | {found.seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
