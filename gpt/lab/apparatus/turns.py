"""Generated conversations: files to tune on, models that are tuned on them, and their answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from gpt.errors import TrainingError
from gpt.generation.sampling import Sampling
from gpt.generation.text import generate_batch
from gpt.lab.apparatus.texts import once
from gpt.model.gpt import GPT
from gpt.report.events import NullReporter
from gpt.runs.store import Memory
from gpt.spec.architecture import Architecture
from gpt.spec.optimizer import AdamW
from gpt.spec.schedule import Cosine, Linear
from gpt.training.tasks.conversations import ChatData
from gpt.training.tuning.planning import TuningPlan, plan_tuning
from gpt.training.tuning.run import tune
from pytok.chat.template import ASSISTANT, ROLE_SYSTEM, USER, Conversation, Turn

Said: TypeAlias = Sequence[str]
"""The texts of a conversation, in which user and assistant take turns."""


def write_chats(file: Path, chats: Iterable[Said], system: Iterable[str] = ()) -> None:
    """Write *chats* as JSON lines of OpenAI's messages, each with its text of *system*, if any."""
    opening = [[{"role": ROLE_SYSTEM, "content": text}] for text in system]
    lines = []
    for number, said in enumerate(chats):
        roles = (USER, ASSISTANT) * len(said)
        messages = [{"role": r, "content": text} for r, text in zip(roles, said, strict=False)]
        first = opening[number] if opening else []
        lines.append(json.dumps({"messages": [*first, *messages]}))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def planned(
    base: Path,
    data: Path,
    model: Architecture,
    *,
    steps: int,
    rows: int = 16,
    rate: float,
    seed: int,
    embedding_rate: float | None = None,
    schedule: Cosine | Linear | None = None,
    device: str = "cpu",
    out: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    **fields: Any,
) -> TuningPlan:
    """Plan to tune *base*, which has the architecture *model*, for *steps* of *rows* rows.

    All weights are trained unless *fields*, those of `plan_tuning`, have an adapter. There is no
    dropout, no weight decay and no early stop. *changes* are further fields of the recipe.
    """
    plan = plan_tuning(
        base, data=data, out=out or Path("runs"), seed=seed, **{"adapter": None, **fields}
    )
    how: dict[str, Any] = {
        "steps": steps,
        "batch_size": rows,
        "accumulate": 1,
        "model": model,
        "optimizer": AdamW(
            lr=rate, embedding_lr=embedding_rate, betas=(0.9, 0.99), weight_decay=0.0
        ),
        "schedule": schedule or Cosine(floor=0.1),
        "eval_every": steps,
        "checkpoint_every": steps,
        "patience": None,
        "device": device,
        "compile": device != "cpu",
        "threads": 1,
    }
    return plan.replace(**{**how, **(changes or {})})


def in_memory(plan: TuningPlan) -> Memory | None:
    """Return the run of *plan* in memory, or None if it diverged."""
    store = Memory()
    try:
        tune(plan, store=store, reporter=NullReporter())
    except TrainingError:
        return None
    return store


def tuned_base(
    name: str,
    base: Path,
    data: Path,
    model: Architecture,
    *,
    rate: float = 3e-3,
    seed: int = 0,
    **how: Any,
) -> Path:
    """Return the folder of *base* tuned on *data*, made once in each process.

    *how* are further arguments of `planned`; *name* says all that the result depends on.
    """

    def make(folder: Path) -> None:
        plan = planned(base, data, model, rate=rate, seed=seed, out=folder / "run", **how)
        tune(plan, reporter=NullReporter())

    return once(name, make) / "run"


def answers(
    gpt: GPT,
    plan: TuningPlan,
    chats: Sequence[Said],
    system: Sequence[str] = (),
    *,
    max_tokens: int,
    sampling: Sampling | None = None,
) -> list[str]:
    """Return what *gpt*, of the run of *plan*, answers after each of *chats*.

    They end with a text of the user. Without *sampling* tokens are the likeliest.
    """
    assert isinstance(plan.data, ChatData)
    template, tokenizer = plan.data.chat.template, plan.data.chat.tokenizer
    prompts = []
    for number, said in enumerate(chats):
        turns = (Turn((USER, ASSISTANT)[n % 2], text) for n, text in enumerate(said))
        before = Conversation(tuple(turns), system[number] if system else None)
        prompts.append(template.prompt(before, tokenizer, ASSISTANT))
    ends = template.end_ids(tokenizer)
    texts = [""] * len(prompts)
    for index, delta in generate_batch(
        gpt.eval(),
        tokenizer,
        prompts,
        max_tokens=max_tokens,
        sampling=sampling or Sampling(temperature=0),
        stop_ids=ends,
        excluded_ids=set(tokenizer.special_tokens.values()) - ends,
    ):
        texts[index] += delta
    return texts
