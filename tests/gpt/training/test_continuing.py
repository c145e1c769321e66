"""Continued pretraining: new tokens, replay of the base's data, and which rows are trained."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import pytok
from gpt.__main__ import main
from gpt.errors import ConfigError, DataError
from gpt.interop.imported import write_imported
from gpt.model.vocabulary import token_tables
from gpt.runs.reading import read_checkpoint
from gpt.spec.adapter import LoRA
from gpt.spec.optimizer import AdamW
from gpt.spec.task import Tuning
from gpt.training.tasks.tuning import tuning_from_disk
from gpt.training.tuning.planning import plan_tuning
from gpt.training.tuning.run import tune
from pytok import shards
from pytok.extension import spelling
from pytok.tokenizer import Tokenizer
from tests.gpt.training.interrupted import Notices, history, tensors
from tests.gpt.training.tuning import small_recipe, tune_until

ON_CPU = ["--device", "cpu", "--dtype", "float32", "--compile", "False"]
MORE = "a heron sleeps in the reeds, a heron wakes. " * 60


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory, bpe: Tokenizer) -> Path:
    """Shards of another text, with ten tokens more than the base has."""
    folder = tmp_path_factory.mktemp("extended")
    (folder / "more.txt").write_text(MORE, encoding="utf-8")
    more = pytok.train([MORE], bpe.n_vocab + 10, base=bpe)
    shards.write(folder / "more.txt", more, folder / "data", val=0.2)
    return folder / "data"


def with_task(recipe: Any, **fields: Any) -> Any:
    """*recipe* with other fields of its task."""
    return dataclasses.replace(recipe, task=dataclasses.replace(recipe.task, **fields))


def test_the_vocabulary_grows_with_the_tokenizer_of_the_data(
    base: Path, extended: Path, tmp_path: Path, bpe: Tokenizer
) -> None:
    """The run has the new tokens and their tokenizer, and learns; the summary counts them."""
    notices = Notices()
    recipe = small_recipe(base, extended, tmp_path / "run", "full")
    tuned = tune(recipe, reporter=notices)
    found = read_checkpoint(recipe.out)

    assert found.config.vocab_size == bpe.n_vocab + 10 == found.tokenizer().n_vocab
    assert b" heron" in found.tokenizer().vocab
    assert "10 new tokens" in notices
    assert tuned.val is not None
    assert tuned.val.after < tuned.val.before
    assert tuned.base is not None  # on the base's own ids, which stay valid


def test_new_rows_begin_as_the_mean_of_what_spells_them(
    base: Path, extended: Path, tmp_path: Path, bpe: Tokenizer
) -> None:
    """In the model of the first step; another choice is a field."""
    recipe = small_recipe(base, extended, tmp_path / "run", "full")
    model = tuning_from_disk(recipe).model()
    other = tuning_from_disk(with_task(recipe, new_rows="random")).model()
    old = dict(read_checkpoint(base).model().named_parameters())
    pieces = spelling(Tokenizer.load(extended / "tokenizer.json"), bpe)

    assert len(pieces) == 10
    for name in token_tables(model):
        weight: Any = model.get_submodule(name).weight
        rows: Any = other.get_submodule(name).weight
        for id, ids in pieces.items():
            torch.testing.assert_close(weight[id], old[f"{name}.weight"][ids].mean(0))
            assert not torch.equal(weight[id], rows[id])


@pytest.mark.parametrize("which", ["new", "all"])
def test_rows_of_the_tables_are_trained_besides_adapters(
    base: Path, extended: Path, tmp_path: Path, bpe: Tokenizer, which: str
) -> None:
    """Those of new tokens, or all; a norm stays as it is."""
    recipe = with_task(small_recipe(base, extended, tmp_path / "run"), train_rows=which)
    tune(recipe)
    before, now = read_checkpoint(base), read_checkpoint(recipe.out)
    tables = token_tables(before.model())

    assert tables
    for name, weight in before.weights.items():
        if ".attention." not in name and ".mlp." not in name:
            in_table = name.rpartition(".")[0] in tables
            same = torch.equal(weight[: bpe.n_vocab], now.weights[name][: bpe.n_vocab])
            assert same is not (which == "all" and in_table), name


def test_tables_have_the_rate_of_all_weights(base: Path, extended: Path, tmp_path: Path) -> None:
    """An adapter's is eight times as high."""
    plan = plan_tuning(base, data=extended, out=tmp_path, adapter=LoRA(), lr=8e-3, train_rows="all")
    optimizer = plan.recipe.optimizer

    assert isinstance(optimizer, AdamW)
    assert (optimizer.embedding_lr, optimizer.head_lr) == (1e-3, 1e-3)


def test_replay_resumes_bit_for_bit(base: Path, extended: Path, tmp_path: Path) -> None:
    """With new tokens in the one kind of rows, and the ids of the base in the other."""
    notices = Notices()
    uninterrupted = with_task(
        small_recipe(base, extended, tmp_path / "uninterrupted", "full"), replay=0.3
    )
    interrupted = dataclasses.replace(uninterrupted, out=tmp_path / "interrupted")
    tune(uninterrupted, reporter=notices)
    tune_until(interrupted, 5)
    tune(interrupted)
    ours, theirs = (tensors(read_checkpoint(each.out)) for each in (interrupted, uninterrupted))

    assert "30% of the rows are replayed, from " in notices
    assert history(interrupted.out) == history(uninterrupted.out)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_replayed_rows_are_those_of_the_base(base: Path, extended: Path, tmp_path: Path) -> None:
    """Half of them, in turns, in the order in which a run on that data has them."""
    recipe = small_recipe(base, extended, tmp_path / "run", "full")
    with_replay = tuning_from_disk(with_task(recipe, replay=0.5)).rows.batch(0, 4)
    new = tuning_from_disk(recipe).rows.batch(0, 2)
    old = tuning_from_disk(dataclasses.replace(recipe, data=base.parent / "data")).rows.batch(0, 2)

    assert torch.equal(with_replay.inputs[::2], new.inputs)
    assert torch.equal(with_replay.inputs[1::2], old.inputs)
    assert torch.equal(with_replay.targets[1::2], old.targets)


