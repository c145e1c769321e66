"""Whether a model counts letters better if its tokens are letters."""

from __future__ import annotations

import functools
import random
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytok
from gpt.lab.apparatus.puzzles import completions, of_bytes, puzzle_shards
from gpt.lab.apparatus.texts import END, english
from gpt.lab.apparatus.training import Run, Training, causality, small_model
from gpt.lab.checks import Above, Below, Equal, Greater
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Part, Setting, Sizes, Source
from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture
from gpt.spec.embedding import TokenShift
from gpt.spec.optimizer import Muon
from pytok.tokenizer import Tokenizer

ROWS = {"letters": 1.0, "BPE": 0.5, "BPE, equal FLOPs": 1.0}
"""Rows of a step, as a fraction: with half of them, BPE sees about as many questions."""


@functools.cache
def tokenizer(arm: str) -> Tokenizer:
    """Return the tokenizer of an arm: of bytes, which are letters here, or BPE of English."""
    if arm == "letters":
        return of_bytes()
    return pytok.train([english()], 1024, special_tokens=(END,))


def words() -> tuple[list[str], list[str]]:
    """Return words of the English text to train on, and every tenth, which is held out."""
    found = sorted(set(re.findall(r"\b[a-z]{4,8}\b", english())))
    return [word for n, word in enumerate(found) if n % 10], found[::10]


def questions(known: Sequence[str], seed: int, count: int) -> list[str]:
    """Return questions with their answers, " letters t=2"; 0 to 2 are as frequent, about."""
    rng = random.Random(seed)
    asked: list[str] = []
    while len(asked) < count:
        word, wanted = rng.choice(known), rng.randrange(3)
        if letters := [c for c in "aeinorst" if word.count(c) == wanted]:
            asked.append(f" {word} {rng.choice(letters)}={wanted}")
    return asked


def bookkeeping(setting: Setting) -> Figures:
    """Count answers that are wrong, words in both splits, and tokens of a letter."""
    (known, new), coder = words(), tokenizer(setting.arm)
    asked = questions(new, 2, setting.size["asked"])
    spelled = [len(coder.encode_ordinary(word)) == len(word) for word in new]
    return {
        "wrong": float(sum(Counter(each.split()[0])[each[-3]] != int(each[-1]) for each in asked)),
        "in both": float(len({*new} & {*known})),
        "tokens": sum(map(len, coder.encode_ordinary_batch(asked))) / sum(map(len, asked)),
        "spelled": statistics.fmean(spelled),
    }


def model(setting: Setting) -> Architecture:
    """Return the model of all arms, but for the rows of its embedding."""
    return small_model(setting, context=32, layers=2, shift=TokenShift())


def how(setting: Setting) -> Run:
    """Return how an arm is trained: on the same questions, in its own tokens."""
    coder, size = tokenizer(setting.arm), setting.size

    def data() -> Path:
        drawn = questions(words()[0], 1, size["questions"])
        return puzzle_shards(f"spelling-{coder.n_vocab}-{len(drawn)}", drawn, coder)

    return Run(
        steps=size["steps"],
        rows=int(size["rows"] * ROWS[setting.arm]),
        vocab=coder.n_vocab,
        data=data,
        optimizer=Muon(),
        document_mask=True,
        device=setting.device,
    )


def answers(setting: Setting, gpt: GPT | None) -> Figures:
    """Ask a trained model about words that it has not seen; return how many answers are right."""
    asked = questions(words()[1], 2, setting.size["asked"])
    prompts = [each[:-1] for each in asked]
    given = completions(gpt, tokenizer(setting.arm), prompts, 3) if gpt else [""] * len(asked)
    found = statistics.fmean(a == b[-1] for a, b in zip(given, asked, strict=True))
    return {"accuracy": found, "error": 1 - found}


TRAINING = Training(model=model, how=how, also=answers)
SMOKE = {"questions": 200, "asked": 50, "width": 16, "rows": 4, "steps": 4}
CPU = {"questions": 40_000, "asked": 400, "width": 64, "rows": 32, "steps": 400}
GPU = {**CPU, "questions": 400_000, "width": 512, "rows": 256, "steps": 5_000}
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
            arms=["letters", "BPE"],
            measure=bookkeeping,
            sizes=dict.fromkeys(SIZES, CPU),
            checks=[
                Below(claim="no answer is wrong", figure="wrong", bound=0),
                Below(claim="no word is in both splits", figure="in both", bound=0),
                Equal(claim="a letter is a token", arm="letters", figure="spelled", value=1),
                Below(claim="of hardly a word with BPE", arm="BPE", figure="spelled", bound=0.1),
                Above(claim="tokens are half as many", arm="BPE", figure="tokens", bound=0.4),
                Below(claim="as letters, about", arm="BPE", figure="tokens", bound=0.6),
            ],
        ),
        Part(
            name="accuracy",
            kind="QUALITY",
            arms=list(ROWS),
            measure=TRAINING,
            sizes=SIZES,
            rates=(0.01, 0.02, 0.04),
            chosen_by="error",
            cost=TRAINING.cost,
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                *(
                    Greater(claim=f"better than {arm}", arm="letters", than=arm, figure="accuracy")
                    for arm in ("BPE", "BPE, equal FLOPs")
                ),
                *causality([""]),
            ],
        ),
    ],
    panels=[Bars(part="accuracy", figure="accuracy", label="right answers, words not seen")],
    bounds="Large models know the letters of many tokens from texts that spell; this one knows of "
    "letters what 40,000 questions say. BPE has 768 more rows in its embedding. A guess is right "
    "in a third of the questions. Chosen after pilots: eight frequent letters, words of four to "
    "eight letters, attention within a question, Muon and a token shift, with which letters were "
    "learned in 300 steps; of all letters in words of up to 14, half of the answers were right "
    "after 500.",
    expects="Letters above 0.9, BPE 0.4 to 0.6, somewhat better at equal FLOPs.",
)
