"""The axes of a recipe: task, objective and score, to plain values and back."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from gpt.errors import ConfigError
from gpt.evaluation.score import SCORES
from gpt.spec.adapter import DoRA
from gpt.spec.objective import CrossEntropy
from gpt.spec.optimizer import AdamW
from gpt.spec.recipe import Recipe, check_resumable, read_toml
from gpt.spec.score import BitsPerByte, TokenAccuracy
from gpt.spec.serialize import from_dict, to_dict
from gpt.spec.task import Tuning
from gpt.training.tasks.build import TASKS

RECIPE = Recipe(data=Path("data"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"task": Tuning(base=Path("runs/base"))},
        {"task": Tuning(base=Path("b"), adapter=DoRA(rank=2), train_on="last", row_length=9)},
        {"task": Tuning(base=Path("b"), adapter=None)},
        {"score": TokenAccuracy()},
        {"objective": CrossEntropy(label_smoothing=0.1)},
        {"out": Path("runs/first")},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_a_recipe_survives_json(changes: dict[str, Any]) -> None:
    """All axes and fields."""
    recipe = dataclasses.replace(RECIPE, **changes)

    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize(("axis", "table"), [("task", TASKS), ("score", SCORES)])
def test_every_kind_of_an_axis_is_in_its_table(axis: str, table: dict[type, Any]) -> None:
    """And nothing else."""
    assert set(table) == set(get_args(get_type_hints(Recipe)[axis]))


@pytest.mark.parametrize("length", [1, RECIPE.model.context + 1])
def test_rows_of_tuning_fit_the_context(length: int) -> None:
    """The message has both numbers."""
    task = Tuning(base=Path("base"), row_length=length)
    with pytest.raises(ConfigError, match=rf"row_length .*{RECIPE.model.context}; got {length}"):
        dataclasses.replace(RECIPE, task=task)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_label_smoothing_is_a_probability_below_one(smoothing: float) -> None:
    with pytest.raises(ConfigError, match="label_smoothing must be at least 0 and below 1"):
        CrossEntropy(label_smoothing=smoothing)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimizer": AdamW(lora_plus=16.0)}, r"optimizer\.lora_plus is for adapters"),
        ({"stop_at_loss": 0.0}, "stop_at_loss must be above 0"),
        ({"overlap": -1}, "overlap must be at least 0"),
    ],
    ids=str,
)
def test_fields_that_make_no_sense_are_rejected(changes: dict[str, Any], words: str) -> None:
    """By name."""
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(RECIPE, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": Tuning(base=Path("base"))}, r"task\.kind = Pretraining.*; use `gpt train`"),
        ({"objective": CrossEntropy(label_smoothing=0.1)}, r"objective\.label_smoothing = 0\.0"),
        ({"score": TokenAccuracy()}, r"score\.kind = BitsPerByte, .* set score\.kind to its old"),
    ],
    ids=str,
)
def test_a_run_resumes_with_its_own_axes(changes: dict[str, Any], words: str) -> None:
    """The message names the axis and its old value."""
    with pytest.raises(ConfigError, match=words):
        check_resumable(RECIPE, dataclasses.replace(RECIPE, **changes))


def test_a_tuned_run_resumes_with_its_base_elsewhere() -> None:
    """As with its data."""
    first, second = (
        dataclasses.replace(RECIPE, task=Tuning(base=Path(base))) for base in ("old", "new")
    )
    check_resumable(first, second)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figures:
    """A dataclass with a table of values."""

    values: dict[str, float]


def test_a_table_of_values_is_read() -> None:
    """Integers as numbers, like any field of that type."""
    figures = from_dict(Figures, {"values": {"loss": 1, "accuracy": 0.5}})

    assert figures == Figures(values={"loss": 1.0, "accuracy": 0.5})
    assert from_dict(Figures, to_dict(figures)) == figures


@pytest.mark.parametrize("values", [3.0, [1.0], {"loss": "low"}, {"loss": None}], ids=str)
def test_a_table_of_values_is_checked(values: Any) -> None:
    """The message has the name of the value."""
    with pytest.raises(ConfigError, match="values"):
        from_dict(Figures, {"values": values})


def test_the_default_score_is_bits_per_byte() -> None:
    assert RECIPE.score == BitsPerByte()


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    """An editor of Windows has written it."""
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"\xef\xbb\xbfsteps = 3\n")

    assert read_toml(path) == {"steps": 3}


@pytest.mark.parametrize("content", [b"a = " + b"[" * 100_000, b"a = 1" + b"1" * 5000, b"\xff"])
def test_a_file_that_cannot_be_parsed_is_named(content: bytes, tmp_path: Path) -> None:
    """Also one that is nested too deeply, and an integer of too many digits."""
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=rf"{path}: not TOML: "):
        read_toml(path)
