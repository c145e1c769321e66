"""Batches from shards: a pure function of (seed, row), each token once per epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt.data.batch import IGNORED
from gpt.data.shards import TrainingRows, evaluation_batches, open_data, open_split
from gpt.errors import ConfigError, DataError


class Counting:
    """A split whose token at position n is n."""

    def __init__(self, length: int) -> None:
        self.ids = np.arange(length, dtype=np.uint16)
        self.bytes = length

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return positions *start* to *stop* - 1, which must exist."""
        assert 0 <= start < stop <= len(self.ids)
        return self.ids[start:stop]


lengths = st.integers(2, 400)
contexts = st.integers(1, 40)


def rows_of(length: int, context: int, seed: int = 0, overlap: int = 0) -> TrainingRows:
    split = Counting(length)
    return TrainingRows(split, context=context, vocab_size=1000, seed=seed, overlap=overlap)


@given(length=lengths, context=contexts, seed=st.integers(0, 2**40), epoch=st.integers(0, 3))
def test_an_epoch_has_no_token_twice(length: int, context: int, seed: int, epoch: int) -> None:
    """The windows of an epoch do not overlap: they are sampled without replacement."""
    length = max(length, context + 1)
    rows = rows_of(length, context, seed)
    inputs = rows.batch(epoch * rows.per_epoch, rows.per_epoch).inputs

    assert len(inputs.unique()) == inputs.numel()


@given(length=lengths, context=contexts, epoch=st.integers(0, 3), data=st.data())
def test_windows_of_an_epoch_overlap_by_so_many_tokens(
    length: int, context: int, epoch: int, data: st.DataObject
) -> None:
    """Sorted, each starts so much earlier than the end of the one before."""
    length, overlap = max(length, context + 1), data.draw(st.integers(0, context - 1))
    rows = rows_of(length, context, overlap=overlap)
    inputs = rows.batch(epoch * rows.per_epoch, rows.per_epoch).inputs
    starts = inputs[:, 0].sort().values

    assert (starts.diff() == context - overlap).all()
    assert (length - 1) - (int(starts[-1]) + context - int(starts[0])) < 2 * (context - overlap)


def test_an_overlap_of_a_whole_window_is_rejected() -> None:
    """The next window would be the same."""
    with pytest.raises(ConfigError, match="overlap must be below the 8 tokens of a row; got 8"):
        rows_of(100, 8, overlap=8)


@given(length=lengths, context=contexts, epoch=st.integers(0, 3))
def test_an_epoch_omits_fewer_than_two_windows(length: int, context: int, epoch: int) -> None:
    """Only what the offset cuts off at both ends."""
    length = max(length, context + 1)
    rows = rows_of(length, context)

    assert (length - 1) - rows.per_epoch * context < 2 * context


@given(length=lengths, context=contexts, row=st.integers(0, 500))
def test_targets_are_the_inputs_shifted_by_one(length: int, context: int, row: int) -> None:
    """The target of each input is the next token of the split."""
    inputs, targets, *_ = rows_of(max(length, context + 1), context).batch(row, 2)

    assert (targets == inputs + 1).all()


@given(row=st.integers(0, 100), split=st.integers(1, 7))
def test_a_batch_does_not_depend_on_earlier_reads(row: int, split: int) -> None:
    """A new reader returns what one that read all rows from 0 returns, also across epochs."""
    fresh, used = rows_of(100, 7), rows_of(100, 7)
    for first in range(0, row, split):
        used.batch(first, split)

    assert (fresh.batch(row, 8).inputs == used.batch(row, 8).inputs).all()


def test_epochs_differ_in_order_and_in_offset() -> None:
    """The second epoch is a permutation of other windows."""
    rows = rows_of(1000, 10)
    first = [rows.start(row) for row in range(rows.per_epoch)]
    second = [rows.start(row) for row in range(rows.per_epoch, 2 * rows.per_epoch)]

    assert sorted(first) != first
    assert {start % 10 for start in first} != {start % 10 for start in second}


def test_seeds_differ() -> None:
    """In the order of the windows."""
    assert (
        rows_of(1000, 10, 0).batch(0, 9).inputs != rows_of(1000, 10, 1).batch(0, 9).inputs
    ).any()


@given(length=lengths, context=contexts, rows=st.integers(1, 5))
def test_evaluation_predicts_every_token_except_the_first_once(
    length: int, context: int, rows: int
) -> None:
    """In order, including a partial last window."""
    batches = list(
        evaluation_batches(Counting(length), context=context, vocab_size=1000, rows=rows)
    )
    targets = [target for batch in batches for target in batch.targets.flatten().tolist()]

    assert targets == list(range(1, length))
    assert all((batch.targets == batch.inputs + 1).all() for batch in batches)
    assert all(len(batch.inputs) <= rows and batch.inputs.shape[1] <= context for batch in batches)


@given(length=lengths, context=contexts, rows=st.integers(1, 5), data=st.data())
def test_overlapping_windows_predict_every_token_except_the_first_once(
    length: int, context: int, rows: int, data: st.DataObject
) -> None:
    """In order; from the second window on, each has at least context - stride tokens before it."""
    stride = data.draw(st.integers(1, context))
    batches = evaluation_batches(
        Counting(length), context=context, vocab_size=1000, rows=rows, stride=stride
    )
    predicted = []
    for inputs, targets, *_ in batches:
        for row, wanted in zip(inputs, targets, strict=True):
            counted = wanted[wanted != IGNORED].tolist()
            assert all(target - row[0] > context - stride for target in counted if row[0])
            predicted += counted

    assert predicted == list(range(1, length))


@pytest.mark.parametrize("stride", [0, 9])
def test_a_stride_out_of_range_is_rejected(stride: int) -> None:
    """Windows would not advance, or would skip tokens."""
    with pytest.raises(DataError, match=f"stride must be from 1 .* 8; got {stride}"):
        next(evaluation_batches(Counting(20), context=8, vocab_size=99, rows=1, stride=stride))


def test_an_id_beyond_the_vocabulary_is_rejected() -> None:
    """Before the embedding would read out of bounds."""
    with pytest.raises(DataError, match="id 96, and the model has ids 0 to 49"):
        list(evaluation_batches(Counting(100), context=8, vocab_size=50, rows=99))


def test_a_split_shorter_than_a_window_is_rejected() -> None:
    """The error has both lengths."""
    with pytest.raises(DataError, match="has 5 tokens, and a window of context 8 needs 9"):
        rows_of(5, 8)


def test_a_split_of_one_token_cannot_be_evaluated() -> None:
    """There is no token after the first."""
    with pytest.raises(DataError, match="leaves nothing to predict"):
        list(evaluation_batches(Counting(1), context=8, vocab_size=50, rows=1))


def test_data_of_another_tokenizer_is_rejected(data: Path) -> None:
    """By its fingerprint."""
    with pytest.raises(DataError, match="tokenizer"):
        open_data(data, fingerprint="0" * 64)


def test_a_missing_data_folder_is_rejected(tmp_path: Path) -> None:
    """The error has its path."""
    with pytest.raises(DataError, match="nowhere"):
        open_data(tmp_path / "nowhere")


def test_a_missing_split_is_an_error_with_the_splits_that_exist(data: Path) -> None:
    """So that a misspelled name is easily corrected."""
    with pytest.raises(DataError, match="no split called test; it has train, val"):
        open_split(open_data(data), "test")
