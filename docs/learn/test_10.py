"""Tests of the exercises of chapter 10."""

import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from gpt.spec.presets import PRESETS
from gpt.spec.recipe import Recipe

A, B = [2.0, 3.1, 4.0, 5.3], [1.9, 3.0, 3.8, 5.0]


def test_10a_the_differences_count(chapter: ModuleType) -> None:
    """Seeds differ by whole units, the two models by a tenth."""
    found = chapter.paired_z(A, B)

    assert found != pytest.approx(0.1725 / 0.1725), "Take the difference of each seed first."
    assert found == pytest.approx(0.175 / (math.sqrt(0.0275 / 3) / 2)), (
        "mean / (stdev / √n), where the variance is a sum over n - 1."
    )


def test_10a_the_sign_says_which_is_lower(chapter: ModuleType) -> None:
    """A loss that falls has a negative z."""
    assert chapter.paired_z(B, A) == pytest.approx(-chapter.paired_z(A, B))


@pytest.mark.parametrize(("shift", "expected"), [(0.0, 0.0), (1.0, math.inf), (-1.0, -math.inf)])
def test_10a_differences_without_spread(chapter: ModuleType, shift: float, expected: float) -> None:
    """Nothing to divide by."""
    assert chapter.paired_z([1 + shift, 2 + shift], [1.0, 2.0]) == expected, (
        "If all differences are equal, the standard error is 0: return 0.0 or ±math.inf."
    )


def test_10a_lists_of_different_lengths_are_not_paired(chapter: ModuleType) -> None:
    """Zip would drop the rest in silence."""
    with pytest.raises(ValueError, match=r"."):
        chapter.paired_z([1.0, 2.0, 3.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("spread", "effect", "expected"), [(0.02, 0.02, 4), (0.02, 0.01, 16), (0.02, 0.1, 2)]
)
def test_10b_half_the_effect_needs_four_times_the_seeds(
    chapter: ModuleType, spread: float, effect: float, expected: int
) -> None:
    """And two are the fewest that have a spread."""
    assert chapter.seeds_needed(spread, effect, z=2) == expected


def test_10b_it_is_rounded_up(chapter: ModuleType) -> None:
    """Nine seeds have a z of exactly 3, and 9.1 need a tenth."""
    assert chapter.seeds_needed(spread=1.01, effect=1.0, z=3) == 10


def test_10c_fields_of_fields(chapter: ModuleType) -> None:
    """With dots, sorted; also those that only one has."""
    a = {"steps": 10, "model": {"width": 64, "norm": {"kind": "LayerNorm", "bias": True}}}
    b = {"steps": 10, "model": {"width": 64, "norm": {"kind": "RMSNorm"}}, "seed": 1}

    assert chapter.differences(a, b) == ["model.norm.bias", "model.norm.kind", "seed"]


def test_10c_a_fair_comparison_has_one(chapter: ModuleType) -> None:
    """Of two recipes."""
    recipe = Recipe(data=Path("data"), model=PRESETS["gpt2"](2, 32))
    other = replace(recipe, model=replace(recipe.model, width=64))

    assert chapter.differences(recipe.to_dict(), other.to_dict()) == ["model.width"]
    assert chapter.differences(recipe.to_dict(), recipe.to_dict()) == []


@pytest.mark.parametrize(
    ("hidden", "multiple", "expected"), [(3072, 64, 2048), (256, 64, 192), (320, 64, 192)]
)
def test_10d_as_many_weights(
    chapter: ModuleType, hidden: int, multiple: int, expected: int
) -> None:
    """Two thirds of the width, since there are three matrices instead of two."""
    assert chapter.gated_hidden(hidden, multiple) == expected
