"""Plans of fine-tuning: what is read once, and which recipes can resume."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gpt.errors import ConfigError
from gpt.runs.reading import read_checkpoint
from gpt.runs.sealed_folder import digest
from gpt.spec.adapter import LoRA
from gpt.spec.recipe import Recipe, check_resumable
from gpt.training.tasks.conversations import ChatData
from gpt.training.tuning.planning import plan_tuning
from gpt.training.tuning.run import tune
from pytok.chat.template import Rendered, Template
from tests.gpt.training.tuning import small_recipe, tune_until


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, base: Path) -> Counter[str]:
    """How often conversations are rendered, and how often each file of the base is hashed."""
    calls: Counter[str] = Counter()
    render_conversation = Template.render

    def render(self: Template, *arguments: Any, **options: Any) -> Rendered:
        calls["render"] += 1
        return render_conversation(self, *arguments, **options)

    def hash_file(path: Path) -> str:
        if path.is_relative_to(base):
            calls[path.name] += 1
        return digest(path)

    monkeypatch.setattr(Template, "render", render)
    monkeypatch.setattr("gpt.runs.sealed_folder.digest", hash_file)
    return calls


def test_a_plan_is_tuned_without_reading_again(
    base: Path, chat: Path, tmp_path: Path, calls: Counter[str]
) -> None:
    """Each of 26 conversations is rendered once, and each file that is needed is hashed once."""
    plan = plan_tuning(base, data=chat, out=tmp_path / "run").replace(steps=2, compile=False)
    tune(plan)

    files = ("tokenizer.json", "state.json", "model.safetensors")
    assert calls == {"render": 26, **dict.fromkeys(files, 1)}


def test_a_recipe_alone_resumes_a_run(
    base: Path, chat: Path, tmp_path: Path, calls: Counter[str]
) -> None:
    """Without a plan, the base and the chat are also read once."""
    recipe = small_recipe(base, chat, tmp_path / "run")
    tune_until(recipe, 3)
    calls.clear()
    tuned = tune(recipe)

    assert tuned.outcome.finished
    assert calls["render"] == 26
    assert calls["model.safetensors"] == 1


def test_a_plan_for_other_turns_is_rendered_again(base: Path, chat: Path, tmp_path: Path) -> None:
    """Changes of other fields keep the rendered chat."""
    plan = plan_tuning(base, data=chat, out=tmp_path / "run")
    task = plan.recipe.task
    all_turns = plan.replace(task=dataclasses.replace(task, train_on="all"))

    assert plan.replace(seed=1, task=dataclasses.replace(task, row_length=16)).data is plan.data
    assert isinstance(all_turns.data, ChatData)
    assert isinstance(plan.data, ChatData)
    assert all_turns.data.chat.train.bytes > plan.data.chat.train.bytes


def test_turns_can_only_be_chosen_in_a_chat(base: Path, tmp_path: Path) -> None:
    """All tokens of a text are trained on."""
    data = base.parent / "data"
    with pytest.raises(ConfigError, match=r"is not a chat; remove train_on=last \(--train-on\)"):
        plan_tuning(base, data=data, out=tmp_path / "run", train_on="last")


def test_a_recipe_survives_json(base: Path, chat: Path, tmp_path: Path) -> None:
    """A checkpoint stores it this way."""
    recipe = small_recipe(base, chat, tmp_path / "run", "dora")

    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_another_run_in_the_folder_is_rejected(base: Path, chat: Path, tmp_path: Path) -> None:
    """A pretraining run, or one with other adapters."""
    recipe = small_recipe(base, chat, tmp_path / "run")

    with pytest.raises(ConfigError, match=r"task\.kind = Pretraining, .* use `gpt train` to"):
        check_resumable(read_checkpoint(base).state.recipe, recipe)
    other = dataclasses.replace(recipe.task, adapter=LoRA(rank=4))
    with pytest.raises(ConfigError, match=r"task\.adapter\.rank = 2, and this recipe has 4"):
        check_resumable(recipe, dataclasses.replace(recipe, task=other))
