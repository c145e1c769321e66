"""Synthetic tasks: what their targets are known from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gpt.data.batch import IGNORED
from gpt.lab.apparatus.synthetic import BLANK, TASKS, VOCAB

ROWS, TOKENS = 8, 32


@pytest.mark.parametrize("name", TASKS)
def test_ids_are_in_the_vocabulary_and_rows_have_targets(name: str) -> None:
    """And as many of one as of the other."""
    ids, targets = TASKS[name](np.random.default_rng(0), ROWS, TOKENS)

    assert ids.shape == targets.shape
    assert 0 <= int(ids.min()) <= int(ids.max()) < VOCAB
    assert (targets != IGNORED).any()


@pytest.mark.parametrize("name", ["recall", "noisy recall"])
def test_a_value_to_recall_is_after_the_same_key_before(name: str) -> None:
    """So that a lookup answers all, and only repeated keys are asked."""
    ids, targets = TASKS[name](np.random.default_rng(0), ROWS, TOKENS)
    for row, answers in zip(ids.tolist(), targets.tolist(), strict=True):
        known: dict[int, int] = {}
        for key, value, answer in zip(row[::2], row[1::2], answers[::2], strict=True):
            assert answer == known.get(key, IGNORED)
            if key < 8:
                known[key] = value


def test_fuzzy_values_are_those_of_the_tokens_that_follow() -> None:
    """Every target is the next id of the row."""
    ids, targets = TASKS["fuzzy recall"](np.random.default_rng(0), ROWS, TOKENS)
    asked = targets[:, :-1] != IGNORED

    assert torch.equal(ids[:, 1:][asked], targets[:, :-1][asked])


def test_copied_ids_are_those_among_the_blanks_in_order() -> None:
    """And they are asked after the mark."""
    ids, targets = TASKS["selective copying"](np.random.default_rng(0), ROWS, TOKENS)
    for row, answers in zip(ids, targets, strict=True):
        assert row[row < BLANK].tolist() == answers[answers != IGNORED].tolist()


def test_what_is_memorized_is_the_same_in_all_rows() -> None:
    """A map from ids to ids."""
    found = [TASKS["memorization"](np.random.default_rng(seed), ROWS, TOKENS) for seed in (0, 1)]
    pairs = {
        pair
        for ids, targets in found
        for pair in zip(ids.ravel().tolist(), targets.ravel().tolist(), strict=True)
    }

    assert len(pairs) == len({key for key, _ in pairs})
