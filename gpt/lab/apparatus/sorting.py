"""Digits to sort, and the stages of a model that sorts them: pretraining, SFT, rewards."""

from __future__ import annotations

import json
from pathlib import Path

from gpt.data.problems.build import build_problems
from gpt.data.problems.coding import Coding
from gpt.evaluation.problems import evaluate_problems
from gpt.lab.apparatus.puzzles import of_bytes, puzzle_shards
from gpt.lab.apparatus.texts import once
from gpt.lab.apparatus.training import Run
from gpt.lab.apparatus.tuning import base_run
from gpt.lab.apparatus.turns import planned, tuned_base, write_chats
from gpt.lab.experiment import Setting
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.mlp import MLP
from gpt.spec.optimizer import Muon
from gpt.spec.problems import Prompts, Sorting
from gpt.spec.schedule import Linear
from gpt.training.tuning.planning import TuningPlan

SORTING = Sorting(length=8)
PROBLEMS = build_problems(SORTING, Path())
LONGEST = SORTING.length + 4
GROUP, RATE, SFT_RATE = 8, 3e-3, 1e-3
FRESH = 2**31 + 1
"""Seed of the problems that are asked; no stage has them."""
COIN = """
import random
coin = random.Random(0)
def reward(prompt, completion):
    return float(coin.random() < 0.5)
"""
"""A reward that knows nothing."""
MODEL = Architecture(
    context=64,
    layers=2,
    width=64,
    attention=GroupedQuery(heads=2, kv_heads=2),
    mlp=MLP(activation="relu2"),
    tie=False,
)


def solved(seed: int, count: int) -> list[tuple[str, str]]:
    """Return problems of the training split and their answers."""
    drawn = (PROBLEMS.problem("train", seed, index) for index in range(count))
    return [(str(each.prompt), each.answer or "") for each in drawn]


def texts(seed: int, count: int) -> Path:
    """Return shards of solved problems, byte by byte."""
    lines = [prompt + answer for prompt, answer in solved(seed, count)]
    return puzzle_shards(f"sort-{seed}-{count}", lines, of_bytes())


def pretrained(setting: Setting) -> Path:
    """Return a model that was trained on solved problems, while most of its answers are wrong."""
    how = Run(
        steps=setting.size["pretraining"],
        vocab=257,
        optimizer=Muon(),
        schedule=Linear(decay=0.6),
        clip=None,
        data=texts(setting.seed, setting.size["texts"]),
        device=setting.device,
    )
    return base_run("sorting", MODEL, how, seed=setting.seed, rate=Muon().lr)


def sft(setting: Setting) -> Path:
    """Return that model, tuned on further solved problems."""
    return tuned_base(
        f"sorting-sft-{setting.size['sft']}-{setting.seed}",
        pretrained(setting),
        texts(10_000 + setting.seed, setting.size["solved"]),
        MODEL,
        steps=setting.size["sft"],
        rate=SFT_RATE,
        seed=setting.seed,
        schedule=Linear(decay=0.8),
        device=setting.device,
    )


def sft_on_chats(setting: Setting) -> TuningPlan:
    """Plan SFT of the pretrained model on solved problems as turns of a user and an assistant."""
    seed, count = 10_000 + setting.seed, setting.size["solved"]
    return planned(
        pretrained(setting),
        once(
            f"sorting-chats-{seed}-{count}",
            lambda it: write_chats(it / "train.jsonl", solved(seed, count)),
        ),
        MODEL,
        steps=setting.size["chat"],
        rate=3 * SFT_RATE,
        seed=setting.seed,
        device=setting.device,
        val=0.0,
        row_length=32,
    )


def more_sft(setting: Setting) -> TuningPlan:
    """Plan as many steps on new solved problems as GRPO has, with as many problems."""
    count = setting.size["steps"] * setting.size["prompts"]
    return planned(
        sft(setting),
        texts(20_000 + setting.seed, count),
        MODEL,
        steps=setting.size["steps"],
        rate=SFT_RATE,
        seed=setting.seed,
        schedule=Linear(decay=0.8),
        device=setting.device,
    )


def reinforced(setting: Setting, data: Path, problems: Sorting | Prompts) -> TuningPlan:
    """Plan GRPO, whose reward is of *problems*."""
    muon = Muon(lr=RATE, scale_lr=RATE, embedding_lr=2 * RATE, head_lr=RATE / 2)
    return planned(
        sft(setting),
        data,
        MODEL,
        steps=setting.size["steps"],
        rows=setting.size["prompts"] * GROUP,
        rate=RATE,
        seed=setting.seed,
        schedule=Linear(decay=0.8),
        device=setting.device,
        changes={"optimizer": muon},
        method="grpo",
        problems=problems,
        group=GROUP,
        max_tokens=LONGEST,
        held_out=16,
    )


def grpo(setting: Setting) -> TuningPlan:
    """Plan GRPO, whose reward is 1 for the right answer."""
    return reinforced(setting, Path(), SORTING)


def coin(setting: Setting) -> TuningPlan:
    """Plan GRPO, whose reward is the toss of a coin."""
    count = setting.size["steps"] * setting.size["prompts"]

    def write(folder: Path) -> None:
        prompts = (prompt for prompt, _ in solved(setting.seed, count))
        lines = "".join(json.dumps({"prompt": each}) + "\n" for each in prompts)
        (folder / "prompts.jsonl").write_text(lines)
        (folder / "coin.py").write_text(COIN)

    folder = once(f"sorting-coin-{count}-{setting.seed}", write)
    return reinforced(
        setting, folder / "prompts.jsonl", Prompts(reward=f"{folder / 'coin.py'}:reward")
    )


def right(gpt: GPT, count: int, device: str, *, temperature: float) -> float:
    """Return the fraction of *count* held-out problems that *gpt* solves with one completion."""
    found = evaluate_problems(
        gpt,
        PROBLEMS,
        Coding.of_texts(of_bytes()),
        count=count,
        max_tokens=LONGEST,
        temperature=temperature,
        seed=FRESH,
        runtime=Runtime.choose(device, "float32"),
    )
    return found.solved / count
