"""Conversations of two speakers, and small recipes to fine-tune on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.recipe import Recipe
from gpt.training.tuning.planning import plan_tuning
from gpt.training.tuning.run import Tuned, tune
from pytok.chat.template import Conversation, Template, Turn
from tests.gpt.training.interrupted import StopAfter

KINDS = {"lora": LoRA(rank=2), "dora": DoRA(rank=2), "full": None}
"""Kinds of tuning, by name."""
TEMPLATE = Template(speakers=("Ann", "Bob"), me="Bob")


def conversation(number: int, turns: int = 4) -> Conversation:
    """Ann asks about *number*, and Bob answers with other words."""
    said = ("Ann", f"what about the {number} owls?"), ("Bob", "the barn, the barn.")
    return Conversation(tuple(Turn(*said[turn % 2]) for turn in range(turns)))


def small_recipe(base: Path, data: Path, out: Path, kind: str = "lora", **changes: Any) -> Recipe:
    """A run of a second, with evaluations and checkpoints at different steps."""
    small: dict[str, Any] = {
        "steps": 10,
        "batch_size": 2,
        "eval_every": 3,
        "checkpoint_every": 4,
        "device": "cpu",
        "dtype": "float32",
        "compile": False,
        "threads": 1,
    }
    plan = plan_tuning(base, data=data, out=out, adapter=KINDS[kind])
    return plan.replace(**{**small, **changes}).recipe


def tune_until(recipe: Recipe, step: int) -> Tuned:
    """Tune and stop after *step*."""
    stop = StopAfter(step)
    return tune(recipe, reporter=stop, stop=stop)
