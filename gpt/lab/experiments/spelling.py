"""Whether a model counts letters better if its tokens are letters."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytok
from gpt.lab.apparatus.probes import leak
from gpt.lab.apparatus.puzzles import completions, of_bytes, puzzle_shards
from gpt.lab.apparatus.texts import END, english, once
from gpt.lab.apparatus.training import LEAK, ROUNDING, Run, Training, small_model, trained
from gpt.lab.checks import Above, Below, Equal, Greater
from gpt.lab.experiment import (
    TUNING_SEEDS,
    Bars,
    Experiment,
    Figures,
    Part,
    Setting,
    Sizes,
    Source,
)
from gpt.spec.architecture import Architecture
from pytok.tokenizer import Tokenizer

ROWS = {"letters": 1.0, "BPE": 0.5, "BPE, equal FLOPs": 1.0}
"""Rows of a step, as a fraction: with half of them, BPE sees about as many questions."""
LETTERS, BPE = "letters", "BPE"


def tokenizer(setting: Setting) -> Tokenizer:
    """Return the tokenizer of an arm: of bytes, which are letters here, or BPE of English."""
    if setting.arm == LETTERS:
        return of_bytes()
    size = setting.size["vocab"]
    file = (
        once(
            f"spelling-{size}",
            lambda folder: pytok.train([english()], size, special_tokens=(END,)).save(
                folder / "tokenizer.json"
            ),
        )
        / "tokenizer.json"
    )
    return pytok.load(file)


def words(*, held_out: bool) -> list[str]:
    """Return the words of the English text from five letters on; every tenth is held out."""
    found = sorted(set(re.findall(r"\b[a-z]{5,14}\b", english())))
    return [word for n, word in enumerate(found) if (n % 10 == 0) == held_out]


def questions(known: Sequence[str], seed: int, count: int) -> list[tuple[str, str]]:
    """Return questions and answers; each number from 0 to 3 is asked for equally often, about."""
    rng = random.Random(seed)
    asked: list[tuple[str, str]] = []
    while len(asked) < count:
        word, wanted = rng.choice(known), rng.randrange(4)
        letters = [c for c in "abcdefghijklmnopqrstuvwxyz" if word.count(c) == wanted]
        if letters:
            asked.append((f" {word} {rng.choice(letters)}=", str(wanted)))
    return asked


def model(setting: Setting) -> Architecture:
    """Return the model of all arms, but for the rows of its embedding."""
    return small_model(
        setting,
        context=64,
        layers=3,
    )


def how(setting: Setting) -> Run:
    """Return how an arm is trained: on the same questions, in its own tokens."""
    coder = tokenizer(setting)

    def data() -> Path:
        drawn = questions(words(held_out=False), 1, setting.size["questions"])
        name = f"spelling-{coder.n_vocab}-{len(drawn)}"
        return puzzle_shards(name, [question + answer for question, answer in drawn], coder)

    return Run(
        steps=setting.size["steps"],
        rows=int(setting.size["rows"] * ROWS[setting.arm]),
        vocab=coder.n_vocab,
        data=data,
        device=setting.device,
    )


def measure(setting: Setting) -> Figures:
    """Train an arm, and ask it about words that it has not seen, and about words that it has."""
    assert setting.rate is not None
    run = trained(model(setting), how(setting), seed=setting.seed, rate=setting.rate)
    if run is None:
        return {"accuracy": 0.0, "error": 1.0, "known": 0.0, LEAK: 0.0}
    found = {}
    for name, held_out in (("accuracy", True), ("known", False)):
        asked = questions(words(held_out=held_out), 2, setting.size["asked"])
        given = completions(run.model, tokenizer(setting), [each for each, _ in asked], 3)
        right = sum(a == answer for a, (_, answer) in zip(given, asked, strict=True))
        found[name] = right / len(asked)
    return {**found, "error": 1 - found["accuracy"], LEAK: leak(run.model)}


def bookkeeping(setting: Setting) -> Figures:
    """Count answers that are wrong, words in both splits, and tokens of a word."""
    asked = questions(words(held_out=True), 2, setting.size["asked"])
    coder = tokenizer(setting)
    held_out = words(held_out=True)
    wrong = 0
    for question, answer in asked:
        word, letter = question[1:-1].split(" ")
        wrong += sum(each == letter for each in word) != int(answer)
    texts = [question + answer for question, answer in asked]
    tokens = sum(map(len, coder.encode_ordinary_batch(texts)))
    return {
        "wrong": float(wrong),
        "in both": float(len({*held_out} & {*words(held_out=False)})),
        "tokens": tokens / sum(map(len, texts)),
        "letters": sum(len(coder.encode_ordinary(word)) == len(word) for word in held_out)
        / len(held_out),
    }


SMOKE = {"questions": 200, "asked": 50, "vocab": 400, "width": 16, "rows": 4, "steps": 4}
CPU = {"questions": 40_000, "asked": 400, "vocab": 1024, "width": 64, "rows": 16, "steps": 500}
GPU = {**CPU, "questions": 400_000, "width": 512, "rows": 256, "steps": 5_000}
TEXTS = {**CPU, "asked": 200}
SIZES: Sizes = {"smoke": SMOKE, "cpu": CPU, "gpu": GPU}

EXPERIMENT = Experiment(
    id="spelling",
    question="Does a model count letters better if its tokens are letters?",
    source=Source(
        paper="Karpathy 2025, Deep Dive into LLMs like ChatGPT",
        link="https://www.youtube.com/watch?v=7xTGNNLPyMI",
        where="models are not good with spelling",
    ),
    claim="Models see tokens, not letters, so they count the letters of a word badly; with "
    "letters as tokens they are better at it.",
    parts=[
        Part(
            name="texts",
            kind="EXACT",
            arms=[LETTERS, BPE],
            measure=bookkeeping,
            sizes=dict.fromkeys(("smoke", "cpu", "gpu"), TEXTS),
            checks=[
                Equal(claim="answers are right", arm=BPE, figure="wrong", value=0),
                Equal(claim="no word is in both splits", arm=BPE, figure="in both", value=0),
                Equal(claim="a letter is a token", arm=LETTERS, figure="letters", value=1),
                Below(claim="hardly with BPE", arm=BPE, figure="letters", bound=0.1),
                Above(claim="half as many tokens, at least", arm=BPE, figure="tokens", bound=0.4),
                Below(claim="and at most", arm=BPE, figure="tokens", bound=0.6),
            ],
        ),
        Part(
            name="accuracy",
            kind="QUALITY",
            arms=list(ROWS),
            measure=measure,
            sizes=SIZES,
            rates=(1e-3, 3e-3, 1e-2),
            chosen_by="error",
            cost=Training(model=model, how=how).cost,
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                *(
                    Greater(
                        claim=f"of words not seen, letters are counted better than by {arm}",
                        arm=LETTERS,
                        than=arm,
                        figure="accuracy",
                    )
                    for arm in list(ROWS)[1:]
                ),
                *(
                    Below(claim=f"{arm} sees no later tokens", arm=arm, figure=LEAK, bound=ROUNDING)
                    for arm in ROWS
                ),
            ],
        ),
    ],
    panels=[
        Bars(part="accuracy", figure="accuracy", label="right answers, words not seen"),
        Bars(part="accuracy", figure="known", label="right answers, words seen"),
    ],
    bounds="Large models know the letters of many tokens from texts that spell; this one knows of "
    "letters what 40,000 questions say. BPE has 768 more rows in its embedding. A guess is right "
    "in a quarter of the questions.",
    expects="Letters above 0.9, BPE 0.4 to 0.6, somewhat better at equal FLOPs.",
)