def test_the_new_text_has_its_epochs_also_with_replay(
    base: Path, extended: Path, tmp_path: Path
) -> None:
    """The plan has as many more steps as rows are replayed."""
    steps = [
        plan_tuning(
            base, data=extended, out=tmp_path, batch_size=1, epochs=10, replay=replay
        ).recipe.steps
        for replay in (0.0, 0.5)
    ]

    assert steps[1] == 2 * steps[0]


def test_a_chat_can_be_tuned_on_with_replay(base: Path, chat: Path, tmp_path: Path) -> None:
    """Rows of text are among those of conversations."""
    recipe = with_task(small_recipe(base, chat, tmp_path / "run"), replay=0.25)
    tuned = tune(recipe)

    assert tuned.outcome.finished
    assert tuned.outcome.state.replayed_tokens > 0


def test_replay_against_forgetting(base: Path, extended: Path, tmp_path: Path) -> None:
    """With it the base's own text is predicted better; tuning.json has the figures."""
    after = []
    for replay in (0.0, 0.5):
        recipe = small_recipe(
            base, extended, tmp_path / str(replay), "full", steps=30, optimizer=AdamW(lr=3e-3)
        )
        tune(with_task(recipe, replay=replay))
        after.append(json.loads((recipe.out / "tuning.json").read_text())["base"]["after"])

    assert after[1] < after[0] - 0.1


def test_data_to_replay_has_to_be_there_and_to_fit(
    base: Path, extended: Path, tmp_path: Path, bpe: Tokenizer
) -> None:
    """An imported base has none; other data needs the tokenizer of the base."""
    imported = tmp_path / "imported"
    write_imported(imported, read_checkpoint(base).model(), bpe)
    recipe = with_task(small_recipe(imported, extended, tmp_path / "run"), replay=0.1)
    (tmp_path / "more.txt").write_text(MORE, encoding="utf-8")
    shards.write(tmp_path / "more.txt", pytok.train([MORE], 270), tmp_path / "other", val=0.2)

    with pytest.raises(DataError, match="it has no data to replay; pass shards"):
        tune(recipe)
    with pytest.raises(DataError, match=r"no data to replay: .*nowhere.*not found"):
        tune(with_task(recipe, replay_data=tmp_path / "nowhere"))
    with pytest.raises(DataError, match="data to replay needs the tokenizer of the base"):
        tune(with_task(recipe, replay_data=tmp_path / "other"))
    assert tune(with_task(recipe, replay_data=base.parent / "data")).outcome.finished


def test_a_run_resumes_with_data_to_replay_of_the_same_length(
    base: Path, extended: Path, tmp_path: Path, bpe: Tokenizer
) -> None:
    """Other data would give other rows."""
    recipe = with_task(small_recipe(base, extended, tmp_path / "run"), replay=0.3)
    tune_until(recipe, 5)
    (tmp_path / "more.txt").write_text(MORE, encoding="utf-8")
    shards.write(tmp_path / "more.txt", bpe, tmp_path / "other", val=0.2)

    with pytest.raises(DataError, match="the data to replay has"):
        tune(with_task(recipe, replay_data=tmp_path / "other"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"replay": 1.0}, "replay must be at least 0 and below 1"),
        ({"replay_data": Path("data")}, "replay_data is set, and replay is 0"),
    ],
)
def test_wrong_values_are_refused(fields: dict[str, Any], message: str) -> None:
    """With the name of the field."""
    with pytest.raises(ConfigError, match=message):
        Tuning(base=Path("run"), **fields)


def test_the_command_extends_the_vocabulary_on_a_text(
    base: Path, tmp_path: Path, bpe: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    """On its training split only. The same command has nothing to do; another number is refused."""
    text = tmp_path / "more.txt"
    text.write_text(MORE + "ibex " * 40, encoding="utf-8")
    command = ["tune", str(base), "--data", str(text), "--out", str(tmp_path / "run"), "--full"]
    command += ["--epochs", "0.1", "--val", "0.07", "--replay", "0.25", *ON_CPU]
    codes = [main([*command, "--extend-vocab", "9"])]
    printed = capsys.readouterr().err
    found = read_checkpoint(tmp_path / "run")
    codes += [main([*command, "--extend-vocab", number]) for number in ("9", "8")]

    assert codes == [0, 0, 1]
    assert "extended the tokenizer by 9 new tokens, to 289 ids" in printed
    assert "25% of the rows are replayed" in printed
    assert "25% of them replayed" in (tmp_path / "run" / "report.md").read_text()
    assert found.config.vocab_size == bpe.n_vocab + 9
    assert not any(b"ibe" in token for token in found.tokenizer().vocab)
    assert "choose another --out" in capsys.readouterr().err


def test_shards_are_not_extended(
    base: Path, extended: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says how shards of an extended tokenizer are made."""
    command = ["tune", str(base), "--data", str(extended), "--out", str(tmp_path / "run")]

    assert main([*command, "--extend-vocab", "9"]) == 1
    assert "remove --extend-vocab" in (printed := capsys.readouterr().err)
    assert "`pytok train --base`" in printed
