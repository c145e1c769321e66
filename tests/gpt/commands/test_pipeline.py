"""From a text to a sample, with pytok's own tokenizer."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import gpt
import pytok
from gpt.errors import CheckpointError
from gpt.runs.reading import FILES
from gpt.runs.sealed_folder import SUMS
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.recipe import Recipe
from pytok import shards

TEXT = "".join(f"The {n}th line says that {n * n} is the square of {n}.\n" for n in range(99))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 60 steps on `TEXT`."""
    folder = tmp_path_factory.mktemp("first")
    (folder / "corpus.txt").write_text(TEXT, encoding="utf-8")
    tokenizer = pytok.train(
        folder / "corpus.txt", vocab_size=320, special_tokens=("<|endoftext|>",)
    )
    shards.write(folder / "corpus.txt", tokenizer, folder / "data")
    model = Architecture(
        context=32, layers=2, width=64, attention=GroupedQuery(heads=2, kv_heads=2)
    )
    gpt.train(
        Recipe(
            data=folder / "data",
            out=folder / "run",
            steps=60,
            device="cpu",
            dtype="float32",
            threads=1,
            model=model,
        )
    )
    return folder / "run"


def test_sample_continues_the_training_text(run: Path) -> None:
    """Greedy sampling from a prompt gives words of the corpus."""
    checkpoint = gpt.load(run)
    sampling = gpt.Sampling(temperature=0)
    pieces = gpt.generate(
        checkpoint.model(), checkpoint.tokenizer(), "The", max_tokens=60, sampling=sampling
    )

    assert "line says that" in "".join(pieces)


def test_sample_from_an_empty_prompt_is_not_empty(run: Path) -> None:
    """Even though the model saw the start of one document only."""
    checkpoint = gpt.load(run)
    sampling = gpt.Sampling(temperature=0)
    pieces = gpt.generate(
        checkpoint.model(), checkpoint.tokenizer(), max_tokens=5, sampling=sampling
    )

    assert len("".join(pieces)) > 0


def test_checkpoint_with_another_tokenizer_is_refused(run: Path, tmp_path: Path) -> None:
    """Even with new checksums: its fingerprint is not that of the data."""
    other = pytok.train([TEXT], vocab_size=280)
    folder = gpt.load(run).folder
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in FILES:
        (copy / name).write_bytes((folder / name).read_bytes())
    other.save(copy / "tokenizer.json")
    sums = [f"{hashlib.sha256((copy / name).read_bytes()).hexdigest()}  {name}\n" for name in FILES]
    (copy / SUMS).write_text("".join(sums))
    with pytest.raises(CheckpointError, match="not the tokenizer that the model was trained with"):
        gpt.load(copy).tokenizer()


def test_names_of_the_package_are_lazy() -> None:
    """``gpt.train`` is the function, before and after its module is imported."""
    import gpt.training.loop

    assert gpt.train is gpt.training.loop.train
    assert all(getattr(gpt, name) is not None for name in gpt.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = gpt.trian
