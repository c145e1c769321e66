"""Log-probabilities of completions, and how a model judges held-out preferences by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from gpt.data.preferences import EncodedPreferences, Row, batches_of
from gpt.model.model import Model
from gpt.model.objectives.preferences import (
    Completions,
    PreferenceObjective,
    divergence,
    log_p_of_rows,
)
from gpt.parallel.memory import fitting_in_memory
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World

MOST_TOKENS = 4096
"""Tokens that are read at a time, padding included, unless a row has more."""


@dataclass(frozen=True, kw_only=True)
class PreferenceEvaluation:
    """How a model judges preferences."""

    figures: dict[str, float]
    """The loss of the objective, and its figures (`gpt.model.objectives.preferences`)."""


def log_p_of(
    model: Model,
    rows: Sequence[Row],
    *,
    runtime: Runtime,
    world: World = ALONE,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.float32]:
    """Return the log-probability of the completion of each of *rows* under *model*, (n,).

    The processes of *world* split the batches, and each returns all. *progress* is called after
    each batch with (rows done, all rows). The model's training mode is restored.
    """
    training, found = model.training, np.zeros(len(rows))
    batches, done = batches_of(rows, MOST_TOKENS), 0
    fitting = fitting_in_memory(f"batches of {MOST_TOKENS} tokens", "use shorter rows")
    model.eval()
    try:
        # Not in inference mode: FSDP keeps buffers of its first forward pass, and this can be it.
        with fitting, torch.no_grad(), runtime.autocast():
            while current := list(islice(batches, world.size)):
                # Without a batch of its own a process repeats another's, for the others' sake.
                indices, batch = current[min(world.rank, len(current) - 1)]
                sums = model(batch.to(runtime.device), log_p_of_rows)
                if world.rank < len(current):
                    found[indices] = sums.cpu().numpy()
                done += sum(len(each) for each, _ in current)
                if progress is not None:
                    progress(done, len(rows))
    finally:
        model.train(training)
    # All but one process have 0 for a row, so the sum is exact.
    return np.array(world.sums(found.tolist()), np.float32)


def evaluate_preferences(
    model: Model,
    preferences: EncodedPreferences,
    *,
    objective: PreferenceObjective,
    runtime: Runtime,
    world: World = ALONE,
    progress: Callable[[int, int], object] | None = None,
) -> PreferenceEvaluation:
    """Return the loss and the figures of *objective* on all of *preferences*.

    The other arguments are those of `log_p_of`.
    """
    rows = [row for pair in preferences.rows for row in pair]
    log_p = log_p_of(model, rows, runtime=runtime, world=world, progress=progress)
    completions = _completions(torch.from_numpy(log_p.reshape(-1, 2)), preferences)
    loss = objective.loss(completions)
    means = {name: each.tolist() for name, each in loss.means.items()}
    figures = {name: total / count for name, (total, count) in means.items() if count}
    return PreferenceEvaluation(figures={"loss": loss.sum.item() / len(preferences), **figures})


def _completions(log_p: torch.Tensor, preferences: EncodedPreferences) -> Completions:
    """Return *preferences* with the log-probabilities *log_p* (n, 2) of the rows of each."""
    sizes = [[len(ids) - start for ids, start in pair] for pair in preferences.rows]
    lengths, labels = torch.tensor(sizes), preferences.desirable
    reference = None
    if preferences.reference is not None:
        reference = torch.from_numpy(preferences.reference)
    if labels is None or reference is None:
        return Completions(log_p, lengths, reference)
    kl = divergence(log_p[:, 1] - reference[:, 1])
    return Completions(log_p[:, 0], lengths[:, 0], reference[:, 0], torch.from_numpy(labels), kl)
