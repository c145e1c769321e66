"""The task of reinforcement: problems, completions of the model in training, and rewards."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

from gpt.adapt.wrapping import switched_off
from gpt.data.problems.build import build_problems
from gpt.data.problems.coding import Coding
from gpt.data.problems.problem import Problems
from gpt.errors import ConfigError
from gpt.evaluation.problems import evaluate_problems
from gpt.model.model import Model
from gpt.parallel.sharded import is_sharded
from gpt.runs.reading import Checkpoint
from gpt.runs.writing import tokenizer_files
from gpt.spec.objective import GRPO
from gpt.spec.recipe import Recipe
from gpt.spec.task import Reinforcement
from gpt.training.rollouts import Rollouts
from gpt.training.tasks.starting import Layout, required_template, starting_model
from gpt.training.tasks.task import Task
from pytok.counted import counted
from pytok.tokenizer import Tokenizer

STEPS = 200
"""Steps of a plan."""
PROMPTS = 16
"""Prompts of a step of a plan."""


@dataclass(frozen=True, kw_only=True)
class ProblemData:
    """Problems, and how their prompts are encoded for *base*."""

    base: Checkpoint
    tokenizer: Tokenizer
    problems: Problems
    coding: Coding

    @classmethod
    def open(cls, recipe: Recipe, base: Checkpoint) -> ProblemData:
        """Open the problems of *recipe*; raises ConfigError or DataError if there are none."""
        assert isinstance(recipe.task, Reinforcement)
        tokenizer, problems = base.tokenizer(), build_problems(recipe.task.problems, recipe.data)
        if problems.templated:
            coding = Coding.of_chats(required_template(base, recipe.data), tokenizer)
        else:
            coding = Coding.of_texts(tokenizer)
        return cls(base=base, tokenizer=tokenizer, problems=problems, coding=coding)

    def layout(self, recipe: Recipe, chosen: frozenset[str]) -> Layout:
        """Choose `STEPS` steps of `PROMPTS` prompts."""
        task = recipe.task
        assert isinstance(task, Reinforcement)
        longest, rows = task.longest(self.base.config.context), PROMPTS * task.group
        task = dataclasses.replace(task, max_tokens=longest)
        return Layout(task, STEPS * rows, longest, rows)

    def task(self, recipe: Recipe) -> Task:
        """Return the task of learning from rewards, evaluated on held-out problems.

        Raises ConfigError if a step has no complete groups.
        """
        assert isinstance(recipe.task, Reinforcement)
        assert isinstance(recipe.objective, GRPO)
        task, problems = recipe.task, self.problems
        if recipe.rows_per_step % task.group:
            raise ConfigError(
                f"batch_size x accumulate = {recipe.rows_per_step} must be a multiple of the "
                f"group, {task.group}: all completions of a prompt are of one step"
            )
        rollouts = Rollouts(recipe, problems, self.coding, self._reference(recipe))

        def seen(rows: int) -> tuple[int, int]:
            return rollouts.tokens, rollouts.tokens

        measure = partial(
            evaluate_problems,
            problems=problems,
            coding=self.coding,
            count=task.held_out,
            max_tokens=task.longest(recipe.model.context),
            temperature=recipe.objective.temperature,
        )
        per_step = recipe.rows_per_step // task.group
        return Task(
            recipe=recipe,
            fingerprint=self.tokenizer.fingerprint,
            train_tokens=0,
            data_files={**self.base.data_files, **tokenizer_files(self.tokenizer)},
            rows=rollouts,
            seen=seen,
            evaluate=measure if problems.has("val") else None,
            model=lambda: starting_model(self.base, recipe, self.tokenizer.n_vocab),
            starts_from_checkpoint=True,
            summary=f"{problems.summary}; a step has {counted(per_step, 'prompt')} of {task.group} "
            "completions",
            collector=rollouts,
        )

    def _reference(self, recipe: Recipe) -> Callable[[Model], AbstractContextManager[Model]]:
        """Return what lends the base: the model without its adapters, or a copy.

        It is a copy if there are none, or if the model is sharded: FSDP gathers the modules that it
        was given.
        """
        assert isinstance(recipe.task, Reinforcement)
        has_adapters, copies = recipe.task.adapter is not None, list[Model]()

        @contextmanager
        def lend(model: Model) -> Iterator[Model]:
            if has_adapters and not is_sharded(model.parameters()):
                with switched_off(model):
                    yield model
                return
            if not copies:
                copies.append(self.base.model(model.device).eval().requires_grad_(False))
            yield copies[0]

        return lend
