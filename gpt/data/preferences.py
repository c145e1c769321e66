"""Preferences as pairs of rows: a prompt with a chosen and with a rejected completion.

The prompt is read, and only the completions count. For labeled completions without pairs, the first
row of a pair is a prompt with its completion, which is trained on, and the second the same prompt
with the completion of another one, by which the KL divergence is estimated
(`gpt.model.objectives.preferences.divergence`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gpt.data.batch import IGNORED, Batch
from gpt.data.completions import Render
from gpt.data.contents import Content, texts_of
from gpt.data.pairs import cut, padded
from gpt.data.preference_files import Preference
from gpt.errors import ConfigError, DataError
from pytok.counted import counted
from pytok.errors import ChatError

REFERENCE, DESIRABLE, KL = "reference", "desirable", "kl"
"""Names in `Batch.given`: log-probabilities of the completions of the rows under the base, whether
they are labeled good, and the KL divergence of the model from the base, which is the same for
all."""


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
    bytes: int = 0
    """Length of the completions that are trained on, in UTF-8 bytes."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def num_targets(self) -> int:
        """Number of tokens of all completions that count."""
        counted = 2 if self.desirable is None else 1
        return sum(len(row.ids) - row.start for pair in self.rows for row in pair[:counted])

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
        """Return the rows of the pairs *indices* that are trained on: one or two of each."""
        counted = 2 if self.desirable is None else 1
        batch = batch_of([row for index in indices for row in self.rows[index][:counted]])
        given = {}
        if self.reference is not None:
            given[REFERENCE] = torch.from_numpy(self.reference[indices, :counted].reshape(-1))
        if self.desirable is not None:
            given[DESIRABLE] = torch.from_numpy(self.desirable[indices])
        return batch._replace(given=given)


def batch_of(rows: Sequence[Row]) -> Batch:
    """Return *rows* as a batch, padded to the longest among them.

    The padding is after the ends, so causal attention needs no mask.
    """
    targets = []
    for ids, start in rows:
        following = ids[1:].copy()
        following[: start - 1] = IGNORED
        targets.append(following)
    return Batch(padded([ids[:-1] for ids, _ in rows], 0), padded(targets, IGNORED))


def batches_of(rows: Sequence[Row], most_tokens: int) -> Iterator[tuple[list[int], Batch]]:
    """Yield all of *rows* once, the shortest first, with their indices.

    A batch has at most *most_tokens* tokens with its padding, unless a single row has more.
    """
    lengths = np.array([[len(ids) - 1] for ids, _ in rows], np.int64).reshape(-1, 1)
    order = np.argsort(lengths[:, 0], kind="stable")
    for start, stop in pairwise(cut(lengths[order], most_tokens) if rows else []):
        indices = order[start:stop].tolist()
        yield indices, batch_of([rows[index] for index in indices])


class PreferenceRows:
    """The endless sequence of training rows, in a new order every epoch; a pair is one row here.

    Which ones is a pure function of (seed, row), as with `gpt.data.shards.TrainingRows`.
    """

    kl: float | None = None
    """The KL divergence that the next batches are given, if set."""

    def __init__(self, preferences: EncodedPreferences, seed: int) -> None:
        self.preferences, self._seed = preferences, seed
        self._epoch = -1
        self._order = np.array([], np.int64)

    def batch(self, first: int, count: int) -> Batch:
        """Return rows *first* to *first* + *count* - 1."""
        batch = self.preferences.batch(self.indices(range(first, first + count)))
        if self.kl is None:
            return batch
        return batch._replace(given={**batch.given, KL: torch.full((count,), self.kl)})

    def indices(self, rows: range) -> list[int]:
        """Return which of the preferences *rows* are."""
        return [self._index(row) for row in rows]

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

    @property
    def bytes(self) -> int:
        """Length of the completions in UTF-8 bytes."""
        return sum(len(text.encode()) for each in self.of.completions for text in texts_of(each))


def encode(path: Path, preferences: Sequence[Preference], render: Render) -> list[Encoded]:
    """Return the ids of *preferences*, of the file *path*.

    Raises DataError, with the line, for messages that cannot be rendered, and for a prompt without
    an id, which nothing can follow.
    """
    encoded = []
    for each in preferences:
        where = f"{path}, line {each.line}"
        try:
            encoded.append(Encoded(each, *render(each.prompt, each.completions)))
        except ChatError as error:
            raise DataError(f"{where}: {error}") from error
        if not encoded[-1].prompt:
            raise DataError(
                f"{where}: the prompt is empty, and no token of the base starts a text; pass one"
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
        bytes=sum(each.bytes for each in encoded),
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
    [1, 0, 3, 2]
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
    prompts: Sequence[Hashable], fraction: float, seed: int
) -> tuple[list[int], list[int]]:
    """Return the indices that are trained on, and those held out: about *fraction* of *prompts*.

    Which ones follows from *seed*. Equal prompts are on one side, unless all are equal. Raises
    ConfigError if nothing is left to train on.
    """
    if not fraction:
        return list(range(len(prompts))), []
    keys = prompts if len(set(prompts)) > 1 else range(len(prompts))
    unique = list(dict.fromkeys(keys))
    count = max(1, round(fraction * len(unique)))
    if count >= len(unique):
        raise ConfigError(
            f"holding out {fraction:g} of {counted(len(unique), 'prompt')} leaves nothing to train "
            "on; pass more, or --val 0 to hold out nothing"
        )
    chosen = np.random.default_rng((seed, len(unique))).permutation(len(unique))[:count]
    held = {unique[index] for index in chosen.tolist()}
    sides: tuple[list[int], list[int]] = ([], [])
    for index, key in enumerate(keys):
        sides[key in held].append(index)
    return sides
