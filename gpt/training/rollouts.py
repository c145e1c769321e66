"""Rollouts as training rows: completions of problems by the model in training, and their rewards.

A round of rollouts serves `Reinforcement.updates` steps. Prompts follow from (seed, round), the
random state of a completion from (seed, round, row), so a resumed run repeats them; a checkpoint in
the middle of a round keeps the round. B: rows of a batch, N: rows of a round, T: tokens of a row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from safetensors.torch import load, save
from torch import Tensor

from gpt.adapt.wrapping import merged
from gpt.data.batch import IGNORED, Batch
from gpt.data.problems.coding import Coding
from gpt.data.problems.problem import Problems
from gpt.errors import CheckpointError, DataError
from gpt.evaluation.problems import attempt
from gpt.generation.rollouts import Completion
from gpt.model.gpt import GPT
from gpt.model.model import Model
from gpt.model.objectives.grpo import ADVANTAGES, LIMITS, OLD, REFERENCE, group_advantages
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import World
from gpt.spec.objective import GRPO
from gpt.spec.recipe import Recipe
from gpt.spec.task import Reinforcement

MOSTLY = 0.9
"""Fraction of completions that are cut off from which there is a warning."""
CONSTANT_ROUNDS = 5
"""Rounds in which no group's reward varies after which there is a warning."""

Figures = Mapping[str, tuple[float, float]]
"""Figures by name, each a sum and the number of its terms."""


class Rows(NamedTuple):
    """The rows of a round that are trained on."""

    ids: Tensor
    """Prompts with their completions, (N, T) int64, 0 after their ends."""
    begins: Tensor
    """Tokens of each prompt, (N,) int64."""
    ends: Tensor
    """Tokens of each prompt and its completion, (N,) int64."""
    given: dict[str, Tensor]
    """What the objective needs: (N,), or (N, T - 1) at the positions of the targets."""

    @classmethod
    def of(
        cls, prompts: Sequence[Sequence[int]], completions: Sequence[Completion], **given: Tensor
    ) -> Rows:
        """Return the rows of *completions*, each of one of *prompts*."""
        begins = torch.tensor([len(prompt) for prompt in prompts], dtype=torch.int64)
        rows = [[*prompt, *each.ids] for prompt, each in zip(prompts, completions, strict=True)]
        ids = torch.zeros(len(rows), max(map(len, rows), default=2), dtype=torch.int64)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = torch.tensor(tokens)
        ends = torch.tensor([len(tokens) for tokens in rows], dtype=torch.int64)
        return cls(ids, begins, ends, given)

    def batch(self, first: int, count: int) -> Batch:
        """Return rows *first* to *first* + *count* - 1, as far as there are such.

        If there are none, the batch is a row without a target.
        """
        part = slice(first, first + count)
        ends = self.ends[part]
        if not len(ends):
            nothing = torch.zeros(1, 1, dtype=torch.int64)
            given = {
                name: each.new_zeros(1, *each.shape[1:])[:, :1]
                if each.dim() > 1
                else each.new_zeros(1)
                for name, each in self.given.items()
            }
            return Batch(nothing, nothing + IGNORED, given=given)
        length = int(ends.max())
        ids, after = self.ids[part, :length], torch.arange(1, length)
        is_target = (after >= self.begins[part, None]) & (after < ends[:, None])
        given = {
            name: each[part, : length - 1] if each.dim() > 1 else each[part]
            for name, each in self.given.items()
        }
        return Batch(ids[:, :-1], torch.where(is_target, ids[:, 1:], IGNORED), given=given)


