"""The GPU of each process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.distributed as dist

from gpt.errors import ConfigError, TrainingError
from gpt.parallel.memory import fitting_in_memory
from gpt.parallel.world import check_distinct, choose_gpu


@pytest.mark.parametrize(
    ("local_rank", "count", "expected"), [(0, 8, 0), (7, 8, 7), (0, 1, 0), (5, 1, 0)]
)
def test_each_process_of_a_machine_has_its_own_gpu(
    local_rank: int, count: int, expected: int
) -> None:
    """A process that sees a single GPU, as under SLURM, uses it."""
    assert choose_gpu("auto", local_rank, count) == expected


def test_more_processes_than_gpus_are_an_error() -> None:
    """The message has the number of GPUs."""
    with pytest.raises(ConfigError, match="no GPU for process 3: this machine has 2"):
        choose_gpu("cuda", 2, 2)


def test_a_numbered_gpu_for_several_processes_is_an_error() -> None:
    """They would all use it."""
    with pytest.raises(ConfigError, match="--device cuda:3 is one GPU"):
        choose_gpu("cuda:3", 0, 8)


@pytest.mark.parametrize(("identities", "error"), [("ab", False), ("aa", True)])
def test_two_processes_with_the_same_gpu_are_an_error(identities: str, error: bool) -> None:
    """In both: each may see a single GPU, but it must not be the same one."""
    store = dist.HashStore()

    def check(rank: int) -> str:
        try:
            check_distinct(store, rank, 2, identities[rank])
        except ConfigError as found:
            return str(found)
        return ""

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(check, range(2)))

    assert [bool(message) for message in found] == [error, error]
    assert not error or "2 processes have 1 GPU(s)" in found[0]


def test_work_that_does_not_fit_in_memory_is_a_training_error() -> None:
    """The message says what does not fit, and what to do."""
    with (
        pytest.raises(TrainingError, match=r"^the rows do not fit in .*; take fewer$"),
        fitting_in_memory("the rows", "take fewer"),
    ):
        raise torch.OutOfMemoryError
