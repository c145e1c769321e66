"""What the stages after pretraining do: SFT gives the form of an answer, rewards make it right."""

from __future__ import annotations

from statistics import mean, stdev

import torch

from gpt.generation.sampling import Sampling
from gpt.lab.apparatus.sorting import (
    FRESH,
    LONGEST,
    PROBLEMS,
    coin,
    grpo,
    more_sft,
    right,
    sft,
    sft_on_chats,
)
from gpt.lab.apparatus.turns import answers, in_memory
from gpt.lab.checks import Below, Equal, Greater, Less, Within
from gpt.lab.experiment import Bars, Experiment, Figures, Part, Setting, Sizes, Source
from gpt.model.objectives.grpo import group_advantages
from gpt.runs.reading import read_checkpoint
from gpt.training.tasks.conversations import ChatData
from gpt.training.tasks.starting import starting_model


def rules(setting: Setting) -> Figures:
    """Compare advantages with their definition, and check answers and splits."""
    rewards = [[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]]
    ours = group_advantages(torch.tensor(rewards, dtype=torch.float64), "std").flatten().tolist()
    plain = [(r - mean(group)) / (stdev(group) + 1e-4) for group in rewards for r in group]
    train = [PROBLEMS.problem("train", seed, n) for seed in range(3) for n in range(500)]
    asked = {PROBLEMS.problem("val", FRESH, n).prompt for n in range(500)}
    digits = [str(each.prompt)[5:-1] for each in train]
    return {
        "error": max(abs(a - b) for a, b in zip(ours, plain, strict=True)),
        "right": sum(PROBLEMS.rewards(train, ["".join(sorted(each)) for each in digits])),
        "unsorted": sum(PROBLEMS.rewards(train, digits)),
        "in both": float(len({each.prompt for each in train} & asked)),
    }


def turns(setting: Setting) -> Figures:
    """Count turns of an assistant that are digits and end, in the form of a chat."""
    plan = sft_on_chats(setting)
    if setting.arm == "SFT":
        run = in_memory(plan)
        assert run is not None
        gpt = run.model(setting.device)
    else:
        assert isinstance(plan.data, ChatData)
        gpt = starting_model(plan.base, plan.recipe, plan.data.chat.tokenizer.n_vocab)
    count = setting.size["asked"]
    asked = [(str(PROBLEMS.problem("val", FRESH, n).prompt),) for n in range(count)]
    found = answers(
        gpt.to(setting.device),
        plan,
        asked,
        max_tokens=LONGEST,
        sampling=Sampling(temperature=1.0, seed=count * setting.seed),
    )
    # Each token is a byte, so a turn that has not ended is as long as it may be.
    return {"formed": sum(each.isdecimal() and len(each) < LONGEST for each in found) / count}


STAGES = {"GRPO": grpo, "more SFT": more_sft, "GRPO, coin": coin}
"""What comes after SFT."""


def measure(setting: Setting) -> Figures:
    """Answer held-out problems, sampled at temperature 1 and greedily."""
    arm, count, device = setting.arm, setting.size["asked"], setting.device
    run = read_checkpoint(sft(setting)) if arm == "SFT" else in_memory(STAGES[arm](setting))
    if run is None:
        return {"sampled": 0.0, "greedy": 0.0}
    gpt = run.model(device)
    return {
        "sampled": right(gpt, count, device, temperature=1.0),
        "greedy": right(gpt, count, device, temperature=0.0),
    }


SMOKE = {"pretraining": 3, "texts": 400, "sft": 2, "solved": 100, "steps": 2, "prompts": 26}
SMOKE |= {"chat": 2, "asked": 8}
CPU = {"pretraining": 130, "texts": 20_000, "sft": 40, "solved": 2_000, "steps": 60, "prompts": 32}
CPU |= {"chat": 250, "asked": 500}
SIZES: Sizes = {"smoke": SMOKE, "cpu": CPU, "gpu": {**CPU, "steps": 400, "prompts": 128}}

EXPERIMENT = Experiment(
    id="stages",
    question="What do SFT and reinforcement learning each add to a pretrained model?",
    source=Source(
        paper="Karpathy 2025, Deep Dive into LLMs like ChatGPT",
        link="https://www.youtube.com/watch?v=7xTGNNLPyMI",
        where="the three stages; no numbers. DeepSeekMath (arXiv:2402.03300) has GRPO",
    ),
    claim="A base continues texts; SFT on conversations makes it an assistant, whose turns have "
    "their form, and rewards of answers that can be checked make more of its answers right.",
    parts=[
        Part(
            name="rules",
            kind="EXACT",
            arms=["GRPO"],
            measure=rules,
            sizes=dict.fromkeys(SIZES, SMOKE),
            checks=[
                Below(claim="advantages are (r - mean) / std", figure="error", bound=1e-9),
                Equal(claim="sorted digits are right", arm="GRPO", figure="right", value=1500),
                Below(claim="others are not", figure="unsorted", bound=3),
                Below(claim="no problem is in both splits", figure="in both", bound=0),
            ],
        ),
        Part(
            name="turns",
            kind="QUALITY",
            arms=["base", "SFT"],
            measure=turns,
            sizes=SIZES,
            checks=[
                Within(claim="the base has no form", arm="base", figure="formed", high=0.1),
                Within(claim="SFT has: nine of ten turns", arm="SFT", figure="formed", low=0.9),
                Greater(claim="more turns are", arm="SFT", than="base", figure="formed"),
            ],
        ),
        Part(
            name="answers",
            kind="QUALITY",
            arms=["SFT", *STAGES],
            measure=measure,
            sizes=SIZES,
            checks=[
                Greater(claim="GRPO: pass@1 rises", arm="GRPO", than="SFT", figure="sampled"),
                Greater(claim="and greedily", arm="GRPO", than="SFT", figure="greedy"),
                Greater(
                    claim="more than by as many steps of SFT, on as many new problems",
                    arm="GRPO",
                    than="more SFT",
                    figure="sampled",
                ),
                Less(
                    claim="it is the reward: a coin's makes no answers right",
                    arm="GRPO, coin",
                    than="GRPO",
                    figure="sampled",
                ),
            ],
        ),
    ],
    panels=[
        Bars(part="turns", figure="formed", label="well-formed turns, sampled"),
        Bars(part="answers", figure="sampled", label="pass@1, sampled at temperature 1"),
    ],
    bounds="A model of 0.14 million parameters sorts eight digits. Rates are those of "
    "docs/benchmarks.md, chosen there on sorting with another seed. A step of GRPO has 16 times "
    "the completions of a step of SFT, and costs as much more. SFT learns turns and "
    "answers from two copies of the base, as rewards are of texts, not of turns.",
    expects="Turns from 0 to above 0.9; pass@1 from 0.5 to 0.8 sampled, GRPO above SFT.",
)
