"""BPEDropout: other tokens for the same text."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import pytok
from gpt.data.bpe_dropout import UNCHANGED, BPEDropout
from gpt.data.shards import TrainingRows

TEXT = "the cat sat on the mat and the other cat sat on the other mat, then sang " * 20
TOKENIZER = pytok.train([TEXT], vocab_size=275, special_tokens=("<|endoftext|>",))
IDS = np.array(TOKENIZER.encode(TEXT))
EOT = TOKENIZER.special_tokens["<|endoftext|>"]


def bpe_dropout(probability: float) -> BPEDropout:
    return BPEDropout(TOKENIZER.vocab, TOKENIZER.n_vocab, probability)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class Ids:
    """A split of *ids*, in two documents."""

    def __init__(self, ids: np.ndarray) -> None:
        self.ids, self.bytes = ids, len(TEXT)
        self.document_ends = np.array([len(ids) // 2, len(ids)])

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return positions *start* to *stop* - 1."""
        return self.ids[start:stop]


def rows(probability: float | None, **options: object) -> TrainingRows:
    return TrainingRows(
        Ids(IDS),
        context=16,
        vocab_size=TOKENIZER.n_vocab,
        seed=0,
        bpe_dropout=None if probability is None else bpe_dropout(probability),
        **options,
    )


def changed(probability: float, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and positions with the first seed that does not keep the window unchanged."""
    seeds = (seed for seed in range(99) if generator(seed).random() >= UNCHANGED)
    return bpe_dropout(probability).retokenize(ids, generator(next(seeds)))


@given(
    probability=st.floats(0, 1),
    seed=st.integers(0, 99),
    ids=st.lists(st.sampled_from(IDS.tolist())),
)
def test_the_text_is_the_same(probability: float, seed: int, ids: list[int]) -> None:
    """The tokens that replace a token have its bytes."""
    window = np.array(ids, np.uint16)
    retokenized, positions = bpe_dropout(probability).retokenize(window, generator(seed))

    for index, id in enumerate(ids):
        found = TOKENIZER.decode_bytes(retokenized[positions == index])
        assert found == TOKENIZER.decode_bytes([id])


def test_probability_1_splits_every_token_into_bytes() -> None:
    """The tokens of a pair are split as well."""
    retokenized, _ = changed(1.0, IDS)

    assert TOKENIZER.decode_bytes(retokenized) == TEXT.encode()
    assert {len(token) for token in TOKENIZER.decode_tokens_bytes(retokenized.tolist())} == {1}


def test_the_documented_fraction_of_windows_is_unchanged() -> None:
    """Within five standard deviations."""
    kept = sum(
        (bpe_dropout(1.0).retokenize(IDS, generator(seed))[0].size == IDS.size)
        for seed in range(999)
    )

    assert abs(kept - 999 * UNCHANGED) < 5 * np.sqrt(999 * UNCHANGED * (1 - UNCHANGED))


def test_special_tokens_are_not_split() -> None:
    """They have no bytes."""
    retokenized, _ = changed(1.0, np.array([EOT, EOT]))

    assert retokenized.tolist() == [EOT, EOT]


def test_tokens_are_split_with_the_given_probability() -> None:
    """Of the tokens that have pairs, within five standard deviations."""
    id = TOKENIZER.encode_single_token(" the")
    retokenized, positions = changed(0.2, np.full(10_000, id))
    split = 10_000 - np.sum(retokenized == id)

    assert len(set(positions[retokenized != id])) == split
    assert abs(split - 2000) < 5 * np.sqrt(10_000 * 0.2 * 0.8)


def test_a_row_depends_only_on_its_number() -> None:
    """Not on the rows that were read before."""
    fresh, used = rows(0.5), rows(0.5)
    used.batch(0, 40)

    assert (fresh.batch(7, 2).inputs == used.batch(7, 2).inputs).all()


def test_a_row_starts_at_the_same_position() -> None:
    """It has as many tokens as without BPE dropout, and less text."""
    row = next(
        n for n in range(99) if (rows(0.9).batch(n, 1)[0] != rows(None).batch(n, 1)[0]).any()
    )
    text = TOKENIZER.decode(rows(None).batch(row, 1).inputs[0].tolist())
    inputs, targets, *_ = rows(0.9).batch(row, 1)
    retokenized = TOKENIZER.decode(inputs[0].tolist())

    assert inputs.shape == targets.shape == (1, 16)
    assert (inputs[:, 1:] == targets[:, :-1]).all()
    assert text.startswith(retokenized)
    assert len(retokenized) < len(text)


def test_a_split_token_keeps_its_document() -> None:
    """The document id is that of the position that a token comes from."""
    plain, noisy = (
        rows(probability, document_mask=True).batch(0, 300) for probability in (None, 0.9)
    )
    assert plain.document_ids is not None
    assert noisy.document_ids is not None
    crossing = (plain.document_ids[:, 0] != plain.document_ids[:, -1]).nonzero()[0, 0]
    document_ids, ids = noisy.document_ids[crossing], noisy.inputs[crossing]
    first = TOKENIZER.decode(plain.inputs[crossing][plain.document_ids[crossing] == 0].tolist())

    assert first.startswith(TOKENIZER.decode(ids[document_ids == 0].tolist()))
    assert (document_ids.diff() >= 0).all()
