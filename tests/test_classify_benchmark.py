"""The table of classifiers: means over seeds with their intervals."""

import pytest

from benches.classify import ROWS, WORDS, Result, table


def test_a_row_has_the_mean_and_its_interval() -> None:
    """Student's, of three seeds: 4.303 standard errors; a row of one seed is not shown."""
    first, second, *_ = ROWS
    results = [
        Result(row=first, seed=seed, accuracy=rate, loss=0.5, calibration_error=0.1, seconds=2.0)
        for seed, rate in enumerate((0.8, 0.9, 1.0))
    ]
    alone = Result(row=second, seed=0, accuracy=1, loss=0, calibration_error=0, seconds=1)

    lines = table([*results, alone]).splitlines()

    half = 4.302653 * 0.1 / 3**0.5
    assert lines[2:] == [f"| {first} | 0.900 ± {half:.3f} | 0.500 ± 0.000 | 0.100 | 2 |"]


def test_words_have_no_loss() -> None:
    """Those cells are empty."""
    nan = float("nan")
    results = [
        Result(row=WORDS, seed=seed, accuracy=0.5, loss=nan, calibration_error=nan, seconds=0.1)
        for seed in range(2)
    ]

    assert table(results).splitlines()[-1] == f"| {WORDS} | 0.500 ± 0.000 |  |  | 0 |"


@pytest.mark.parametrize("row", list(ROWS))
def test_rows_are_arguments_of_a_plan(row: str) -> None:
    """By the names of its parameters."""
    from gpt.training.tuning.classifying import plan_classifier

    assert set(ROWS[row]) <= set(plan_classifier.__kwdefaults__)
