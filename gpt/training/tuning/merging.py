"""Merging the adapters of a quantized base: into which base, and what it loses.

The adapters were trained beside the quantized weights. Merged into these, dequantized, they are the
model that was trained. Merged into the weights of the base before quantization, they meet a
rounding error that they have learned to make up for, and which can be larger than their change. A
merged model that is quantized again can lose the change to the rounding.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor

from gpt.errors import TrainingError
from gpt.evaluation.score import Score
from gpt.model.gpt import GPT
from gpt.nn.quantized.linear import quantizable
from gpt.nn.quantized.weight import quantized
from gpt.runs.store import Store
from gpt.spec.quantization import Quantization
from gpt.training.tasks.starting import base_of

Into: TypeAlias = Literal["dequantized", "original"]
TOLERANCE = 0.01
"""How much worse than the trained model the merged one may be with `FromBase.merge_aware`, as a
fraction of the score."""


@dataclass(frozen=True, kw_only=True)
class Merging:
    """Scores of a trained model on the validation split, as it was trained and merged."""

    trained: float
    """With the adapters beside the quantized base."""
    dequantized: float
    """Merged into the dequantized base."""
    original: float
    """Merged into the base as it was before quantization."""
    requantized: float
    """Merged into the dequantized base, and quantized again."""
    rounding: float | None
    """Norm of the error of quantization in the adapted layers, divided by that of their change by
    training. None if training has changed nothing."""
    kept: Into
    """The base of the model that the run holds."""

    @property
    def kept_score(self) -> float:
        """The score of the model that the run holds."""
        return {"dequantized": self.dequantized, "original": self.original}[self.kept]

    def text(self, unit: str) -> str:
        """Return the scores in one line; *unit* is that of the score."""
        error = (
            ""
            if self.rounding is None
            else (f"; the rounding error is {self.rounding:.2g} times the adapters' change")
        )
        return (
            f"trained {self.trained:.4f}; merged into the dequantized base {self.dequantized:.4f}, "
            f"into the original base {self.original:.4f}, quantized again {self.requantized:.4f} "
            f"{unit}{error}; the run has the adapters merged into the {self.kept} base"
        )


def merge(
    store: Store,
    base: Mapping[str, Tensor],
    model: GPT,
    *,
    score: Score,
    trained: float,
    dequantized: float,
    measure: Callable[[GPT], float],
) -> Merging:
    """Measure what merging loses; with `FromBase.merge_aware`, keep the better model in *store*.

    *base* are the weights of the base, *model* is the model in *store*, and at the end the one that
    is kept. Raises TrainingError if no merged model is as good as the trained one.
    """
    checkpoint = store.read()
    task, final = base_of(checkpoint.state.recipe), checkpoint.weights
    assert task.quantize is not None
    spec = task.quantize
    merging = measure_merging(
        model, final, base, spec, trained=trained, dequantized=dequantized, measure=measure
    )
    if not task.merge_aware or better(merging, score) == "dequantized":
        return merging
    weights = {name: into_original(final[name], base[name], spec) for name in quantizable(model)}
    state = dataclasses.replace(checkpoint.state, merged_into_original=True)
    store.replace_weights(weights, state)
    _fill(model, weights, lambda name: weights[name])
    return dataclasses.replace(merging, kept="original")


def measure_merging(
    model: GPT,
    final: Mapping[str, Tensor],
    base: Mapping[str, Tensor],
    spec: Quantization,
    *,
    trained: float,
    dequantized: float,
    measure: Callable[[GPT], float],
) -> Merging:
    """Measure what merging loses; *trained* and *dequantized* are the scores known already.

    *final* are the weights with adapters merged into the dequantized base, *base* those before
    quantization. *model* is used for measuring, with *final* before and after.
    """
    names = quantizable(model)
    rounding = change = 0.0
    for name in names:
        before = base[name]
        rounded = quantized(before, spec).dense()
        delta = final[name] - rounded
        if delta.any():
            rounding += (before - rounded).square().sum().item()
            change += delta.square().sum().item()
    _fill(model, names, lambda name: into_original(final[name], base[name], spec))
    original = measure(model)
    _fill(model, names, lambda name: quantized(final[name], spec).dense())
    requantized = measure(model)
    _fill(model, names, lambda name: final[name])
    return Merging(
        trained=trained,
        dequantized=dequantized,
        original=original,
        requantized=requantized,
        rounding=math.sqrt(rounding / change) if change else None,
        kept="dequantized",
    )


def into_original(final: Tensor, base: Tensor, spec: Quantization) -> Tensor:
    """Return the weight *base* plus what training has changed: *final* minus the dequantized."""
    return base + (final - quantized(base, spec).dense())


def better(merging: Merging, score: Score) -> Into:
    """Return which of the two merged models is better by *score*, the dequantized if equally good.

    Raises TrainingError if that is not as good as the trained one, up to `TOLERANCE`.
    """
    is_better = score.is_better(merging.original, merging.dequantized)
    kept, value = (
        ("original", merging.original) if is_better else ("dequantized", merging.dequantized)
    )
    loss = (merging.trained - value) if score.higher_is_better else (value - merging.trained)
    if not loss <= TOLERANCE * abs(merging.trained):
        raise TrainingError(
            f"no merged model is as good as the trained one, {score.text(merging.trained)}: "
            f"{merging.dequantized:.4f} on the dequantized base, {merging.original:.4f} on the "
            "original; the checkpoints have the first: quantize with more bits, into another --out"
        )
    return cast(Into, kept)


@torch.no_grad()
def _fill(model: GPT, names: Collection[str], weight: Callable[[str], Tensor]) -> None:
    """Set the parameters *names* of *model* to those that *weight* returns."""
    for name in names:
        model.get_parameter(name).copy_(weight(name))
