"""Whether a model answers better if it may write its steps before the answer, not after it."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from pathlib import Path

from gpt.lab.apparatus.probes import leak
from gpt.lab.apparatus.puzzles import completions, of_bytes, puzzle_shards
from gpt.lab.apparatus.training import LEAK, ROUNDING, Run, Training, small_model, trained
from gpt.lab.checks import Below, Equal, Greater, Within
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

TEXTS = 20_000
HOPS = range(2, 10)
CYCLE = random.Random(0).sample(string.ascii_letters, 52)
NEXT = dict(zip(CYCLE, [*CYCLE[1:], CYCLE[0]], strict=True))
"""A table that every model can learn: the letter after each letter."""


def hops(problem: str) -> str:
    """Return the steps of *problem*, a letter and a number of hops: what is left, and where.

    >>> NEXT["x"] + NEXT[NEXT["x"]] == hops("x2")[1::2]
    True
    """
    letter, steps = problem[0], ""
    for left in reversed(range(int(problem[1]))):
        letter = NEXT[letter]
        steps += f"{left}{letter}"
    return steps


ARMS: dict[str, Callable[[str], tuple[str, str]]] = {
    "answer first": lambda steps: (steps[-1], steps),
    "steps first": lambda steps: (steps, steps[-1]),
    "dots first": lambda steps: ("." * len(steps), steps[-1]),
}
"""What follows the digits: two fields. Dots are as many tokens as steps, and say nothing."""


def problems(*, held_out: bool) -> list[str]:
    """Return all problems of a split; every fifth is held out."""
    every = [f"{letter}{count}" for letter in CYCLE for count in HOPS]
    return [each for n, each in enumerate(every) if (n % 5 == 0) == held_out]


def texts(setting: Setting) -> list[str]:
    """Return solved problems of an arm; they end with the second field."""
    drawn = random.Random(1).choices(problems(held_out=False), k=setting.size["texts"])
    return [f"{each}={'|'.join(ARMS[setting.arm](hops(each)))}" for each in drawn]


def model(setting: Setting) -> Architecture:
    """Return the model of all arms; two problems fit its context."""
    return small_model(
        setting,
        context=48,
        layers=2,
    )


def how(setting: Setting) -> Run:
    """Return how an arm is trained, on the same problems in its own order of fields."""

    def data() -> Path:
        name = f"hops-{setting.arm}-{setting.size['texts']}"
        return puzzle_shards(name, texts(setting), of_bytes())

    return Run(steps=setting.size["steps"], rows=32, vocab=257, data=data, device=setting.device)


def accuracy(setting: Setting, write: Callable[[list[str]], list[str]]) -> float:
    """Return how many held-out problems *write*, from prompts to completions, answers rightly."""
    asked = problems(held_out=True)
    at = setting.arm != "answer first"
    found = [each.split("|") for each in write([f"{each}=" for each in asked])]
    right = [hops(each)[-1] for each in asked]
    return sum(
        len(fields) == 2 and fields[at] == answer
        for fields, answer in zip(found, right, strict=True)
    ) / len(asked)


def measure(setting: Setting) -> Figures:
    """Train an arm, and let it answer held-out problems."""
    assert setting.rate is not None
    run = trained(model(setting), how(setting), seed=setting.seed, rate=setting.rate)
    if run is None:
        return {"accuracy": 0.0, "error": 1.0, LEAK: 0.0}
    longest = 2 * max(HOPS) + 4
    found = accuracy(setting, lambda each: completions(run.model, of_bytes(), each, longest))
    return {"accuracy": found, "error": 1 - found, LEAK: leak(run.model)}


def bookkeeping(setting: Setting) -> Figures:
    """Compare the tokens with those of steps first, and mark right and wrong completions."""
    tokenizer = of_bytes()
    ours = texts(setting)
    theirs = texts(Setting(arm="steps first", size=setting.size))
    sizes = (sum(map(len, tokenizer.encode_ordinary_batch(each))) for each in (ours, theirs))
    tokens, other = sizes

    def solve(prompts: list[str]) -> list[str]:
        return ["|".join(ARMS[setting.arm](hops(each[:-1]))) for each in prompts]

    return {
        "more tokens": float(tokens - other),
        "right": accuracy(setting, solve),
        "wrong": accuracy(
            setting, lambda prompts: solve([f"{NEXT[each[0]]}{each[1:]}" for each in prompts])
        ),
    }


SMOKE = {"texts": 200, "width": 16, "steps": 4}
CPU = {"texts": TEXTS, "width": 64, "steps": 320}
SIZES: Sizes = {"smoke": SMOKE, "cpu": CPU, "gpu": {**CPU, "width": 384, "steps": 10_000}}

EXPERIMENT = Experiment(
    id="think",
    question="Does a model answer better if its steps come before the answer?",
    source=Source(
        paper="Karpathy 2025, Deep Dive into LLMs like ChatGPT",
        link="https://www.youtube.com/watch?v=7xTGNNLPyMI",
        where="models need tokens to think; Nye 2021 (arXiv:2112.00114) has experiments",
    ),
    claim="A token has a bounded amount of computation, so an answer that comes first has to be "
    "found at once; written after its steps, it is found much more often.",
    parts=[
        Part(
            name="texts",
            kind="EXACT",
            arms=list(ARMS),
            measure=bookkeeping,
            sizes=dict.fromkeys(("smoke", "cpu", "gpu"), SMOKE),
            checks=[
                check
                for arm in ARMS
                for check in (
                    Equal(claim=f"{arm}: as many tokens", arm=arm, figure="more tokens", value=0),
                    Equal(claim=f"{arm}: solutions are right", arm=arm, figure="right", value=1),
                    Equal(claim=f"{arm}: wrong answers are not", arm=arm, figure="wrong", value=0),
                )
            ],
        ),
        Part(
            name="accuracy",
            kind="QUALITY",
            arms=list(ARMS),
            measure=measure,
            sizes=SIZES,
            rates=(1e-3, 3e-3, 1e-2),
            chosen_by="error",
            cost=Training(model=model, how=how).cost,
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                Greater(
                    claim="more answers are right after the steps than before them",
                    arm="steps first",
                    than="answer first",
                    figure="accuracy",
                ),
                Greater(
                    claim="it is what the steps say, not their number: more than after dots",
                    arm="steps first",
                    than="dots first",
                    figure="accuracy",
                ),
                Within(
                    claim="after the steps, nine of ten answers are right",
                    arm="steps first",
                    figure="accuracy",
                    low=0.9,
                ),
                *(
                    Below(claim=f"{arm} sees no later tokens", arm=arm, figure=LEAK, bound=ROUNDING)
                    for arm in ARMS
                ),
            ],
        ),
    ],
    panels=[Bars(part="accuracy", figure="accuracy", label="right answers, held-out problems")],
    bounds="The video is about models that speak; here a small one follows a table "
    "of 52 letters for two to nine hops, from the same tokens in another order. With dots, fewer "
    "tokens are worth learning. All hops of a letter but the held-out ones can be memorized. Three "
    "tasks before it showed nothing: running sums modulo 10 and 3 stayed at guessing with steps "
    "first too, and those modulo 2 were not learned.",
    expects="Above 0.9 after the steps; below 0.2 before them and after dots.",
)
