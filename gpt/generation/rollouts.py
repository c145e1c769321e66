"""Rollouts: completions of prompts, sampled from a model as it is, with the tokens that end them.

A row is a completion. It is sampled with a random state of its own, a function of its seed, so it
does not depend on which rows are sampled together, up to the rounding of the logits.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import torch

from gpt.generation.decoder import Decoder
from gpt.generation.sampling import Sampling, read_ids, sample_tokens
from gpt.model.language_model import LanguageModel
from gpt.parallel.memory import fitting_in_memory
from pytok.counted import counted

AT_ONCE = 512
"""Most rows that grow at a time."""


class Completion(NamedTuple):
    """The tokens after a prompt."""

    ids: list[int]
    """Its tokens. The last one is an end, if one was sampled: to end is a choice of the model."""
    has_ended: bool
    """Whether it has such an end, instead of the most tokens."""

    @property
    def text_ids(self) -> list[int]:
        """Its tokens without the end."""
        return self.ids[:-1] if self.has_ended else self.ids


def complete(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    *,
    copies: int = 1,
    seeds: Sequence[Sequence[int]] = (),
    ends: Collection[int],
    max_tokens: int,
    temperature: float = 1.0,
) -> list[Completion]:
    """Sample *copies* completions of each of *prompts*, those of a prompt one after another.

    *seeds* has the numbers of which the random state of each completion is a function; without
    any, the likeliest tokens are taken. A completion ends with one of the ids *ends*, or has
    *max_tokens* tokens. A prompt and *max_tokens* fit the context of *model*, which is in
    evaluation mode. Raises CheckpointError if the model predicts NaN, TrainingError if the rows do
    not fit in memory.
    """
    sampling = Sampling(temperature=temperature if seeds else 0)
    found = []
    group = max(1, AT_ONCE // copies)
    for start in range(0, len(prompts), group):
        part = prompts[start : start + group]
        rows = slice(start * copies, (start + len(part)) * copies)
        states = [_generator(model, seed) for seed in seeds[rows]]
        with fitting_in_memory(
            f"{counted(len(part) * copies, 'completion')} of up to {max_tokens} tokens",
            "use a smaller --group or --max-tokens",
        ):
            found += _complete(model, part, copies, states, frozenset(ends), max_tokens, sampling)
    return found


def _complete(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    copies: int,
    states: list[torch.Generator],
    ends: frozenset[int],
    max_tokens: int,
    sampling: Sampling,
) -> list[Completion]:
    """Return the completions of *prompts*, all at a time; see `complete`."""
    decoder = Decoder(model, prompts)
    decoder.repeat(copies)
    completions: list[list[int]] = [[] for _ in range(len(prompts) * copies)]
    growing = list(range(len(completions)))
    """The completion of each row of the decoder."""
    for length in range(1, max_tokens + 1):
        with torch.inference_mode():
            sampled = read_ids(sample_tokens(decoder.logits, sampling, states))
        for row, id in zip(growing, sampled, strict=True):
            completions[row].append(id)
        kept = [row for row, id in enumerate(sampled) if id not in ends]
        if not kept or length == max_tokens:
            break
        if len(kept) < len(growing):
            decoder.keep(kept)
            growing, sampled = [growing[row] for row in kept], [sampled[row] for row in kept]
            states = [states[row] for row in kept] if states else []
        decoder.append(sampled)
    return [Completion(ids, ids[-1] in ends) for ids in completions]


def _generator(model: LanguageModel, seed: Sequence[int]) -> torch.Generator:
    """Return the random state of *seed*, on the device of *model*."""
    (state,) = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    return torch.Generator(model.device).manual_seed(int(state) % 2**63)
