"""Checkpoints: which are kept, what is read of them, and what damage is told and survived."""

from __future__ import annotations

import dataclasses
import hashlib
import json
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
def whole(recipe: Recipe) -> Recipe:
    """A finished run: checkpoints at 4, 8 and 12, evaluations at 5, 10 and 12."""
    train(recipe)
    return recipe


def steps(run: Path) -> list[int]:
    """The steps that have a checkpoint."""
    return sorted(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").iterdir())


def reseal(folder: Path) -> None:
    """Make the sums of *folder* anew."""
    sums = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES]
    (folder / SUMS).write_text("".join(f"{s}  {n}\n" for s, n in zip(sums, FILES, strict=True)))


@pytest.mark.parametrize(("keep", "kept"), [(1, [12]), (2, [10, 12]), (9, [4, 5, 8, 10, 12])])
def test_run_keeps_its_last_checkpoints(recipe: Recipe, keep: int, kept: list[int]) -> None:
    """As many as it is told to; each best evaluation has one, too."""
    train(dataclasses.replace(recipe, keep=keep))

    assert steps(recipe.out) == kept


def test_run_keeps_its_best_checkpoint(recipe: Recipe, measure: Callable[..., None]) -> None:
    """However old it is; RUN/best names it."""
    measure(2.0, 3.0, 4.0)
    train(dataclasses.replace(recipe, keep=1))

    assert steps(recipe.out) == [5, 12]
    assert read_checkpoint(recipe.out / "best").state.step == 5


def test_best_of_a_run_without_an_evaluation_is_refused(recipe: Recipe) -> None:
    """One line says which name to use."""
    train(dataclasses.replace(recipe, eval_every=12), stop=iter([False, True]).__next__)
    with pytest.raises(
        CheckpointError, match=r"best: the run has measured nothing yet.*name .*run"
    ):
        read_checkpoint(recipe.out / "best")


def test_number_of_checkpoints_may_change(whole: Recipe) -> None:
    """It is no part of what the run is."""
    train(dataclasses.replace(whole, keep=9, steps=13))

    assert steps(whole.out) == [10, 12, 13]


def test_others_folders_beside_checkpoints_are_left(recipe: Recipe) -> None:
    """A user's copies have other names."""
    (recipe.out / "checkpoints" / "step-00000004-copy").mkdir(parents=True)
    train(dataclasses.replace(recipe, keep=1))

    assert (recipe.out / "checkpoints" / "step-00000004-copy").exists()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_damaged_checkpoint_is_named(whole: Recipe, name: str, harm: str) -> None:
    """A flipped byte, a cut or missing file: which, and the older one that is whole.

    Nothing is written; with the damaged one out of the way, the run goes on from the older.
    """
    newest = read_checkpoint(whole.out).folder
    content = bytearray((newest / name).read_bytes())
    content[len(content) // 2] ^= 1
    (newest / name).unlink()
    if harm != "remove":
        (newest / name).write_bytes(content if harm == "flip" else content[:-1])
    with pytest.raises(
        CheckpointError, match=rf"{name}: .*; remove .*-00000012 to go on from step-00000010"
    ):
        train(whole)
    assert steps(whole.out) == [10, 12]
    shutil.rmtree(newest)

    assert train(whole).state.step == 12


def test_damage_of_the_only_whole_checkpoint_is_told(whole: Recipe) -> None:
    """An older one that is damaged, too, is not offered."""
    for folder in (whole.out / "checkpoints").iterdir():
        (folder / "state.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"state\.json: damaged: .*; put back a copy"):
        train(whole)


def test_checkpoint_without_its_sums_is_damaged(whole: Recipe) -> None:
    """Nothing says what its files were."""
    (read_checkpoint(whole.out).folder / SUMS).unlink()
    with pytest.raises(CheckpointError, match="SHA256SUMS beside it: No such file"):
        read_checkpoint(whole.out)


def test_sampling_reads_no_optimizer(whole: Recipe) -> None:
    """Its file may even be gone; a run that goes on needs it."""
    (read_checkpoint(whole.out).folder / "optimizer.safetensors").unlink()
    read_checkpoint(whole.out).model()
    with pytest.raises(CheckpointError, match=r"optimizer\.safetensors: No such file"):
        train(dataclasses.replace(whole, steps=13))


def test_training_on_leaves_the_checkpoint_as_it_is(whole: Recipe) -> None:
    """Its tensors are mapped into memory, and the optimizer writes to its own."""
    folder = read_checkpoint(whole.out).folder
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    train(dataclasses.replace(whole, steps=13))

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_checkpoint_mixed_of_two_models_is_refused(whole: Recipe) -> None:
    """Even when its sums were made anew."""
    folder = read_checkpoint(whole.out).folder
    state = json.loads((folder / "state.json").read_text())
    state["config"]["mlp"]["hidden"] = 99
    (folder / "state.json").write_text(json.dumps(state))
    reseal(folder)
    with pytest.raises(CheckpointError, match="not of one run"):
        read_checkpoint(whole.out).model()


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"format": 99}', b'{"format": 2, "step": "x"}'])
def test_state_that_is_none_is_refused(whole: Recipe, content: bytes) -> None:
    """Not JSON, not a state, of another version, or with a wrong field."""
    folder = read_checkpoint(whole.out).folder
    (folder / "state.json").write_bytes(content)
    reseal(folder)
    with pytest.raises(CheckpointError, match=r"state\.json: .*; (remove|use the version)"):
        read_checkpoint(whole.out)


def test_folder_without_a_checkpoint_says_how_to_make_one(tmp_path: Path) -> None:
    """A mistyped run is one clear error."""
    with pytest.raises(CheckpointError, match="no checkpoint there; `gpt train --out"):
        read_checkpoint(tmp_path / "runs")


def test_checkpoint_can_be_moved_and_read_by_itself(whole: Recipe, tmp_path: Path) -> None:
    """A folder with its five files is all there is."""
    shutil.copytree(read_checkpoint(whole.out).folder, tmp_path / "alone")

    assert read_checkpoint(tmp_path / "alone").model().config.vocab_size == 257


def test_files_of_a_checkpoint_have_the_mode_of_others(whole: Recipe) -> None:
    """Who may read one may read all."""
    folder = read_checkpoint(whole.out).folder

    assert len({stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}) == 1


def test_checkpoint_past_the_room_there_is_changes_nothing(whole: Recipe) -> None:
    """The system refuses to write more, in the middle of the tensors: the older ones stay."""
    found = read_checkpoint(whole.out)
    state = dataclasses.replace(found.state, step=13)
    model = GPT(state.config)
    optimizer = torch.optim.SGD(model.parameters())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(CheckpointError, match=r"-00000013: cannot be written: .*too large"):
            write_checkpoint(whole.out, model, optimizer, state, found.data_files)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert steps(whole.out) == [10, 12]
    assert write_checkpoint(whole.out, model, optimizer, state, found.data_files).exists()


def test_state_is_read_without_the_tensors(whole: Recipe) -> None:
    """To plan the rest of a run."""
    newest = find_checkpoint(whole.out)
    assert newest is not None
    (newest / "model.safetensors").unlink()

    assert read_state(newest).step == 12
