"""Distillation in pretraining and tuning: the models of the teachers, opened for a task."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from gpt.errors import ConfigError
from gpt.model.flops import parts_of, training_flops
from gpt.model.model import Model
from gpt.model.objectives.distillation import Distillation
from gpt.model.shapes import without_memory
from gpt.parallel.runtime import Runtime
from gpt.runs.reading import WEIGHTS, Checkpoint, read_checkpoint
from gpt.runs.sealed_folder import digest
from gpt.spec import objective
from gpt.spec.architecture import GPTConfig
from gpt.training.tasks.task import Task
from pytok.counted import abbreviated, counted

DIGITS = 16
"""Digits of a digest that a recipe has."""


def with_teachers(task: Task, config: GPTConfig, length: int) -> Task:
    """Return *task* with the teachers of its objective, if that is distillation.

    *config* is that of the student, whose rows have *length* tokens. Each teacher is read once, to
    the device of the run. The recipe of the task has the digests of their weights: a run resumes
    only with the teachers that it started with.

    Raises CheckpointError for a teacher that cannot be read, and ConfigError for one that does not
    fit: of another tokenizer, of too short a context, that sees the tokens to predict, or with
    other weights than those of the recipe.
    """
    spec = task.recipe.objective
    if not isinstance(spec, objective.Distillation):
        return task
    if not spec.teachers:
        raise ConfigError(
            "objective.teachers is empty: name runs to learn from, such as --set "
            "objective.teachers=runs/first,runs/second"
        )
    checkpoints = [read_checkpoint(path) for path in spec.teachers]
    for checkpoint in checkpoints:
        _check(checkpoint, task, config, length)
    digests = tuple(digest(each.folder / WEIGHTS)[:DIGITS] for each in checkpoints)
    for path, now, before in zip(spec.teachers, digests, spec.digests or digests, strict=True):
        if now != before:
            raise ConfigError(
                f"objective.teachers: {path} has other weights ({now}) than the teacher that the "
                f"run started with ({before}); pass that one, or choose another --out"
            )
    spec = dataclasses.replace(spec, digests=digests)
    device = Runtime.choose(task.recipe.device).device
    teachers = [each.model(device).requires_grad_(False) for each in checkpoints]
    return dataclasses.replace(
        task,
        recipe=dataclasses.replace(task.recipe, objective=spec),
        objective=Distillation(spec, teachers),
        cost=cost(teachers, without_memory(config)),
    )


def cost(teachers: Sequence[Model], student: Model) -> str:
    """Say in one line what it costs to learn from *teachers*."""
    parameters = sum(part.parameters for each in teachers for part in parts_of(each).values())
    taught = sum(part.flops for each in teachers for part in parts_of(each).values())
    alone = training_flops(student)
    return (
        f"{counted(len(teachers), 'teacher')} of {abbreviated(parameters)} parameters: "
        f"{abbreviated(taught)} FLOPs per token besides {abbreviated(alone)} of training, "
        f"{(taught + alone) / alone:.1f} times as many as without"
    )


def _check(teacher: Checkpoint, task: Task, config: GPTConfig, length: int) -> None:
    """Raise ConfigError if *teacher* does not fit a student of *config*."""
    theirs = teacher.config  # raises CheckpointError for a model of pairs
    mark, data = teacher.state.fingerprint, task.recipe.data
    if mark != task.fingerprint:
        raise ConfigError(
            f"{teacher.folder}: the tokenizer of the teacher, {mark[:12]}, is not that of {data}, "
            f"{task.fingerprint[:12]}; distillation needs the same one: shard the text with the "
            "teacher's tokenizer.json"
        )
    if theirs.vocab_size != config.vocab_size:
        raise ConfigError(
            f"{teacher.folder}: the teacher has {theirs.vocab_size:,} ids, and the student "
            f"{config.vocab_size:,}; use another teacher"
        )
    if theirs.context < length:
        raise ConfigError(
            f"{teacher.folder}: the teacher reads at most {theirs.context:,} tokens, and rows have "
            f"{length:,}; use shorter ones: set model.context of a new run, or task.row_length"
        )
    if not theirs.causal:
        raise ConfigError(
            f"{teacher.folder}: the teacher sees the tokens that are to be predicted; use one that "
            "is causal"
        )
