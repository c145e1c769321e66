"""Log-probabilities of the completions of preferences, and how a model judges held-out ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from gpt.data.preferences import EncodedPreferences
from gpt.model.model import Model
from gpt.model.objectives.preferences import Completions, PreferenceObjective, log_p_of_rows
from gpt.parallel.memory import fitting_in_memory
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World

MOST_TOKENS = 4096
"""Tokens that are read at a time, padding included, unless a pair has more."""


@dataclass(frozen=True, kw_only=True)
class PreferenceEvaluation:
    """How a model judges preferences."""

    figures: dict[str, float]
    """The loss of the objective, and its figures (`gpt.model.objectives.preferences`)."""


def completion_log_p(
    model: Model,
    preferences: EncodedPreferences,
    *,
    runtime: Runtime,
    world: World = ALONE,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.float32]:
    """Return the log-probabilities of the completions of *preferences* under *model*, (n, 2).

    The processes of *world* split the batches, and each returns all. *progress* is called after
    each batch with (completions done, total). The model's training mode is restored.
    """
    training, found = model.training, np.zeros((len(preferences), 2))
    batches, done = preferences.batches(MOST_TOKENS), 0
    model.eval()
    try:
        with (
            fitting_in_memory(f"batches of {MOST_TOKENS} tokens", "use shorter rows"),
            torch.inference_mode(),
            runtime.autocast(),
        ):
            while current := list(islice(batches, world.size)):
                # Without a batch of its own a process repeats another's, for the others' sake.
                indices, batch = current[min(world.rank, len(current) - 1)]
                sums = model(batch.to(runtime.device), log_p_of_rows)
                if world.rank < len(current):
                    found[indices] = sums.view(-1, 2).cpu().numpy()
                done += sum(2 * len(each) for each, _ in current)
                if progress is not None:
                    progress(done, 2 * len(preferences))
    finally:
        model.train(training)
    # All others are 0, so the sum over processes is exact.
    return np.array(world.sums(found.ravel().tolist()), np.float32).reshape(-1, 2)


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

    The other arguments are those of `completion_log_p`.
    """
    log_p = completion_log_p(model, preferences, runtime=runtime, world=world, progress=progress)
    return judged(log_p, preferences, objective)


def judged(
    log_p: NDArray[np.float32], preferences: EncodedPreferences, objective: PreferenceObjective
) -> PreferenceEvaluation:
    """Return the loss and the figures of *objective* where a model gives *log_p* (n, 2)."""
    lengths = [[len(ids) - start for ids, start in pair] for pair in preferences.rows]
    labels = preferences.desirable
    loss = objective.loss(
        Completions(
            torch.from_numpy(log_p),
            torch.tensor(lengths),
            None if preferences.reference is None else torch.from_numpy(preferences.reference),
            None if labels is None else torch.from_numpy(labels.repeat(2).reshape(-1, 2)),
        )
    )
    means = {name: each.tolist() for name, each in loss.means.items()}
    figures = {name: total / count for name, (total, count) in means.items() if count}
    return PreferenceEvaluation(figures={"loss": loss.sum.item() / len(preferences), **figures})
