"""Replay in tuning: a fraction of the rows is from the data of the base, against forgetting."""

from __future__ import annotations

import dataclasses

from gpt.data.replay import ReplayedRows
from gpt.data.shards import check_ids, open_data, open_split
from gpt.errors import DataError
from gpt.runs.reading import Checkpoint
from gpt.spec.task import Tuning
from gpt.training.tasks.pretraining import seen_tokens, training_rows
from gpt.training.tasks.task import Task
from pytok.counted import counted
from pytok.shards import Shards


def with_replayed(rows: int, fraction: float) -> int:
    """Return how many rows have *rows* besides the *fraction* that is replayed."""
    return round(rows / (1 - fraction))


def with_replay(task: Task, base: Checkpoint, length: int) -> Task:
    """Return *task*, of `Tuning`, with the rows of the base's data for which its spec asks.

    They have *length* tokens, as all others. Raises DataError if that data is missing, or was
    written with another tokenizer than the base's or the run's.
    """
    recipe = task.recipe
    spec = recipe.task
    assert isinstance(spec, Tuning)
    if not spec.replay:
        return task
    shards = _replayed_shards(spec, base, task.fingerprint)
    old, split = training_rows(recipe, shards, length), open_split(shards, "train")
    rows = ReplayedRows(task.rows, old, spec.replay)

    def seen(count: int) -> tuple[int, int]:
        olds = rows.old_rows(count)
        parts = task.seen(count - olds), seen_tokens(olds * length, split)
        tokens, size = map(sum, zip(*parts, strict=True))
        return tokens, size

    return dataclasses.replace(
        task,
        rows=rows,
        seen=seen,
        replayed_tokens=len(split),
        summary=f"{task.summary}; {spec.replay:.0%} of the rows are replayed, from "
        f"{counted(len(split), 'token')} in {shards.folder}",
    )


def _replayed_shards(spec: Tuning, base: Checkpoint, fingerprint: str) -> Shards:
    """Open the data that *spec* replays; *fingerprint* is that of the run's tokenizer."""
    folder = spec.replay_data or base.state.recipe.data
    if spec.replay_data is None and not base.state.train_tokens:
        raise DataError(
            f"{base.folder}: the model was imported, so it has no data to replay; pass shards of "
            "its tokenizer with --replay-data, or remove --replay"
        )
    try:
        shards = open_data(folder)
    except DataError as error:
        raise DataError(
            f"no data to replay: {error}; pass shards of the base's tokenizer with --replay-data, "
            "or remove --replay"
        ) from error
    if shards.fingerprint not in (base.state.fingerprint, fingerprint):
        raise DataError(
            f"{folder}: data to replay needs the tokenizer of the base, "
            f"{base.state.fingerprint[:12]}, and was written with {shards.fingerprint[:12]}; pass "
            "other shards with --replay-data"
        )
    check_ids(shards)
    return shards