class Rollouts:
    """The training rows of reinforcement, and the `Collector` that makes them."""

    def __init__(
        self,
        recipe: Recipe,
        problems: Problems,
        coding: Coding,
        reference: Callable[[Model], AbstractContextManager[Model]],
    ) -> None:
        """Roll out *problems* as *recipe* says, a recipe of `Reinforcement` with `GRPO`.

        *reference* returns a context with the model that the KL divergence is measured from.
        """
        assert isinstance(recipe.task, Reinforcement)
        assert isinstance(recipe.objective, GRPO)
        self._recipe, self._task, self._objective = recipe, recipe.task, recipe.objective
        self._longest = recipe.task.longest(recipe.model.context)
        """Most tokens of a completion."""
        self._problems, self._coding, self._reference = problems, coding, reference
        self.notice: Callable[[str], object] = lambda text: None
        """Shows a line, such as a warning; the loop sets it."""
        self.watch: Callable[[str, int, int], object] = lambda stage, done, total: None
        """Not called: a round is a part of a step."""
        self._round = -1
        """The last round."""
        self._rows = Rows.of([], [])
        self._figures: Figures = {}
        self._constant = 0
        """Rounds so far, without a gap, in which no group's reward varied."""
        self._has_warned = False
        """Whether it was said that completions are cut off."""
        self.tokens = 0
        """Tokens of all completions so far."""

    def batch(self, first: int, count: int) -> Batch:
        """Return rows *first* to *first* + *count* - 1 of those that are trained on.

        Rows of groups without variance, and those that are cut off, are left out: they would be
        zeros in the gradient. Past the last row, a batch has one row without a target.
        """
        return self._rows.batch(first % self._recipe.rows_per_step, count)

    def collect(self, step: int, model: Model, runtime: Runtime, world: World) -> Figures:
        """Roll out a round with *model*, unless *step* is one of the last round.

        The processes of *world* divide the prompts, as `attempt` does, and then all have all rows,
        of which each trains on its own.
        """
        number = step // self._task.updates
        if number != self._round:
            if step % self._task.updates:
                raise CheckpointError(
                    f"the completions of step {step + 1} are missing in its checkpoint; resume "
                    "from another"
                )
            training = model.training
            model.eval()
            try:
                self._roll_out(number, model, runtime, world)
            finally:
                model.train(training)
            self._round = number
        return self._figures

    def _roll_out(self, number: int, model: Model, runtime: Runtime, world: World) -> None:
        """Make round *number* with *model*, in evaluation mode."""
        recipe, task = self._recipe, self._task
        count = recipe.rows_per_step // task.group
        problems = [
            self._problems.problem("train", recipe.seed, number * count + index)
            for index in range(count)
        ]
        with merged(model):
            prompts, completions, rewarded = attempt(
                cast(GPT, model),
                self._problems,
                self._coding,
                problems,
                copies=task.group,
                seeds=[(recipe.seed, number, row) for row in range(count * task.group)],
                max_tokens=self._longest,
                temperature=self._objective.temperature,
                runtime=runtime,
                world=world,
            )
        rewards = torch.tensor(rewarded).view(count, task.group)
        varies = (rewards != rewards[:, :1]).any(1)
        self._take_figures(completions, rewards, varies)
        advantages = group_advantages(rewards, self._objective.advantage).flatten()
        kept = [
            row
            for row, completion in enumerate(completions)
            if varies[row // task.group] and (completion.has_ended or not task.mask_truncated)
        ]
        self._rows = Rows.of(
            [prompts[row // task.group] for row in kept],
            [completions[row] for row in kept],
            **{ADVANTAGES: advantages[kept], LIMITS: torch.full((len(kept),), self._longest)},
        )
        if task.updates > 1:
            self._rows.given[OLD] = self._log_p(model, runtime, world)
        if self._objective.beta:
            with self._reference(model) as reference:
                self._rows.given[REFERENCE] = self._log_p(reference, runtime, world)

    def _take_figures(
        self, completions: Sequence[Completion], rewards: Tensor, varies: Tensor
    ) -> None:
        """Compute the figures of a round, and warn if nothing can be learned from it."""
        lengths = [len(each.ids) for each in completions]
        cut = sum(not each.has_ended for each in completions)
        groups = len(rewards)
        self.tokens += sum(lengths)
        self._figures = {
            "reward": (rewards.sum().item(), len(completions)),
            "reward_std": (rewards.std(1).sum().item(), groups),
            "length": (sum(lengths), len(completions)),
            "truncated": (cut, len(completions)),
            "zero_variance": (groups - int(varies.sum()), groups),
        }
        if cut >= MOSTLY * len(completions) and not self._has_warned:
            self._has_warned = True
            self.notice(
                f"warning: {cut:,} of {len(completions):,} completions were cut off at "
                f"{self._longest} tokens, so they have no reward: raise --max-tokens, or "
                "start from a model that ends its answers"
            )
        self._constant = 0 if varies.any() else self._constant + 1
        if self._constant == CONSTANT_ROUNDS:
            self.notice(
                f"warning: in {CONSTANT_ROUNDS} rounds all completions of each prompt had the same "
                f"reward, {rewards.mean():.3g} at the mean, so nothing is learned: use easier or "
                "harder problems, a larger --group, or a base that solves some of them"
            )

    @torch.no_grad()
    def _log_p(self, model: Model, runtime: Runtime, world: World) -> Tensor:
        """Return the log-probabilities of the targets by *model*: (N, T - 1), 0 elsewhere.

        Each process of *world* computes those of the rows that it trains on.
        """

        def log_p_of(model: Model, batch: Batch) -> Tensor:
            return model.likelihoods(batch, self._objective.temperature).log_p

        size, own = self._recipe.batch_size, world.rows_of_rank(self._recipe.rows_per_step)
        count, length = self._rows.ids.shape
        parts = []
        for first in own[::size]:  # also past the last row: under FSDP, all make the same passes
            batch = self._rows.batch(first, min(size, own.stop - first))
            with runtime.autocast():
                log_p = model(batch.to(runtime.device), log_p_of)[: max(0, count - first)].cpu()
            parts.append(F.pad(log_p, (0, length - 1 - log_p.shape[1])))
        return torch.cat([each for found in world.gather(parts) for each in found])

    def save(self) -> bytes:
        """Return the last round, if it has steps to come, and what was counted."""
        state = {
            "round": self._round,
            "constant": self._constant,
            "has_warned": self._has_warned,
            "tokens": self.tokens,
            "figures": self._figures,
            "problems": self._problems.digest,
        }
        rows = self._rows if self._task.updates > 1 else Rows.of([], [])
        tensors = {"ids": rows.ids, "begins": rows.begins, "ends": rows.ends, **rows.given}
        return save(tensors, metadata={"state": json.dumps(state)})

    def restore(self, content: bytes) -> None:
        """Take up what `save` has returned; raises DataError if the problems have changed."""
        size = int.from_bytes(content[:8], "little")
        state = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["state"])
        if state["problems"] != self._problems.digest:
            raise DataError(
                f"{self._recipe.data}: the prompts have changed since the run began; restore them, "
                "or choose another --out"
            )
        tensors = load(content)
        ids, begins, ends = (tensors.pop(name) for name in ("ids", "begins", "ends"))
        self._rows = Rows(ids, begins, ends, tensors)
        self._round, self._constant = state["round"], state["constant"]
        self._has_warned = state["has_warned"]
        self.tokens = state["tokens"]
        self._figures = {name: (sum, count) for name, (sum, count) in state["figures"].items()}
