"""What the stages after pretraining do: SFT gives the form of an answer, rewards make it right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from gpt.data.problems.coding import Coding
from gpt.evaluation.problems import evaluate_problems
from gpt.generation.rollouts import complete
from gpt.lab.apparatus.puzzles import of_bytes
from gpt.lab.apparatus.sorting import (
    LONGEST,
    MODEL,
    PROBLEMS,
    SFT_RATE,
    coin,
    grpo,
    more_sft,
    pretrained,
    sft,
    solved,
)
from gpt.lab.apparatus.texts import once
from gpt.lab.apparatus.turns import in_memory, planned, write_chats
from gpt.lab.checks import Below, Equal, Greater, Less, Within
from gpt.lab.experiment import Bars, Experiment, Figures, Part, Setting, Sizes, Source
from gpt.model.objectives.grpo import group_advantages
from gpt.parallel.runtime import Runtime
from gpt.runs.reading import read_checkpoint
from gpt.training.tasks.conversations import ChatData
from gpt.training.tasks.starting import starting_model
from gpt.training.tuning.planning import TuningPlan
from pytok.chat.template import ASSISTANT, USER, Conversation, Turn

FRESH = 2**31 + 1
"""Seed of the problems that are asked; no stage has them."""
ARMS: dict[str, Callable[[Setting], TuningPlan] | None] = {
    "SFT": None,
    "GRPO": grpo,
    "more SFT": more_sft,
    "GRPO, coin": coin,
}


def measure(setting: Setting) -> Figures:
    """Answer held-out problems, sampled at temperature 1 and greedily."""
    plan = ARMS[setting.arm]
    if plan is None:
        gpt = read_checkpoint(sft(setting)).model(setting.device)
    elif (run := in_memory(plan(setting))) is None:
        return {"sampled": 0.0, "greedy": 0.0}
    else:
        gpt = run.model(setting.device)
    figures = {}
    for name, temperature in (("sampled", 1.0), ("greedy", 0.0)):
        found = evaluate_problems(
            gpt,
            PROBLEMS,
            Coding.of_texts(of_bytes()),
            count=setting.size["asked"],
            max_tokens=LONGEST,
            temperature=temperature,
            seed=FRESH,
            runtime=Runtime.choose(setting.device, "float32"),
        )
        figures[name] = found.solved / setting.size["asked"]
    return figures


def turns(setting: Setting) -> Figures:
    """Count turns of an assistant that are digits and end, in the form of a chat."""

    def write(folder: Path) -> None:
        write_chats(folder / "train.jsonl", solved(10_000 + setting.seed, setting.size["solved"]))

    plan = planned(
        pretrained(setting),
        once(f"sorting-chat-{setting.size['solved']}-{setting.seed}", write),
        MODEL,
        steps=setting.size["chat"],
        rows=16,
        rate=3 * SFT_RATE,
        seed=setting.seed,
        device=setting.device,
        val=0.0,
        row_length=32,
    )
    assert isinstance(plan.data, ChatData)
    chat = plan.data.chat
    gpt = starting_model(plan.base, plan.recipe, chat.tokenizer.n_vocab)
    if setting.arm == "SFT":
        run = in_memory(plan)
        assert run is not None
        gpt = run.model(setting.device)
    asked = [PROBLEMS.problem("val", FRESH, n).prompt for n in range(setting.size["asked"])]
    prompts = [
        chat.template.prompt(Conversation((Turn(USER, str(each)),)), chat.tokenizer, ASSISTANT)
        for each in asked
    ]
    found = complete(
        gpt.to(setting.device).eval(),
        prompts,
        seeds=[(FRESH, n) for n in range(len(prompts))],
        ends=chat.template.end_ids(chat.tokenizer),
        max_tokens=LONGEST,
    )
    formed = [each.has_ended and chat.tokenizer.decode(each.text_ids).isdecimal() for each in found]
    return {"formed": sum(formed) / len(formed)}


def rules(setting: Setting) -> Figures:
    """Compare advantages with their definition, and check answers and splits."""
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
    plain = [
        [
            (r - sum(row) / 4) / ((sum((x - sum(row) / 4) ** 2 for x in row) / 3) ** 0.5 + 1e-4)
            for r in row
        ]
        for row in rewards.tolist()
    ]
    error = (group_advantages(rewards, "std") - torch.tensor(plain, dtype=torch.float64)).abs()
    train = [PROBLEMS.problem("train", seed, n) for seed in range(3) for n in range(500)]
    asked = [PROBLEMS.problem("val", FRESH, n) for n in range(500)]
    right = ["".join(sorted(str(each.prompt)[5:-1])) for each in train]
    return {
        "error": float(error.max()),
        "same in all": float(group_advantages(torch.ones(1, 4), "std").abs().max()),
        "right": sum(PROBLEMS.rewards(train, right)),
        "unsorted": sum(PROBLEMS.rewards(train, [str(each.prompt)[5:-1] for each in train])),
        "in both": float(len({each.prompt for each in train} & {each.prompt for each in asked})),
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
            sizes=dict.fromkeys(("smoke", "cpu", "gpu"), SMOKE),
            checks=[
                Below(
                    claim="advantages are (r - mean) / std", arm="GRPO", figure="error", bound=1e-9
                ),
                Equal(claim="0 if all are right", arm="GRPO", figure="same in all", value=0),
                Equal(claim="sorted digits are right", arm="GRPO", figure="right", value=1500),
                Below(claim="others are not", arm="GRPO", figure="unsorted", bound=3),
                Equal(claim="no problem is in both splits", arm="GRPO", figure="in both", value=0),
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
            arms=list(ARMS),
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
        Bars(part="answers", figure="greedy", label="pass@1, greedy"),
    ],
    bounds="A model of 0.14 million parameters sorts eight digits. Rates are those of "
    "docs/benchmarks.md, chosen there on sorting with another seed. A step of GRPO has 16 times "
    "the completions of a step of SFT, and costs as much more. SFT learns turns and "
    "answers from two copies of the base, as rewards are of texts, not of turns.",
    expects="Turns from 0 to above 0.9; pass@1 from 0.5 to 0.8 sampled, GRPO above SFT.",
)
