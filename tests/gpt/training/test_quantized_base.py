"""Runs with a quantized base: resuming, what is trained, memory, and what merging keeps."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gpt.errors import ConfigError, TrainingError
from gpt.evaluation.score import score_of
from gpt.interop.imported import write_imported
from gpt.model.gpt import GPT
from gpt.nn.quantized.linear import QuantizedLinear, quantizable, quantize
from gpt.nn.quantized.weight import QuantizedWeight, quantized
from gpt.parallel.runtime import Runtime
from gpt.runs.reading import read_checkpoint
from gpt.runs.store import Memory
from gpt.spec.adapter import LoRA
from gpt.spec.optimizer import AdamW
from gpt.spec.quantization import FP4, NF4, Int4, Int8
from gpt.spec.recipe import Recipe
from gpt.spec.schedule import Cosine
from gpt.spec.score import BitsPerByte, TokenAccuracy
from gpt.training.tasks.build import build_task
from gpt.training.tuning.merging import Merging, better, into_original
from gpt.training.tuning.run import tune
from tests.gpt.training.interrupted import history, tensors
from tests.gpt.training.tuning import small_recipe, tune_until

EACH = pytest.mark.parametrize("spec", [NF4(), Int8()], ids=str)


def recipe_of(
    base: Path, chat: Path, out: Path, spec: Any = None, kind: str = "lora", **task: Any
) -> Recipe:
    """A run of a second on a base that is quantized by *spec*, default NF4."""
    recipe = small_recipe(base, chat, out, kind)
    fields = {"quantize": spec or NF4(), **task}
    return dataclasses.replace(recipe, task=dataclasses.replace(recipe.task, **fields))


@pytest.mark.parametrize(
    ("kind", "spec"), [("lora", NF4()), ("lora", Int8()), ("dora", FP4(double=False))], ids=str
)
def test_a_stopped_run_resumes_bit_for_bit(
    base: Path, chat: Path, tmp_path: Path, kind: str, spec: Any
) -> None:
    """From what its checkpoint has: codes and absmax of the base too, which it is not read for."""
    uninterrupted = recipe_of(base, chat, tmp_path / "uninterrupted", spec, kind)
    interrupted = recipe_of(base, chat, tmp_path / "interrupted", spec, kind)
    tune(uninterrupted)
    tune_until(interrupted, 5)
    resumed = tune(interrupted)
    ours, theirs = (tensors(read_checkpoint(each.out)) for each in (interrupted, uninterrupted))

    assert resumed.outcome.finished
    assert history(interrupted.out) == history(uninterrupted.out)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert any(name.endswith("base.codes:weight") for name in ours)


@EACH
def test_a_run_is_a_complete_model(base: Path, chat: Path, tmp_path: Path, spec: Any) -> None:
    """Adapters merged into the dequantized base: as good as it was trained, and like any other."""
    recipe = recipe_of(base, chat, tmp_path / "run", spec)
    tuned = tune(recipe)
    found = read_checkpoint(recipe.out)
    before = read_checkpoint(base).weights

    assert tuned.val is not None
    assert tuned.val.after < tuned.val.before
    assert tuned.val.after == pytest.approx(tuned.outcome.state.best_score, rel=1e-5)
    assert found.weights.keys() == before.keys()
    assert {weight.dtype for weight in found.weights.values()} == {torch.float32}
    name = "blocks.1.mlp.output.weight"
    change = found.weights[name] - quantized(before[name], spec).dense()
    ranks = torch.linalg.svdvals(change) > 1e-5
    assert ranks.sum() == 2  # the rank of the adapter


def test_only_adapters_and_new_rows_are_trained(base: Path, chat: Path, tmp_path: Path) -> None:
    """Quantized layers, embeddings and norms are frozen; the first two have no gradients."""
    model = build_task(recipe_of(base, chat, tmp_path / "run")).model()
    trained = {name.rpartition(".")[2] for name, p in model.named_parameters() if p.requires_grad}
    layers = [part for part in model.modules() if isinstance(part, QuantizedWeight)]

    assert trained == {"down", "up", "weight"}
    assert all("rows" in n for n, p in model.named_parameters() if p.requires_grad and "wei" in n)
    assert len(layers) == 2 * 6  # of each layer: query, key, value, output; input and output
    assert model.get_parameter("head.base").dtype == torch.float32


def test_layers_without_an_adapter_are_quantized_too(
    base: Path, chat: Path, tmp_path: Path
) -> None:
    """And merged by their dequantized weights."""
    recipe = recipe_of(
        base, chat, tmp_path / "run", adapter=LoRA(rank=2, targets=("query", "value"))
    )
    model = build_task(recipe).model()
    tune(recipe)
    name = "blocks.0.mlp.input.weight"
    after, before = read_checkpoint(recipe.out).weights[name], read_checkpoint(base).weights[name]

    assert isinstance(model.get_submodule("blocks.0.mlp.input"), QuantizedLinear)
    assert torch.equal(after, quantized(before, NF4()).dense())


def test_tensors_of_a_quantized_base_take_an_eighth(base: Path, chat: Path, tmp_path: Path) -> None:
    """4.127 bits instead of 32 for each weight of its linear layers, as they are in memory."""
    model = GPT(dataclasses.replace(read_checkpoint(base).config, width=256))
    names = quantizable(model)
    weights = sum(model.get_parameter(name).numel() for name in names)
    others = size_of(model) - 4 * weights
    quantize(model, NF4())

    assert 8 * (size_of(model) - others) / weights == pytest.approx(4.127, abs=0.002)


def size_of(model: torch.nn.Module) -> int:
    return sum(part.numel() * part.itemsize for part in model.parameters())


def test_losses_are_those_of_a_dequantized_base(base: Path, chat: Path, tmp_path: Path) -> None:
    """LoRA on a base whose weights are the dequantized ones makes the same steps."""
    recipe = recipe_of(base, chat, tmp_path / "quantized")
    checkpoint = read_checkpoint(base)
    model = checkpoint.model()
    names = quantizable(model)
    with torch.no_grad():
        for name in names:
            weight = model.get_parameter(name)
            weight.copy_(quantized(weight, NF4()).dense())
    write_imported(tmp_path / "base", model, checkpoint.tokenizer())
    plain = small_recipe(tmp_path / "base", chat, tmp_path / "plain")
    tune(recipe)
    tune(plain)
    ours, theirs = (read_checkpoint(each.out).weights for each in (recipe, plain))

    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-3, atol=1e-4)


def test_what_merging_loses_is_measured(base: Path, chat: Path, tmp_path: Path) -> None:
    """Of what the run holds, of the adapters on the original base, and of all quantized again."""
    recipe = recipe_of(base, chat, tmp_path / "run", Int4(block=256))
    tuned = tune(recipe)
    merging = tuned.merging
    task, checkpoint = build_task(recipe), read_checkpoint(recipe.out)
    before = read_checkpoint(base).weights
    model, spec = checkpoint.model(), Int4(block=256)

    def score(weight: Any) -> float:
        with torch.no_grad():
            for name in quantizable(model):
                model.get_parameter(name).copy_(weight(name))
        assert task.evaluate is not None
        figures = task.measure(model, Runtime.choose("cpu", "float32"))
        assert figures is not None
        return figures["bits_per_byte"]

    def original(name: str) -> Tensor:
        return before[name] + checkpoint.weights[name] - quantized(before[name], spec).dense()

    assert merging is not None
    assert merging.kept == "dequantized"
    assert merging.dequantized == pytest.approx(score(lambda name: checkpoint.weights[name]))
    assert merging.dequantized == pytest.approx(merging.trained, rel=1e-5)
    assert merging.original == pytest.approx(score(original), rel=1e-5)
    again = score(lambda name: quantized(checkpoint.weights[name], spec).dense())
    assert merging.requantized == pytest.approx(again, rel=1e-5)
    assert merging.rounding is not None
    assert merging.rounding > 0
    summary = json.loads((recipe.out / "tuning.json").read_text())
    assert summary["merging"] == dataclasses.asdict(merging)
    assert "merged into the dequantized base" in merging.text("bits per byte")


def barely_trained(base: Path, out: Path) -> Recipe:
    """Two small steps on the data of a base that quantization has made worse at predicting it."""
    recipe = recipe_of(base, base.parent / "data", out, Int4(block=4096), merge_aware=True)
    return dataclasses.replace(
        recipe, steps=2, optimizer=AdamW(lr=1e-4), schedule=Cosine(floor=1.0)
    )


@pytest.mark.parametrize("where", ["folder", "memory"])
def test_merge_aware_keeps_the_better_model(base: Path, tmp_path: Path, where: str) -> None:
    """Here that on the original base: adapters have not learned what the quantized one lost."""
    recipe = barely_trained(base, tmp_path / "run")
    store = Memory() if where == "memory" else None
    tuned = tune(recipe, store=store)
    found = store.read() if store else read_checkpoint(recipe.out)
    merging = tuned.merging
    name = "blocks.0.mlp.input.weight"
    before = read_checkpoint(base).weights[name]
    change = found.weights[name] - before

    assert merging is not None
    assert merging.original < merging.dequantized
    assert merging.kept == "original"
    assert found.state.merged_into_original
    assert tuned.val is not None
    assert tuned.val.after == merging.original
    assert (torch.linalg.svdvals(change) > 1e-5).sum() == 2
    assert torch.isfinite(change).all()


def test_a_finished_run_is_not_merged_twice(base: Path, tmp_path: Path) -> None:
    """The same command reports what was measured, and more steps continue from the adapters."""
    recipe = barely_trained(base, tmp_path / "run")
    first = tune(recipe)
    before = tensors(read_checkpoint(recipe.out))
    again = tune(recipe)
    after = tensors(read_checkpoint(recipe.out))
    plain = dataclasses.replace(recipe.task, merge_aware=False)
    longer, straight = (
        dataclasses.replace(recipe, steps=4, out=out, task=plain, schedule=Cosine(floor=1.0))
        for out in (recipe.out, tmp_path / "straight")
    )
    assert again.merging == first.merging
    assert all(torch.equal(before[name], after[name]) for name in before)
    tune(longer)
    tune(straight)
    ours, theirs = (tensors(read_checkpoint(each.out)) for each in (longer, straight))
    assert not read_checkpoint(longer.out).state.merged_into_original
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_merge_aware_needs_a_validation_split(base: Path, chat: Path, tmp_path: Path) -> None:
    """Before the first step."""
    folder = tmp_path / "chat"
    folder.mkdir()
    for name in ("chat.json", "train.jsonl"):
        (folder / name).write_bytes((chat / name).read_bytes())
    recipe = recipe_of(base, folder, tmp_path / "run", merge_aware=True)

    with pytest.raises(ConfigError, match="compares models on a validation split"):
        tune(recipe)


def merging(**scores: float) -> Merging:
    return Merging(**{"requantized": 9.0, "rounding": 1.0, "kept": "dequantized", **scores})


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"trained": 2.0, "dequantized": 2.0, "original": 1.9}, "original"),
        ({"trained": 2.0, "dequantized": 2.0, "original": 2.1}, "dequantized"),
        ({"trained": 2.0, "dequantized": 2.0, "original": 2.0}, "dequantized"),
        ({"trained": 2.0, "dequantized": 2.01, "original": float("nan")}, "dequantized"),
    ],
)
def test_the_better_model_is_kept(scores: dict[str, float], expected: str) -> None:
    """By the score of the run; the trained one, if both are as good."""
    assert better(merging(**scores), score_of(BitsPerByte())) == expected


def test_a_merged_model_that_is_worse_than_trained_is_refused() -> None:
    """With the figures; also by a score of which more is better."""
    bad = merging(trained=2.0, dequantized=2.5, original=3.0)
    with pytest.raises(TrainingError, match=r"2\.0000 bits per byte: 2\.5000 .* 3\.0000"):
        better(bad, score_of(BitsPerByte()))
    with pytest.raises(TrainingError, match="no merged model"):
        better(merging(trained=0.5, dequantized=0.4, original=0.3), score_of(TokenAccuracy()))
    unknown = merging(trained=2.0, dequantized=float("nan"), original=float("inf"))
    with pytest.raises(TrainingError, match="no merged model"):
        better(unknown, score_of(BitsPerByte()))


def test_the_change_is_added_to_the_original_weight() -> None:
    """W + (final - dequantized)."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(8, 64, generator=generator)
    change = 0.1 * torch.randn(8, 64, generator=generator)
    final = quantized(weight, NF4()).dense() + change

    torch.testing.assert_close(into_original(final, weight, NF4()), weight + change)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"adapter": None, "quantize": NF4()}, "task.quantize freezes the linear layers"),
        ({"quantize": None, "merge_aware": True}, "set task.quantize"),
    ],
)
def test_specs_that_do_not_fit_together_are_rejected(
    base: Path, chat: Path, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    """When the recipe is made."""
    with pytest.raises(ConfigError, match=message):
        recipe_of(base, chat, tmp_path / "run", **fields)


def test_another_quantization_cannot_be_resumed(base: Path, chat: Path, tmp_path: Path) -> None:
    """It would be another model."""
    tune_until(recipe_of(base, chat, tmp_path / "run", NF4()), 5)

    with pytest.raises(ConfigError, match=r"task\.quantize\.kind = NF4"):
        tune(recipe_of(base, chat, tmp_path / "run", FP4()))
