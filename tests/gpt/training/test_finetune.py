"""Fine-tuned runs: resuming, what is trained, what is kept, and what is measured."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import pytok
from gpt.errors import ConfigError, DataError, TrainingError
from gpt.generation.text import generate
from gpt.interop.imported import write_imported
from gpt.model.gpt import GPT
from gpt.model.vocabulary import grow_vocabulary, prune_vocabulary, token_tables
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.architecture import Architecture
from gpt.spec.optimizer import AdamW
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from gpt.training.tuning.run import tune
from pytok import shards
from pytok.tokenizer import Tokenizer
from tests.gpt.conftest import TEXT
from tests.gpt.training.interrupted import Notices, history, tensors
from tests.gpt.training.tuning import KINDS, small_recipe, tune_until


def test_a_grown_model_predicts_the_old_tokens_as_before(base: Path) -> None:
    """Their logits are equal; rows of new tokens are near the mean row, and differ."""
    model = read_checkpoint(base).model()
    config = dataclasses.replace(model.config, vocab_size=290)
    new = grow_vocabulary(model, config, seed=0).eval()
    ids = torch.arange(20)[None]

    torch.testing.assert_close(new(ids)[..., :280], model(ids))
    tables = dict(new.named_modules())
    for name in token_tables(new):
        rows: Any = tables[name].weight
        spread = rows[:280].std(0)
        assert ((rows[280:290] - rows[:280].mean(0)).abs() < 0.6 * spread).all()
        assert len(rows[280:290].unique(dim=0)) == 10
        assert not rows[290:].any()


def test_the_bias_of_the_logits_grows_and_shrinks_with_the_vocabulary() -> None:
    """It has a number for each token."""
    config = Architecture(layers=1, width=64, tie=False, head_bias=True).with_vocabulary(280)
    model, ids = GPT(config).eval(), torch.arange(20)[None]
    torch.nn.init.normal_(model.head.bias)
    grown = grow_vocabulary(model, dataclasses.replace(config, vocab_size=290), seed=0).eval()
    kept = prune_vocabulary(grown, torch.arange(30))

    torch.testing.assert_close(grown(ids)[..., :280], model(ids))
    torch.testing.assert_close(kept(ids), model(ids)[..., :30])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop_at", [1, 5])
def test_a_stopped_run_resumes_bit_for_bit(
    base: Path, chat: Path, tmp_path: Path, kind: str, stop_at: int
) -> None:
    """Adapters, rows of new tokens, optimizer state, and the weights for evaluation."""
    uninterrupted = small_recipe(base, chat, tmp_path / "uninterrupted", kind)
    interrupted = small_recipe(base, chat, tmp_path / "interrupted", kind)
    tune(uninterrupted)
    stopped = tune_until(interrupted, stop_at)
    resumed = tune(interrupted)
    ours, theirs = (tensors(read_checkpoint(each.out)) for each in (interrupted, uninterrupted))

    assert (stopped.outcome.finished, resumed.outcome.finished) == (False, True)
    assert stopped.val is None
    assert history(interrupted.out) == history(uninterrupted.out)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tuned_run_is_a_complete_model(base: Path, chat: Path, tmp_path: Path, kind: str) -> None:
    """Better on held-out turns, with the figures it reported, read and sampled as any other."""
    recipe = small_recipe(base, chat, tmp_path / "run", kind, steps=40, eval_every=10)
    tuned = tune(recipe)
    found = read_checkpoint(recipe.out)
    model, tokenizer = found.model(), found.tokenizer()
    base_model = read_checkpoint(base).model()

    assert tuned.val is not None
    assert tuned.val.after < 0.8 * tuned.val.before
    assert tuned.val.after == pytest.approx(tuned.outcome.state.best_score)
    assert found.weights.keys() == dict(base_model.named_parameters()).keys()
    assert found.data_files["chat.json"] == (chat / "chat.json").read_bytes()
    assert tokenizer.special_tokens["<|speaker_1|>"] == 283
    assert len("".join(generate(model, tokenizer, "the", max_tokens=5))) > 0


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_adapters_keep_the_weights_of_the_base(
    base: Path, chat: Path, tmp_path: Path, kind: str
) -> None:
    """Only linears and rows of new tokens change, not the old rows, norms or residual weights."""
    tune(small_recipe(base, chat, tmp_path / "run", kind))
    before, now = read_checkpoint(base).weights, read_checkpoint(tmp_path / "run").weights
    for name, weight in before.items():
        adapted = ".attention." in name or ".mlp." in name
        kept = torch.equal(weight[:280], now[name][:280])
        assert kept is not adapted, name
    optimizer_state = read_checkpoint(tmp_path / "run").optimizer_state
    trained = {name for name in optimizer_state if name.endswith(":exp_avg")}
    assert all(any(part in name for part in ("down", "up", "rows", "magn")) for name in trained)


def test_full_tuning_changes_all_weights(base: Path, chat: Path, tmp_path: Path) -> None:
    """Nothing is frozen."""
    tune(small_recipe(base, chat, tmp_path / "run", "full"))
    before, now = read_checkpoint(base).weights, read_checkpoint(tmp_path / "run").weights

    assert not any(torch.equal(weight[:280], now[name][:280]) for name, weight in before.items())


def test_the_base_is_not_written_to(base: Path, chat: Path, tmp_path: Path) -> None:
    """All files of its folder stay the same."""
    before = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}
    tune(small_recipe(base, chat, tmp_path / "run"))

    assert {path: path.read_bytes() for path in base.rglob("*") if path.is_file()} == before


def test_a_run_out_of_patience_ends_with_its_best_weights(
    base: Path, chat: Path, tmp_path: Path
) -> None:
    """The same recipe makes no further step; with more patience the run continues."""
    recipe = small_recipe(
        base,
        chat,
        tmp_path / "run",
        "full",
        steps=60,
        eval_every=2,
        patience=2,
        optimizer=AdamW(lr=0.02),
    )
    tuned = tune(recipe)
    state = tuned.outcome.state
    rows = [row for row in read_metrics(recipe.out / "metrics.jsonl") if row.val is not None]
    best = min(rows, key=lambda row: row.val["bits_per_byte"])

    assert state.step == best.step + 4 < 60
    assert (state.best_step, tuned.outcome.finished) == (best.step, True)
    assert tuned.val is not None
    assert tuned.val.after == pytest.approx(best.val["bits_per_byte"])
    assert tune(recipe).outcome.state.step == state.step
    assert tune(dataclasses.replace(recipe, patience=3)).outcome.state.step > state.step


def test_train_runs_the_task_of_its_recipe(base: Path, chat: Path, tmp_path: Path) -> None:
    """As `tune` does, which also compares the model with its base."""
    trained = small_recipe(base, chat, tmp_path / "trained")
    tuned = dataclasses.replace(trained, out=tmp_path / "tuned")
    train(trained)
    tune(tuned)
    ours, theirs = (tensors(read_checkpoint(each.out)) for each in (trained, tuned))

    assert history(trained.out) == history(tuned.out)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_tuning_needs_a_recipe_of_tuning(recipe: Recipe) -> None:
    """The message names the task that the recipe has."""
    with pytest.raises(ConfigError, match="the task of the recipe is Pretraining"):
        tune(recipe)


def test_forgetting_is_measured(base: Path, chat: Path, tmp_path: Path) -> None:
    """On the validation split of the base's data; tuning.json has the figures, too."""
    recipe = small_recipe(base, chat, tmp_path / "run", "full", optimizer=AdamW(lr=0.01))
    tuned = tune(recipe)
    summary = json.loads((recipe.out / "tuning.json").read_text())

    assert tuned.base is not None
    assert tuned.base.before == pytest.approx(read_checkpoint(base).state.score)
    assert tuned.base.after > tuned.base.before
    assert summary["base"] == dataclasses.asdict(tuned.base)
    assert summary["score"] == "bits_per_byte"
    assert summary["val"]["after"] < summary["val"]["before"]


