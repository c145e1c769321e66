"""Pass@1: the fraction of held-out problems that a model solves with one completion of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gpt.data.problems.coding import Coding
from gpt.data.problems.problem import Problem, Problems
from gpt.errors import DataError
from gpt.generation.rollouts import AT_ONCE, Completion, complete
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.parallel.sharded import is_sharded
from gpt.parallel.world import ALONE, World

EVALUATION = 2**31
"""Stands for the seed of a run in evaluations: no run has it, and all have the same problems."""


class Attempts(NamedTuple):
    """Completions of problems, those of a problem one after another."""

    prompts: list[list[int]]
    """The ids of the prompt of each problem."""
    completions: list[Completion]
    rewards: list[float]
    """The reward of each completion."""


@dataclass(frozen=True, kw_only=True)
class ProblemEvaluation:
    """Rewards of completions of held-out problems."""

    rewards: Sequence[float]
    """The reward of each completion."""
    lengths: Sequence[int]
    """Its number of tokens, with the end."""
    truncated: int
    """How many were cut off."""

    @property
    def solved(self) -> int:
        """Number of completions with the full reward."""
        return sum(reward == 1 for reward in self.rewards)

    @property
    def figures(self) -> dict[str, float]:
        """The figures that a run records and can be scored by (`gpt.evaluation.score`)."""
        count = len(self.rewards)
        return {
            "reward": sum(self.rewards) / count,
            "solved": self.solved / count,
            "length": sum(self.lengths) / count,
            "truncated": self.truncated / count,
        }


def evaluate_problems(
    model: GPT,
    problems: Problems,
    coding: Coding,
    *,
    count: int,
    max_tokens: int,
    temperature: float = 1.0,
    seed: int = EVALUATION,
    runtime: Runtime,
    world: World = ALONE,
    progress: Callable[[int, int], object] | None = None,
) -> ProblemEvaluation:
    """Complete *count* held-out problems, those of *seed*, once each.

    Completions are sampled at *temperature*, or, if it is 0, have the likeliest tokens. *progress*
    is called with (problems done, all). *world* is that of `attempt`. The model's training mode is
    restored.
    """
    training, rewards, completions = model.training, list[float](), list[Completion]()
    model.eval()
    try:
        for start in range(0, count, AT_ONCE):
            indices = range(start, min(count, start + AT_ONCE))
            asked = [problems.problem("val", seed, index) for index in indices]
            found = attempt(
                model,
                problems,
                coding,
                asked,
                seeds=[(seed, index) for index in indices] if temperature else (),
                max_tokens=max_tokens,
                temperature=temperature,
                runtime=runtime,
                world=world,
            )
            completions += found.completions
            rewards += found.rewards
            if progress is not None:
                progress(indices.stop, count)
    finally:
        model.train(training)
    return ProblemEvaluation(
        rewards=rewards,
        lengths=[len(each.ids) for each in completions],
        truncated=sum(not each.has_ended for each in completions),
    )


def attempt(
    model: GPT,
    problems: Problems,
    coding: Coding,
    asked: Sequence[Problem],
    *,
    copies: int = 1,
    seeds: Sequence[Sequence[int]],
    max_tokens: int,
    temperature: float,
    runtime: Runtime,
    world: World = ALONE,
) -> Attempts:
    """Complete each of *asked* *copies* times, and compute the rewards.

    *model* is in evaluation mode; *seeds* and the arguments after it are those of `complete`. The
    processes of *world* divide *asked*, and each returns all attempts. With a sharded model (FSDP)
    each completes all: every forward pass is one of all processes, which gather its weights, and
    the lengths of completions, and so the numbers of their passes, differ. Raises DataError, in all
    processes, for a prompt that does not fit, and for a reward that one of them cannot compute.
    """
    if is_sharded(model.parameters()):
        world = ALONE
    prompts = [_encode(problem, coding, model.context, max_tokens) for problem in asked]
    own = world.part(len(asked))
    with runtime.autocast():
        completed = complete(
            model,
            prompts[own.start : own.stop],
            copies=copies,
            seeds=seeds[own.start * copies : own.stop * copies],
            ends=coding.ends,
            max_tokens=max_tokens,
            temperature=temperature,
        )
    of_rows = [asked[index] for index in own for _ in range(copies)]
    try:
        rewarded: list[float] | DataError = _rewards(problems, coding, of_rows, completed)
    except DataError as error:  # raised below: the others must not wait for this process
        rewarded = error
    attempts = Attempts(prompts, [], [])
    for completions, rewards in world.gather((completed, rewarded)):
        if isinstance(rewards, DataError):
            raise rewards
        attempts.completions.extend(completions)
        attempts.rewards.extend(rewards)
    return attempts


def _encode(problem: Problem, coding: Coding, context: int, max_tokens: int) -> list[int]:
    """Return the ids of the prompt of *problem*.

    Raises DataError if no completion of *max_tokens* fits after it in *context*.
    """
    ids, longest = coding.encode(problem.prompt), context - max_tokens
    if len(ids) > longest:
        where = f"{problem.where}: " if problem.where else ""
        raise DataError(
            f"{where}a prompt of {len(ids)} tokens, and {longest} fit the context of {context} "
            "before a completion; use smaller prompts or a lower --max-tokens"
        )
    return ids


def _rewards(
    problems: Problems,
    coding: Coding,
    asked: Sequence[Problem],
    completions: Sequence[Completion],
) -> list[float]:
    """Return the rewards of *completions*, one of each of *asked*; 0 for those that are cut off.

    An answer without an end is none. Raises DataError as `Problems.rewards` does.
    """
    ended = [index for index, each in enumerate(completions) if each.has_ended]
    texts = [coding.decode(completions[index].text_ids) for index in ended]
    rewards = [0.0] * len(completions)
    found = problems.rewards([asked[index] for index in ended], texts)
    for index, reward in zip(ended, found, strict=True):
        rewards[index] = reward
    return rewards
