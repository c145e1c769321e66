"""Completions for training: the model's own distribution, ends included, each row by its seed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from gpt.generation import rollouts
from gpt.generation.rollouts import Completion, complete
from gpt.model.gpt import GPT
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from tests.gpt.models import perturbed

END = 3
PROMPTS = [[4, 5, 6, 7], [8], [9, 10], [4, 5]]


@pytest.fixture(scope="module")
def model() -> GPT:
    """A dozen tokens, of which one ends a completion now and then."""
    attention = GroupedQuery(heads=2, kv_heads=1)
    config = GPTConfig(vocab_size=12, context=24, layers=2, width=32, attention=attention)
    return perturbed(config, 0.15, 3)


def rolled(model: GPT, prompts: list[list[int]], rows: range, **options: Any) -> list[Completion]:
    """Completions of *prompts* in which row n has the seed (7, n)."""
    seeds = [(7, row) for row in rows]
    options = {"ends": {END}, "max_tokens": 10, **options}
    return complete(model, prompts, copies=len(seeds) // len(prompts), seeds=seeds, **options)


def test_a_row_does_not_depend_on_the_others(model: GPT) -> None:
    """Neither on the prompts beside it, nor on how many rows grow together."""
    all = rolled(model, PROMPTS, range(12))
    alone = [rolled(model, [PROMPTS[row // 3]], range(row, row + 1))[0] for row in range(12)]

    assert all == alone
    assert len({len(each.ids) for each in all}) > 1


def test_many_rows_are_made_a_part_at_a_time(model: GPT, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same result."""
    all = rolled(model, PROMPTS, range(12))
    monkeypatch.setattr(rollouts, "AT_ONCE", 5)

    assert rolled(model, PROMPTS, range(12)) == all


def test_a_completion_keeps_the_end_that_was_sampled(model: GPT) -> None:
    """And has most tokens without one."""
    found = rolled(model, PROMPTS, range(200))

    for completion in found:
        assert completion.has_ended == (completion.ids[-1] == END)
        assert END not in completion.text_ids
        assert len(completion.ids) == 10 or completion.has_ended
    assert {True, False} == {completion.has_ended for completion in found}


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_tokens_are_sampled_from_the_distribution_of_the_model(
    model: GPT, temperature: float
) -> None:
    """No filter: the frequencies of the first token are its probabilities."""
    rows = 3000
    found = rolled(model, [PROMPTS[0]], range(rows), max_tokens=1, temperature=temperature)
    counts = Counter(completion.ids[0] for completion in found)
    logits = model(torch.tensor([PROMPTS[0]]))[0, -1] / temperature
    expected = logits.softmax(-1).tolist()

    for id, p in enumerate(expected):
        assert counts[id] / rows == pytest.approx(p, abs=4 * (p * (1 - p) / rows) ** 0.5 + 1e-4)


def test_without_seeds_the_likeliest_tokens_are_taken(model: GPT) -> None:
    """As by the complete forward pass, until the end."""
    (found,) = complete(model, [PROMPTS[0]], ends={END}, max_tokens=8)
    ids = list(PROMPTS[0])
    for id in found.ids:
        assert id == int(model(torch.tensor([ids]))[0, -1].argmax())
        ids.append(id)