def test_missing_base_data_is_reported(
    base: Path, chat: Path, tmp_path: Path, bpe: Tokenizer
) -> None:
    """An imported base has none. --base-data names some, and is an error if it is not found."""
    run = tmp_path / "imported"
    write_imported(run, read_checkpoint(base).model(), bpe)
    notices = Notices()
    recipe = small_recipe(run, chat, tmp_path / "run", steps=1)
    without = tune(recipe, reporter=notices)
    named = tune(recipe, base_data=base.parent / "data")

    assert without.base is None
    assert "forgetting is not measured" in notices
    assert named.base is not None
    with pytest.raises(DataError, match="not found"):
        tune(recipe, base_data=tmp_path / "nowhere")


def test_a_text_is_tuned_on_with_the_tokenizer_of_the_base(
    base: Path, tmp_path: Path, bpe: Tokenizer
) -> None:
    """Continued pretraining. Shards of another tokenizer are rejected."""
    (tmp_path / "more.txt").write_text("the owl sleeps in the barn. " * 60, encoding="utf-8")
    shards.write(tmp_path / "more.txt", bpe, tmp_path / "data", val=0.2)
    recipe = small_recipe(base, tmp_path / "data", tmp_path / "run")
    tuned = tune(recipe)

    assert tuned.val is not None
    assert tuned.val.after < tuned.val.before
    assert read_checkpoint(recipe.out).state.fingerprint == bpe.fingerprint
    other = pytok.train([TEXT], 270)
    shards.write(tmp_path / "more.txt", other, tmp_path / "other", val=0.2)
    with pytest.raises(DataError, match="was written with the tokenizer"):
        small_recipe(base, tmp_path / "other", tmp_path / "run")


def test_a_diverged_run_keeps_its_last_checkpoint(base: Path, chat: Path, tmp_path: Path) -> None:
    """The message names it, as in pretraining."""
    optimizer = AdamW(lr=1e25, weight_decay=0.0)
    recipe = small_recipe(
        base, chat, tmp_path / "run", "full", checkpoint_every=1, eval_every=99, optimizer=optimizer
    )
    with pytest.raises(TrainingError, match=r"step-0000000\d is kept"):
        tune(recipe)

    assert read_checkpoint(recipe.out).state.step >= 1


def test_a_tuned_run_can_be_tuned_again(base: Path, chat: Path, tmp_path: Path) -> None:
    """It has the special tokens of the chat already."""
    tune(small_recipe(base, chat, tmp_path / "first"))
    again = small_recipe(tmp_path / "first", chat, tmp_path / "second")
    tuned = tune(again)

    assert tuned.outcome.finished
    config = read_checkpoint(again.out).state.config
    assert config.vocab_size == read_checkpoint(tmp_path / "first").state.config.vocab_size
