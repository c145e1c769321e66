"""Preferences as pairs of rows: a prompt with a chosen and with a rejected completion.

The prompt is read, and only the completions count. For labeled completions without pairs, the first
row of a pair is a prompt with its completion, and the second the same prompt with the completion of
another one, which estimates the KL divergence (`gpt.model.objectives.preferences.KTO`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gpt.data.batch import IGNORED, Batch
from gpt.data.boundaries import Boundaries
from gpt.data.pairs import cut, padded
from gpt.data.preference_files import Content, Preference
from gpt.errors import DataError
from pytok.counted import counted
from pytok.tokenizer import Tokenizer

REFERENCE, DESIRABLE = "reference", "desirable"
"""Names in `Batch.given`: log-probabilities of the completions of the rows under the base, and
whether the completion is labeled good."""

Render = Callable[[Content, Sequence[Content]], tuple[list[int], list[list[int]]]]
"""Returns the ids of a prompt, and those of each of its completions."""


class Row(NamedTuple):
    """A prompt and a completion."""

    ids: NDArray[np.int64]
    """The ids of both."""
    start: int
    """Number of those of the prompt, at least one."""


@dataclass(frozen=True, kw_only=True)
class EncodedPreferences:
    """Pairs of rows, as ids."""

    rows: list[tuple[Row, Row]]
    desirable: NDArray[np.bool_] | None = None
    """For each pair, whether the completion of its first row is labeled good; None for a chosen and
    a rejected completion."""
    reference: NDArray[np.float32] | None = None
    """Log-probabilities of the completions under the base, (n, 2)."""
    cut_prompts: int = 0
    """Number of prompts of which the beginning is omitted."""
    cut_completions: int = 0
    """Number of completions of which the end is omitted."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def num_targets(self) -> int:
        """Number of tokens of all completions that count."""
        return sum(len(row.ids) - row.start for pair in self.rows for row in self._counted(pair))

    @property
    def fingerprint(self) -> str:
        """Digest of the ids."""
        digest = hashlib.sha256()
        for pair in self.rows:
            for ids, start in pair:
                digest.update(np.array([len(ids), start]).tobytes() + ids.tobytes())
        return digest.hexdigest()

    def with_reference(self, reference: NDArray[np.float32]) -> EncodedPreferences:
        """Return these with the log-probabilities *reference* (n, 2) under the base."""
        return replace(self, reference=reference)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return the pairs *indices*, each two rows, padded to the longest among them.

        The padding is after the ends, so causal attention needs no mask.
        """
        rows = [row for index in indices for row in self.rows[index]]
        targets = []
        for ids, start in rows:
            following = ids[1:].copy()
            following[: start - 1] = IGNORED
            targets.append(following)
        given = {}
        if self.reference is not None:
            given[REFERENCE] = torch.from_numpy(self.reference[list(indices)].reshape(-1))
        if self.desirable is not None:
            given[DESIRABLE] = torch.from_numpy(self.desirable[list(indices)].repeat(2))
        return Batch(
            padded([ids[:-1] for ids, _ in rows], 0), padded(targets, IGNORED), given=given
        )

    def batches(self, most_tokens: int) -> Iterator[tuple[list[int], Batch]]:
        """Yield all pairs once, the shortest first, with their indices.

        A batch has at most *most_tokens* tokens with its padding, unless a single pair has more.
        """
        lengths = np.array([[len(ids) for ids, _ in pair] for pair in self.rows])
        order = np.argsort(lengths.max(1), kind="stable")
        for start, stop in pairwise(cut(lengths[order], most_tokens // 2)):
            indices = order[start:stop].tolist()
            yield indices, self.batch(indices)

    def _counted(self, pair: tuple[Row, Row]) -> tuple[Row, ...]:
        """Return the rows of *pair* that are trained on."""
        return pair if self.desirable is None else pair[:1]


class PreferenceRows:
    """The endless sequence of training rows, pairs of a batch, in a new order every epoch.

    A pure function of (seed, row), like `gpt.data.shards.TrainingRows`.
    """

    def __init__(self, preferences: EncodedPreferences, seed: int) -> None:
        self.preferences, self._seed = preferences, seed
        self._epoch = -1
        self._order = np.array([], np.int64)

    def batch(self, first: int, count: int) -> Batch:
        """Return pairs *first* to *first* + *count* - 1, two rows each."""
        return self.preferences.batch([self._index(row) for row in range(first, first + count)])

    def _index(self, row: int) -> int:
        """Return the index of *row* among the preferences."""
        epoch, index = divmod(row, len(self.preferences))
        if epoch != self._epoch:
            rng = np.random.default_rng((self._seed, epoch))
            self._order, self._epoch = rng.permutation(len(self.preferences)), epoch
        return int(self._order[index])


class Encoded(NamedTuple):
    """The ids of a preference."""

    of: Preference
    prompt: list[int]
    completions: list[list[int]]


def encode(preferences: Sequence[Preference], render: Render) -> list[Encoded]:
    """Return the ids of *preferences*.

    Raises DataError for a prompt without an id, which nothing can follow.
    """
    encoded = [Encoded(each, *render(each.prompt, each.completions)) for each in preferences]
    for each, prompt, _ in encoded:
        if not prompt:
            raise DataError(
                f"line {each.line}: the prompt is empty, and no token of the base starts a text; "
                "pass a prompt"
            )
    return encoded


def lay_out(encoded: Sequence[Encoded], length: int) -> EncodedPreferences:
    """Return *encoded*, all pairs or all labeled, as rows of at most *length* tokens.

    A row that is longer loses the beginning of its prompt, up to half a row, and then the end of
    its completion; both rows of a chosen and a rejected completion read the same prompt.
    """
    fitted = [_fit(each.prompt, each.completions, length) for each in encoded]
    labels = [each.of.desirable for each in encoded]
    if None in labels:
        rows = [(first, second) for (first, second), _, _ in fitted]
    else:
        others = mismatched([each.of.prompt for each in encoded])
        rows = []
        for each, ((row,), _, _), other in zip(encoded, fitted, others, strict=True):
            (mismatch,), _, _ = _fit(each.prompt, encoded[other].completions, length)
            rows.append((row, mismatch))
    return EncodedPreferences(
        rows=rows,
        desirable=None if None in labels else np.array(labels, bool),
        cut_prompts=sum(is_cut for _, is_cut, _ in fitted),
        cut_completions=sum(number for _, _, number in fitted),
    )


def _fit(
    prompt: list[int], completions: Sequence[list[int]], length: int
) -> tuple[list[Row], bool, int]:
    """Return the rows of *prompt*, whether it is cut, and the number of completions that are."""
    longest = max(map(len, completions))
    # The last id of a row is only a target.
    kept = prompt[-max(1, length // 2, length + 1 - longest) :]
    room = length + 1 - len(kept)
    rows = [Row(np.array(kept + each[:room], np.int64), len(kept)) for each in completions]
    return rows, len(kept) < len(prompt), sum(len(each) > room for each in completions)


def mismatched(prompts: Sequence[Content]) -> list[int]:
    """Return for each of *prompts* the index of another one, each once.

    They differ, unless more than half of all prompts are the same.

    >>> mismatched(["a", "b", "a", "c"])
    [1, 2, 3, 0]
    """
    order = sorted(range(len(prompts)), key=lambda index: repr(prompts[index]))
    runs = [0]
    for index, (before, after) in enumerate(pairwise(order), start=1):
        if prompts[before] != prompts[after]:
            runs.append(index)
    most = max(stop - start for start, stop in pairwise([*runs, len(order)]))
    # In sorted order equal prompts are adjacent, so none is as far as the longest run.
    others = [0] * len(order)
    for position, index in enumerate(order):
        others[index] = order[(position + most) % len(order)]
    return others


def hold_out(
    preferences: Sequence[Preference], fraction: float, seed: int
) -> tuple[list[Preference], list[Preference]]:
    """Return *preferences* without, and only, those held out: about *fraction* of the prompts.

    Which ones follows from *seed*. All preferences of a prompt are on one side, unless there is a
    single prompt. Raises DataError if nothing is left to train on.
    """
    if not fraction:
        return list(preferences), []
    keys: list[object] = [each.prompt for each in preferences]
    if len(set(keys)) == 1:
        keys = [each.line for each in preferences]
    unique = list(dict.fromkeys(keys))
    count = max(1, round(fraction * len(unique)))
    if count >= len(unique):
        raise DataError(
            f"{counted(len(preferences), 'preference')} leave nothing to train on; pass more, or "
            "--val 0 to hold out nothing"
        )
    chosen = np.random.default_rng((seed, len(unique))).permutation(len(unique))[:count]
    held = {unique[index] for index in chosen.tolist()}
    sides: tuple[list[Preference], list[Preference]] = ([], [])
    for each, key in zip(preferences, keys, strict=True):
        sides[key in held].append(each)
    return sides


def plain_renderer(tokenizer: Tokenizer) -> Render:
    """Return what renders texts as generation does: after the ids that start one.

    A completion starts where the ids of the prompt with either completion leave those of the prompt
    alone, as in TRL and with token healing, and ends with the id that ends a text, if any does.
    """
    boundaries = Boundaries.of(tokenizer)
    own_end = tokenizer.eos_token_id
    end = sorted(boundaries.ends)[:1] if own_end is None else [own_end]

    def render(
        prompt: Content, completions: Sequence[Content]
    ) -> tuple[list[int], list[list[int]]]:
        text, texts = str(prompt), [str(each) for each in completions]
        alone = tokenizer.encode_ordinary(text)
        joined = [tokenizer.encode_ordinary(text + each) for each in texts]
        shared = min(_shared(alone, each) for each in joined)
        start = boundaries.prefix if text else boundaries.start
        if not start and not shared:
            return alone, [[*tokenizer.encode_ordinary(each), *end] for each in texts]
        return [*start, *alone[:shared]], [[*each[shared:], *end] for each in joined]

    return render


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """Return with how many equal ids *first* and *second* begin."""
    pairs = zip(first, second, strict=False)
    return next(
        (index for index, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second))
    )
