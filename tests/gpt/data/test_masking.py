"""Masked rows: which tokens are predicted, and what hides them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gpt.data.batch import IGNORED, Batch
from gpt.data.masking import MaskedRows, Masking, mask_text, masked_batches, with_mask
from gpt.errors import ConfigError
from gpt.spec.objective import MaskedLM
from pytok.tokenizer import Tokenizer

END, MASK, VOCABULARY = 256, 257, 258


@pytest.fixture(scope="module")
def masked() -> Tokenizer:
    """Ids 0 to 255 are bytes; one special token of its own, and the mask token."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    plain = Tokenizer(
        "b", pat_str=r".", mergeable_ranks=ranks, special_tokens={"<|endoftext|>": END}
    )
    return with_mask(plain)


class Texts:
    """Rows of random bytes and ends of text."""

    def batch(self, first: int, count: int) -> Batch:
        """Return *count* rows of 64."""
        rows = [
            np.random.default_rng(row).integers(0, 257, 64) for row in range(first, first + count)
        ]
        ids = torch.from_numpy(np.stack(rows))
        return Batch(ids, ids)


def test_tokens_are_replaced_in_the_given_fractions(masked: Tokenizer) -> None:
    """15% are predicted: of these 80% masked, 10% random, 10% as they are."""
    rows = MaskedRows(Texts(), Masking(MaskedLM(), masked), seed=1)
    batch, plain = rows.batch(0, 500), Texts().batch(0, 500)
    chosen = batch.targets != IGNORED
    ordinary = plain.inputs != END
    inputs, targets = batch.inputs[chosen], batch.targets[chosen]

    assert torch.equal(targets, plain.inputs[chosen])
    assert torch.equal(batch.inputs[~chosen], plain.inputs[~chosen])
    assert not (chosen & ~ordinary).any()
    assert chosen.sum() / ordinary.sum() == pytest.approx(0.15, abs=0.01)
    assert (inputs == MASK).float().mean() == pytest.approx(0.8, abs=0.02)
    assert (inputs == targets).float().mean() == pytest.approx(0.1, abs=0.02)
    random = inputs[(inputs != MASK) & (inputs != targets)]
    assert random.max() < END
    assert len(random.unique()) > 150


def test_masks_are_a_function_of_seed_and_row(masked: Tokenizer) -> None:
    """However rows are divided into batches."""
    masking = Masking(MaskedLM(), masked)
    whole = MaskedRows(Texts(), masking, seed=1).batch(4, 4)
    parts = [MaskedRows(Texts(), masking, seed=1).batch(first, 2) for first in (4, 6)]
    other = MaskedRows(Texts(), masking, seed=2).batch(4, 4)

    assert torch.equal(whole.inputs, torch.cat([part.inputs for part in parts]))
    assert not torch.equal(whole.targets, other.targets)
    assert not torch.equal(whole.targets[0] == IGNORED, whole.targets[1] == IGNORED)


def test_evaluations_have_the_same_masks(masked: Tokenizer) -> None:
    """However many rows are read at a time."""
    masking = Masking(MaskedLM(), masked)
    found = []
    for size in (1, 4):
        batches = (Texts().batch(first, size) for first in range(0, 8, size))
        found.append(torch.cat([each.inputs for each in masked_batches(batches, masking)]))

    assert torch.equal(*found)


def test_a_short_row_has_a_target(masked: Tokenizer) -> None:
    """Unless all of its tokens are special."""
    ids = torch.tensor([[65, END], [END, END]])
    batch = Masking(MaskedLM(), masked).apply(Batch(ids, ids), 0, 0)

    assert (batch.targets != IGNORED).tolist() == [[True, False], [False, False]]


def test_the_mask_token_is_the_tokenizers_own_or_a_new_one(masked: Tokenizer) -> None:
    """That of BERT's vocabulary, for example."""
    own = Tokenizer(
        "b", pat_str=r".", mergeable_ranks={b"a": 0}, special_tokens={"[MASK]": 1, "[CLS]": 2}
    )

    assert (masked.special_tokens["<|mask|>"], masked.n_vocab) == (MASK, VOCABULARY)
    assert with_mask(own) is own
    assert mask_text(own) == "[MASK]"
    assert with_mask(masked) is masked


@pytest.mark.parametrize(
    "fields", [{"rate": 0.0}, {"rate": 1.0}, {"random": 0.6, "keep": 0.5}, {"keep": -0.1}]
)
def test_impossible_fractions_are_refused(fields: dict[str, float]) -> None:
    """By name."""
    with pytest.raises(ConfigError):
        MaskedLM(**fields)
