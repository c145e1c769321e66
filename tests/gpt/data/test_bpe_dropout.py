"""BPEDropout: other tokens, the same text."""

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


def draw(seed: int = 0) -> np.random.Generator:
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
    """Ids and positions from the first draw that does not leave the window as it is."""
    seeds = (seed for seed in range(99) if draw(seed).random() >= UNCHANGED)
    return bpe_dropout(probability).retokenize(ids, draw(next(seeds)))


@given(
    probability=st.floats(0, 1),
    seed=st.integers(0, 99),
    ids=st.lists(st.sampled_from(IDS.tolist())),
)
def test_other_spelling_is_of_the_same_text(probability: float, seed: int, ids: list[int]) -> None:
    """Token by token: those that came from one place spell what was there."""
    spelled, positions = bpe_dropout(probability).retokenize(np.array(ids, np.uint16), draw(seed))

    for place, id in enumerate(ids):
        assert TOKENIZER.decode_bytes(spelled[positions == place]) == TOKENIZER.decode_bytes([id])


def test_certain_respelling_ends_at_tokens_without_pairs() -> None:
    """A pair's tokens are replaced as well."""
    spelled, _ = changed(1.0, IDS)

    assert TOKENIZER.decode_bytes(spelled) == TEXT.encode()
    assert {len(token) for token in TOKENIZER.decode_tokens_bytes(spelled.tolist())} == {1}


def test_some_windows_stay_as_they_are() -> None:
    """Their share is the one that is stated; within five deviations."""
    kept = sum(
        (bpe_dropout(1.0).retokenize(IDS, draw(seed))[0].size == IDS.size) for seed in range(999)
    )

    assert abs(kept - 999 * UNCHANGED) < 5 * np.sqrt(999 * UNCHANGED * (1 - UNCHANGED))


def test_special_token_is_itself() -> None:
    """It has no bytes that other tokens could spell."""
    spelled, _ = changed(1.0, np.array([EOT, EOT]))

    assert spelled.tolist() == [EOT, EOT]


def test_share_of_tokens_replaced_is_the_chance() -> None:
    """Of those that have pairs; within five deviations."""
    id = TOKENIZER.encode_single_token(" the")
    spelled, positions = changed(0.2, np.full(10_000, id))
    replaced = 10_000 - np.sum(spelled == id)

    assert len(set(positions[spelled != id])) == replaced
    assert abs(replaced - 2000) < 5 * np.sqrt(10_000 * 0.2 * 0.8)


def test_row_is_a_function_of_its_number() -> None:
    """Whatever was read before."""
    fresh, used = rows(0.5), rows(0.5)
    used.batch(0, 40)

    assert (fresh.batch(7, 2).inputs == used.batch(7, 2).inputs).all()


def test_row_begins_where_it_does_without() -> None:
    """It is of the same length and spells less."""
    row = next(
        n for n in range(99) if (rows(0.9).batch(n, 1)[0] != rows(None).batch(n, 1)[0]).any()
    )
    text = TOKENIZER.decode(rows(None).batch(row, 1).inputs[0].tolist())
    inputs, targets, _ = rows(0.9).batch(row, 1)
    spelled = TOKENIZER.decode(inputs[0].tolist())

    assert inputs.shape == targets.shape == (1, 16)
    assert (inputs[:, 1:] == targets[:, :-1]).all()
    assert text.startswith(spelled)
    assert len(spelled) < len(text)


def test_respelled_token_is_of_the_document_that_it_was_of() -> None:
    """Documents are those of the positions that tokens come from."""
    plain, noisy = (
        rows(probability, document_mask=True).batch(0, 300) for probability in (None, 0.9)
    )
    assert plain.document_ids is not None
    assert noisy.document_ids is not None
    crossing = (plain.document_ids[:, 0] != plain.document_ids[:, -1]).nonzero()[0, 0]
    there, ids = noisy.document_ids[crossing], noisy.inputs[crossing]
    before = TOKENIZER.decode(plain.inputs[crossing][plain.document_ids[crossing] == 0].tolist())

    assert before.startswith(TOKENIZER.decode(ids[there == 0].tolist()))
    assert (there.diff() >= 0).all()
