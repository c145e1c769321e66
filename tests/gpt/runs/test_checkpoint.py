"""Checkpoints: which are kept, what is read, and how damage is reported and survived."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import resource
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gpt.errors import CheckpointError
from gpt.model.gpt import GPT
from gpt.runs.reading import FILES, read_checkpoint, read_state
from gpt.runs.retention import find_checkpoint
from gpt.runs.sealed_folder import SUMS
from gpt.runs.writing import write_checkpoint
from gpt.spec.recipe import Recipe
from gpt.training.loop import train


@pytest.fixture
def finished(recipe: Recipe) -> Recipe:
    """A finished run: checkpoints at 4, 8 and 12, evaluations at 5, 10 and 12."""
    train(recipe)
    return recipe


def steps(run: Path) -> list[int]:
    """The steps that have checkpoints."""
    return sorted(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").iterdir())


def reseal(folder: Path) -> None:
    """Write new checksums for the files of *folder*."""
    sums = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES]
    (folder / SUMS).write_text("".join(f"{s}  {n}\n" for s, n in zip(sums, FILES, strict=True)))


@pytest.mark.parametrize(("keep", "kept"), [(1, [12]), (2, [10, 12]), (9, [4, 5, 8, 10, 12])])
def test_run_keeps_its_last_checkpoints(recipe: Recipe, keep: int, kept: list[int]) -> None:
    """As many as `Recipe.keep` says; each new best evaluation gets one, too."""
    train(dataclasses.replace(recipe, keep=keep))

    assert steps(recipe.out) == kept


def test_run_keeps_its_best_checkpoint(recipe: Recipe, measure: Callable[..., None]) -> None:
    """Regardless of its age; RUN/best names it."""
    measure(2.0, 3.0, 4.0)
    train(dataclasses.replace(recipe, keep=1))

    assert steps(recipe.out) == [5, 12]
    assert read_checkpoint(recipe.out / "best").state.step == 5


def test_best_of_a_run_without_an_evaluation_is_rejected(recipe: Recipe) -> None:
    """The message says which name to use instead."""
    train(dataclasses.replace(recipe, eval_every=12), stop=iter([False, True]).__next__)
    with pytest.raises(CheckpointError, match=r"best: the run has no evaluation yet.*use .*run"):
        read_checkpoint(recipe.out / "best")


def test_number_of_checkpoints_can_change(finished: Recipe) -> None:
    """It does not affect the weights, so a resumed run can have another one."""
    train(dataclasses.replace(finished, keep=9, steps=13))

    assert steps(finished.out) == [10, 12, 13]


def test_other_folders_beside_checkpoints_are_kept(recipe: Recipe) -> None:
    """Such as a user's copies, which have other names."""
    (recipe.out / "checkpoints" / "step-00000004-copy").mkdir(parents=True)
    train(dataclasses.replace(recipe, keep=1))

    assert (recipe.out / "checkpoints" / "step-00000004-copy").exists()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_damaged_checkpoint_is_named(finished: Recipe, name: str, harm: str) -> None:
    """A flipped byte, a truncated or a missing file: the message names it and an intact checkpoint.

    Nothing is written; after the damaged checkpoint is removed, the run resumes from the older one.
    """
    newest = read_checkpoint(finished.out).folder
    content = bytearray((newest / name).read_bytes())
    content[len(content) // 2] ^= 1
    (newest / name).unlink()
    if harm != "remove":
        (newest / name).write_bytes(content if harm == "flip" else content[:-1])
    with pytest.raises(
        CheckpointError, match=rf"{name}: .*; remove .*-00000012 to resume from step-00000010"
    ):
        train(finished)
    assert steps(finished.out) == [10, 12]
    shutil.rmtree(newest)

    assert train(finished).state.step == 12


def test_damaged_older_checkpoint_is_not_offered(finished: Recipe) -> None:
    """Without an intact checkpoint, the message says to restore a copy."""
    for folder in (finished.out / "checkpoints").iterdir():
        (folder / "state.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"state\.json: damaged: .*; restore a copy"):
        train(finished)


def test_checkpoint_without_checksums_is_damaged(finished: Recipe) -> None:
    """Its files cannot be verified."""
    (read_checkpoint(finished.out).folder / SUMS).unlink()
    with pytest.raises(CheckpointError, match="cannot be verified: SHA256SUMS: No such file"):
        read_checkpoint(finished.out)


def test_sampling_does_not_read_the_optimizer_state(finished: Recipe) -> None:
    """Its file can be missing; only a resumed run needs it."""
    (read_checkpoint(finished.out).folder / "optimizer.safetensors").unlink()
    read_checkpoint(finished.out).model()
    with pytest.raises(CheckpointError, match=r"optimizer\.safetensors: No such file"):
        train(dataclasses.replace(finished, steps=13))


def test_resumed_run_does_not_change_the_checkpoint(finished: Recipe) -> None:
    """Tensors are mapped from its files, and the optimizer writes to copies."""
    folder = read_checkpoint(finished.out).folder
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    train(dataclasses.replace(finished, steps=13))

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_checkpoint_mixed_from_two_models_is_rejected(finished: Recipe) -> None:
    """Even with new checksums."""
    folder = read_checkpoint(finished.out).folder
    state = json.loads((folder / "state.json").read_text())
    state["config"]["mlp"]["hidden"] = 99
    (folder / "state.json").write_text(json.dumps(state))
    reseal(folder)
    with pytest.raises(CheckpointError, match="belong to different runs"):
        read_checkpoint(finished.out).model()


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"format": 99}', b'{"format": 2, "step": "x"}'])
def test_invalid_state_is_rejected(finished: Recipe, content: bytes) -> None:
    """Not an object, not JSON, another version, or a wrong field."""
    folder = read_checkpoint(finished.out).folder
    (folder / "state.json").write_bytes(content)
    reseal(folder)
    with pytest.raises(CheckpointError, match=r"state\.json: .*; (remove|use the version)"):
        read_checkpoint(finished.out)


def test_missing_checkpoint_says_how_to_make_one(tmp_path: Path) -> None:
    """For instance after a typing error in the name of a run."""
    with pytest.raises(CheckpointError, match="no checkpoint found; `gpt train --out"):
        read_checkpoint(tmp_path / "runs")


@pytest.mark.parametrize("typed", ["", "fist"])
def test_missing_checkpoint_names_a_run_that_can_be_meant(finished: Recipe, typed: str) -> None:
    """One in the folder, or one beside it with a similar name."""
    folder = finished.out.parent
    run = finished.out.rename(folder / "first")

    with pytest.raises(CheckpointError, match=rf"did you mean {re.escape(str(run))}\?"):
        read_checkpoint(folder / typed)


def test_missing_checkpoint_names_the_newest_run_of_several(finished: Recipe) -> None:
    """As the tuned one of a clone, which is made after its base."""
    base = finished.out
    tuned = base.with_name("tuned")
    shutil.copytree(base, tuned)
    os.utime(base, (1e9, 1e9))

    with pytest.raises(CheckpointError, match=rf"did you mean {re.escape(str(tuned))}, the newest"):
        read_checkpoint(base.parent)


def test_checkpoint_can_be_copied_elsewhere(finished: Recipe, tmp_path: Path) -> None:
    """Its folder is all that is needed to read it."""
    shutil.copytree(read_checkpoint(finished.out).folder, tmp_path / "alone")

    assert read_checkpoint(tmp_path / "alone").model().config.vocab_size == 257


def test_files_of_a_checkpoint_have_the_same_mode(finished: Recipe) -> None:
    """Users who can read one of them can read all."""
    folder = read_checkpoint(finished.out).folder

    assert len({stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}) == 1


def test_checkpoint_that_does_not_fit_on_the_disk_changes_nothing(finished: Recipe) -> None:
    """Writing fails in the middle of the tensors: the older checkpoints stay."""
    found = read_checkpoint(finished.out)
    state = dataclasses.replace(found.state, step=13)
    model = GPT(state.config)
    optimizer = torch.optim.SGD(model.parameters())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(CheckpointError, match=r"-00000013: cannot be written: .*too large"):
            write_checkpoint(finished.out, model, optimizer, state, found.data_files)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert steps(finished.out) == [10, 12]
    assert write_checkpoint(finished.out, model, optimizer, state, found.data_files).exists()


def test_state_is_read_without_the_tensors(finished: Recipe) -> None:
    """So that the rest of a run can be planned quickly."""
    newest = find_checkpoint(finished.out)
    assert newest is not None
    (newest / "model.safetensors").unlink()

    assert read_state(newest).step == 12
