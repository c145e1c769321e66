"""States of earlier versions are read as those of this one.

``format_3/state.json`` was written by the first version of format 3, for a tuned run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpt.errors import CheckpointError, ConfigError
from gpt.runs.state import State, upgrade
from gpt.spec.adapter import LoRA
from gpt.spec.objective import CrossEntropy
from gpt.spec.score import BitsPerByte
from gpt.spec.task import Pretraining, Tuning

FOLDER = Path(__file__).parent
STATES = {
    "format 2": FOLDER / "format_2" / "base" / "checkpoints" / "step-00000004" / "state.json",
    "format 2, tuned": FOLDER / "format_2/tuned/checkpoints/step-00000003/state.json",
    "format 3, tuned": FOLDER / "format_3" / "state.json",
}


def document(name: str) -> dict[str, Any]:
    """The content of a file of `STATES`."""
    return dict(json.loads(STATES[name].read_text()))


def test_the_fields_of_tuning_become_a_task() -> None:
    """They were fields of a recipe of another class."""
    state = State.from_dict(document("format 3, tuned"))

    assert state.recipe.task == Tuning(
        base=Path("runs/base"), adapter=LoRA(rank=2), train_on="mine", row_length=32
    )
    assert (state.recipe.patience, state.recipe.batch_size) == (3, 2)


def test_bits_per_byte_become_the_score() -> None:
    """Of the last, the best and the first evaluation."""
    fields = document("format 3, tuned")
    state = State.from_dict(fields)

    assert state.score == fields["val_bpb"]
    assert (state.best_score, state.best_step) == (fields["best_val_bpb"], fields["best_step"])
    assert state.first_score == fields["first_val_bpb"]


def test_axes_that_did_not_exist_have_their_defaults() -> None:
    """Every run pretrained with cross-entropy, and was compared by bits per byte."""
    recipe = State.from_dict(document("format 2")).recipe

    assert (recipe.task, recipe.objective, recipe.score) == (
        Pretraining(),
        CrossEntropy(),
        BitsPerByte(),
    )


@pytest.mark.parametrize("name", STATES)
def test_an_upgrade_is_idempotent(name: str) -> None:
    """A state of this version is unchanged by it, and read as the same."""
    once = upgrade(document(name))
    state = State.from_dict(document(name))
    again = state.to_dict()

    assert upgrade(once) == once
    assert State.from_dict(json.loads(json.dumps(again))) == state


def test_a_state_of_an_unknown_format_is_rejected() -> None:
    with pytest.raises(CheckpointError, match="format 4, and this version of gpt reads"):
        State.from_dict({**document("format 2"), "format": 4})


@pytest.mark.parametrize("recipe", [None, 3, "text", []])
def test_a_state_whose_recipe_is_no_table_is_rejected(recipe: Any) -> None:
    """By the name of the field."""
    with pytest.raises(ConfigError, match="recipe"):
        State.from_dict({**document("format 2"), "recipe": recipe})


def test_an_upgrade_keeps_a_kind_that_is_no_name() -> None:
    """Who reads the fields says what is wrong with it."""
    assert upgrade({"kind": {"a": 1}}) == {"kind": {"a": 1}}
