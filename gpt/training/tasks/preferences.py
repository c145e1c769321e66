"""The task of preferences: completions that are better or worse than others.

The base is present only as the log-probabilities that it gives to the completions. They are
computed before the first step, by the model itself, which is the base then, and kept in each
checkpoint. So there is never a second model in memory, and a resumed run repeats nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load, save

from gpt.data.completions import chat_renderer, plain_renderer
from gpt.data.contents import are_messages
from gpt.data.preference_files import PreferenceFile, read_preferences
from gpt.data.preferences import (
    Encoded,
    EncodedPreferences,
    PreferenceRows,
    encode,
    hold_out,
    lay_out,
)
from gpt.errors import ConfigError, DataError
from gpt.evaluation.preferences import PreferenceEvaluation, evaluate_preferences, log_p_of
from gpt.model.model import Model
from gpt.model.objectives.build import build_objective
from gpt.model.objectives.preferences import divergence
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World
from gpt.runs.reading import Checkpoint
from gpt.spec.objective import KTO, Preference
from gpt.spec.recipe import Recipe
from gpt.spec.task import Preferences
from gpt.training.tasks.starting import Layout, required_template, starting_model
from gpt.training.tasks.task import Progress, Task
from pytok.counted import counted
from pytok.tokenizer import Tokenizer

TRAIN, VAL, DATA = "train", "val", "data"
"""What a checkpoint keeps: log-probabilities of the completions of each split under the base, and
the digest of all completions."""


@dataclass(frozen=True, kw_only=True)
class PreferenceData:
    """A file of preferences, rendered for *base*."""

    base: Checkpoint
    tokenizer: Tokenizer
    file: PreferenceFile
    encoded: Sequence[Encoded]
    templated: bool
    """Whether prompts are messages, which the chat template of the base has rendered."""

    @classmethod
    def open(cls, recipe: Recipe, base: Checkpoint, chosen: frozenset[str]) -> PreferenceData:
        """Read and render the file of *recipe*; raises DataError naming a line that is wrong."""
        path = recipe.data
        file = read_preferences(path, paired=_objective(recipe).PAIRED)
        templated = are_messages(path, ((each.line, each.prompt) for each in file.preferences))
        tokenizer = base.tokenizer()
        if templated:
            render = chat_renderer(required_template(base, path), tokenizer)
        else:
            render = plain_renderer(tokenizer)
        encoded = encode(path, file.preferences, render)
        return cls(base=base, tokenizer=tokenizer, file=file, encoded=encoded, templated=templated)

    def layout(self, recipe: Recipe, chosen: frozenset[str]) -> Layout:
        """Choose rows that hold 95% of the completions with their prompts uncut."""
        task = recipe.task
        assert isinstance(task, Preferences)
        train, _ = self._sides(task, recipe.seed)
        rows = [
            sum(len(each.prompt) + len(ids) for ids in each.completions)
            for each in (self.encoded[index] for index in train)
        ]
        # Of a step as it is padded, nearly: its longest rows.
        return Layout(task, len(rows), sorted(rows)[len(rows) * 19 // 20])

    def task(self, recipe: Recipe) -> Task:
        """Return the task of training on preferences, evaluated on those held out.

        Raises ConfigError if nothing is left to train on, or if a step has too few rows.
        """
        spec, objective = recipe.task, _objective(recipe)
        assert isinstance(spec, Preferences)
        if (self.encoded[0].of.desirable is None) != objective.PAIRED:
            # Planned with another objective, for which a line is read differently.
            return PreferenceData.open(recipe, self.base, frozenset()).task(recipe)
        if not objective.PAIRED and recipe.rows_per_step < 2:
            raise ConfigError(
                "KTO needs at least two completions in a step, which estimate the KL divergence "
                "together; set batch_size to 2 or more"
            )
        length = spec.row_length or recipe.model.context
        train, held_out = (
            lay_out([self.encoded[index] for index in side], length)
            for side in self._sides(spec, recipe.seed)
        )
        rows = PreferenceRows(train, recipe.seed)
        base = BaseJudgment(rows, held_out, recipe)

        def seen(count: int) -> tuple[int, int]:
            epochs = count / len(train)
            return round(epochs * train.num_targets), round(epochs * train.bytes)

        return Task(
            recipe=recipe,
            fingerprint=self.tokenizer.fingerprint,
            train_tokens=train.num_targets,
            data_files=self.base.data_files,
            rows=rows,
            seen=seen,
            evaluate=base.evaluate if len(held_out) else None,
            model=lambda: starting_model(self.base, recipe, self.base.state.config.vocab_size),
            starts_from_checkpoint=True,
            summary=self._summary(recipe, train, held_out),
            collector=base if objective.REFERENCE else None,
        )

    def _sides(self, task: Preferences, seed: int) -> tuple[list[int], list[int]]:
        """Return the indices of what is trained on, and of what is held out."""
        return hold_out([each.of.prompt for each in self.encoded], task.val, seed)

    def _summary(
        self, recipe: Recipe, train: EncodedPreferences, held_out: EncodedPreferences
    ) -> str:
        """Return the data in one line, with all that is omitted or cut."""
        paired = _objective(recipe).PAIRED
        parts = [
            f"{counted(len(train), 'pair' if paired else 'completion')} and {len(held_out):,} held "
            f"out, {counted(train.num_targets, 'token')} trained on",
            f"prompts {'in the chat template of the base' if self.templated else 'as plain text'}",
        ]
        if train.desirable is not None:
            parts.append(_balance(recipe, int(train.desirable.sum()), len(train)))
        parts.append(self.file.omitted)
        for number, end, what in (
            (train.cut_prompts + held_out.cut_prompts, "beginning", "prompt"),
            (train.cut_completions + held_out.cut_completions, "end", "completion"),
        ):
            parts.append(f"the {end} of {counted(number, what)} cut off" if number else "")
        return "; ".join(filter(None, parts))


def _balance(recipe: Recipe, good: int, total: int) -> str:
    """Return how many of *total* completions are *good*, with advice if their weights do not fit.

    Ethayarajh 2024, section 4.2: the weight of all good ones is 1 to 4/3 of that of the others.
    """
    objective = recipe.objective
    assert isinstance(objective, KTO)
    text = f"{good:,} labeled good"
    bad = total - good
    ratio = objective.desirable_weight * good / max(1, objective.undesirable_weight * bad)
    if not good or not bad or 0.99 <= ratio <= 4 / 3:
        return text
    weight = objective.undesirable_weight * bad / good
    return f"{text}, for which objective.desirable_weight={weight:.3g} is advised"


class BaseJudgment:
    """What the base gives to completions, and by it the KL divergence of a step: a `Collector`.

    The model of the first call is the base.
    """

    def __init__(self, rows: PreferenceRows, held_out: EncodedPreferences, recipe: Recipe) -> None:
        self._rows, self._recipe = rows, recipe
        self._splits = {TRAIN: rows.preferences, VAL: held_out}
        self._objective: Any = build_objective(recipe.objective, recipe.model)
        self._computed: dict[torch.dtype, dict[str, NDArray[np.float32]]] = {}
        """By dtype: before the first step, another one can turn out to be faster."""
        self._restored = False
        self.watch: Callable[[str, int, int], object] = lambda stage, done, total: None
        self.notice: Callable[[str], object] = lambda text: None

    def collect(
        self, step: int, model: Model, runtime: Runtime, world: World
    ) -> Mapping[str, tuple[float, float]]:
        """Compute what the base gives, once, and without pairs the KL divergence of *step*."""
        self._judge(model, runtime, world)
        train = self._rows.preferences
        if train.desirable is not None and train.reference is not None:
            count = self._recipe.rows_per_step
            indices = self._rows.indices(range(step * count, (step + 1) * count))
            mismatched = [train.rows[index][1] for index in indices]
            log_p = log_p_of(model, mismatched, runtime=runtime, world=world)
            ratios = torch.from_numpy(log_p - train.reference[indices, 1])
            self._rows.kl = divergence(ratios).item()
        return {}

    def evaluate(
        self,
        model: Model,
        *,
        runtime: Runtime,
        world: World = ALONE,
        progress: Progress | None = None,
    ) -> PreferenceEvaluation:
        """Return how *model* judges the held-out preferences."""
        if _objective(self._recipe).REFERENCE:
            self._judge(model, runtime, world)
        return evaluate_preferences(
            model,
            self._splits[VAL],
            objective=self._objective,
            runtime=runtime,
            world=world,
            progress=progress,
        )

    def save(self) -> bytes:
        """Return what the base gives to the completions, and their digest."""
        arrays = {name: each.reference for name, each in self._splits.items()}
        known = {name: each for name, each in arrays.items() if each is not None}
        return save({DATA: self._digest(), **known})

    def restore(self, content: bytes) -> None:
        """Continue with what `save` has returned; raises DataError if it is of other data."""
        kept = load(content)
        if not np.array_equal(kept[DATA], self._digest()):
            raise DataError(
                f"{self._recipe.data}: not the preferences that the run began with; restore them, "
                "or choose another --out"
            )
        self._use(kept)
        self._restored = True

    def _judge(self, model: Model, runtime: Runtime, world: World) -> None:
        """Compute what *model* gives to the completions, unless it is known."""
        if self._restored:
            return
        if runtime.dtype not in self._computed:
            rows = {
                name: [row for pair in split.rows for row in pair]
                for name, split in self._splits.items()
            }
            watch = partial(self.watch, "log-probabilities of the base")
            self._computed[runtime.dtype] = {
                name: log_p_of(model, each, runtime=runtime, world=world, progress=watch)
                for name, each in rows.items()
            }
        self._use(self._computed[runtime.dtype])

    def _use(self, log_p: Mapping[str, NDArray[np.float32]]) -> None:
        """Give *log_p* with batches, and compare evaluations with it."""
        for name, split in self._splits.items():
            self._splits[name] = split.with_reference(log_p[name].reshape(-1, 2))
        self._rows.preferences = self._splits[TRAIN]

    def _digest(self) -> NDArray[np.uint8]:
        """Return the digest of the completions, as `REFERENCE` has it."""
        joined = "".join(split.fingerprint for split in self._splits.values())
        return np.frombuffer(bytes.fromhex(joined), np.uint8)


def _objective(recipe: Recipe) -> Preference:
    """Return the objective of *recipe*, one of preferences, as the spec of its task has checked."""
    assert isinstance(recipe.objective, Preference)
    return recipe.objective
