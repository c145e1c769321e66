"""Trials that train a small language model, and what they cost."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gpt.data.batch import Batch
from gpt.data.shards import TrainingRows, open_data, open_split
from gpt.errors import TrainingError
from gpt.evaluation.bits_per_byte import evaluate
from gpt.generation.ensemble import Ensemble
from gpt.lab.apparatus.probes import leak
from gpt.lab.apparatus.texts import english_shards
from gpt.lab.checks import Below
from gpt.lab.experiment import TUNING_SEEDS, Check, Cost, Figures, Part, Setting, Sizes
from gpt.model.flops import parts_of, training_flops
from gpt.model.gpt import GPT
from gpt.model.model import Model
from gpt.model.shapes import without_memory
from gpt.parallel.runtime import Runtime
from gpt.report.events import NullReporter
from gpt.runs.store import Memory
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.objective import CrossEntropy, MaskedLM
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.recipe import Recipe
from gpt.spec.schedule import Cosine, Linear
from gpt.training.loop import run
from gpt.training.tasks.build import build_task
from gpt.training.tasks.task import Task

BITS = "bits_per_byte"
LEAK = "leak"
DIVERGED = math.inf
"""Loss of a run that diverged: worse than any other."""
ROUNDING = 1e-4
"""Largest `leak` of a causal model, in float32."""
WINDOWS = 40
"""Points of a curve of losses, each the mean of as many steps."""


def small_model(setting: Setting, **fields: Any) -> Architecture:
    """Return a decoder with four heads, of the context, layers and width of a trial.

    *fields* are those of `Architecture` in which an arm or an experiment differs.
    """
    size = {
        name: setting.size[name] for name in ("context", "layers", "width") if name not in fields
    }
    return Architecture(**{"attention": GroupedQuery(heads=4, kv_heads=4), **size, **fields})


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model that was trained, in memory."""

    model: GPT
    losses: list[float]
    """Training loss of each step in nats per token."""
    bits_per_byte: float
    """On the held-out text."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """How a small model is trained, besides its architecture, its seed and its learning rate."""

    steps: int
    rows: int = 16
    """Rows of a step."""
    vocab: int = 512
    optimizer: AdamW | Muon = field(default_factory=AdamW)
    schedule: Linear | Cosine = field(default_factory=lambda: Cosine(warmup=0.05, floor=0.1))
    clip: float | None = 1.0
    objective: CrossEntropy | MaskedLM = field(default_factory=CrossEntropy)
    data: Path | Callable[[], Path] | None = None
    """Token shards, or a function that makes them when a model is trained, not when its cost is
    computed. [default: of the English text that Python has, with `vocab` tokens]"""
    document_mask: bool = False
    """Whether attention is restricted to tokens of the same document."""
    device: str = "cpu"
    """On a GPU the model is compiled, and computes in bfloat16."""
    initialize: Callable[[Model, int], object] | None = None
    """Changes the first weights, by a seed. [default: as the trainer draws them]"""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the recipe that replace these: bpe_dropout, dropout_schedule."""

    def shards(self) -> Path:
        """Return the token shards, which are made if they are not there."""
        if callable(self.data):
            return self.data()
        return self.data or english_shards(self.vocab)


def recipe_of(
    architecture: Architecture, how: Run, *, seed: int, rate: float, out: Path | None = None
) -> Recipe:
    """Return the recipe of a run on one thread, or on a GPU; *out* is its folder, if any."""
    on_gpu = how.device != "cpu"
    recipe = Recipe(
        data=how.shards(),
        out=out,
        steps=how.steps,
        batch_size=how.rows,
        optimizer=dataclasses.replace(how.optimizer, lr=rate),
        schedule=how.schedule,
        clip=how.clip,
        objective=how.objective,
        score=how.objective.SCORES[0](),
        document_mask=how.document_mask,
        seed=seed,
        eval_every=how.steps,
        checkpoint_every=how.steps,
        device=how.device,
        dtype="bfloat16" if on_gpu else "float32",
        compile=on_gpu,
        threads=1,
        model=architecture,
    )
    return dataclasses.replace(recipe, **how.changes)


def glorot(model: Model, seed: int) -> None:
    """Draw the matrices of the blocks uniformly (Glorot 2010); the trainer's branches are zero."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.get_submodule("blocks").modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)


def task_of(
    architecture: Architecture, how: Run, *, seed: int, rate: float, out: Path | None = None
) -> Task:
    """Return the task of a run, whose first weights are those that it asks for."""
    task = build_task(recipe_of(architecture, how, seed=seed, rate=rate, out=out))

    def first() -> Model:
        model = task.model()
        if how.initialize is not None:
            how.initialize(model, seed)
        return model

    return dataclasses.replace(task, model=first)


def trained(architecture: Architecture, how: Run, *, seed: int, rate: float) -> Trained | None:
    """Train a model in memory; return None if it diverged."""
    store = Memory()
    task = task_of(architecture, how, seed=seed, rate=rate)
    try:
        run(task, store=store, reporter=NullReporter())
    except TrainingError:
        return None
    last = store.rows[-1]
    assert last.val is not None
    return Trained(
        model=store.model(),
        losses=[row.loss for row in store.rows],
        bits_per_byte=last.val[BITS],
    )


def curve(losses: Sequence[float]) -> dict[str, list[float]]:
    """Return the series "steps" and "losses": means of consecutive steps, `WINDOWS` at most."""
    width = max(1, math.ceil(len(losses) / WINDOWS))
    starts = range(0, len(losses), width)
    return {
        "steps": [float(min(start + width, len(losses))) for start in starts],
        "losses": [statistics.fmean(losses[start : start + width]) for start in starts],
    }


def rows_of(gpt: GPT, data: Path, split: str, count: int) -> Batch:
    """Return *count* rows of a split of *data*, as long as the context of *gpt*, on its device."""
    tokens = open_split(open_data(data), split)
    rows = TrainingRows(tokens, context=gpt.context, vocab_size=gpt.vocab_size, seed=0)
    return rows.batch(0, count).to(gpt.device)


def training_loss(gpt: GPT | None, data: Path, rows: int) -> float:
    """Return the loss on *rows* rows that *gpt* was trained on, without dropout, in nats per token.

    It is infinite if the model diverged.
    """
    if gpt is None:
        return DIVERGED
    batch = rows_of(gpt, data, "train", rows)
    with torch.inference_mode():
        logits = gpt.eval()(batch.inputs).float()
        return nn.functional.cross_entropy(logits.mT, batch.targets).item()


def held_out_bits(gpt: GPT | Ensemble, data: Path, device: str = "cpu") -> float:
    """Return bits per byte of *gpt* on the held-out text of the shards *data*."""
    runtime = Runtime.choose(device, "float32")
    split = open_split(open_data(data), "val")
    return evaluate(gpt.to(runtime.device), split, runtime=runtime).bits_per_byte


def steps_of(setting: Setting) -> Run:
    """Return how an arm is trained, by default: for the steps of its size."""
    return Run(steps=setting.size["steps"], device=setting.device)


def nothing_else(setting: Setting, gpt: GPT | None) -> Figures:
    """Return no more figures. A function of the module, so that other processes have it."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Training:
    """The trials that train the model of an arm."""

    model: Callable[[Setting], Architecture]
    how: Callable[[Setting], Run] = steps_of
    also: Callable[[Setting, GPT | None], Figures] = nothing_else
    """Returns more figures of the trained model, which is None if it diverged."""

    def __call__(self, setting: Setting) -> Figures:
        """Train an arm; return its loss on the held-out text, that of each step, and its leak."""
        assert setting.rate is not None  # a part of trainings has a grid of rates
        done = trained(self.model(setting), self.how(setting), seed=setting.seed, rate=setting.rate)
        if done is None:
            return {BITS: DIVERGED, LEAK: 0.0, **curve([]), **self.also(setting, None)}
        figures: Figures = {BITS: done.bits_per_byte, LEAK: leak(done.model), **curve(done.losses)}
        return {**figures, **self.also(setting, done.model)}

    def cost(self, setting: Setting) -> Cost:
        """Return the parameters of a model, and the FLOPs of its training."""
        architecture, how = self.model(setting), self.how(setting)
        model = without_memory(GPTConfig.over(architecture, how.vocab))
        parameters = sum(part.parameters for part in parts_of(model).values())
        tokens = how.steps * how.rows * architecture.context
        return Cost(parameters=parameters, flops=float(training_flops(model)) * tokens)


@dataclass(frozen=True, kw_only=True)
class RateGrid:
    """The trials that train the model of an arm at each of the learning rates of its size."""

    training: Training
    worst: float
    """Bits per byte of held-out text above which a run has failed."""

    def __call__(self, setting: Setting) -> Figures:
        """Train an arm; return its loss at the rate of its smallest training loss in the end.

        "failed" is the fraction of runs that failed, "bits" the loss at each of the "rates".
        """
        rates = setting.size["rates"]
        runs: list[Any] = [self.training(dataclasses.replace(setting, rate=rate)) for rate in rates]
        best = min(runs, key=lambda run: run["losses"][-1:] or [DIVERGED])
        return {
            BITS: best[BITS],
            LEAK: max(run[LEAK] for run in runs),
            "failed": statistics.fmean(run[BITS] > self.worst for run in runs),
            "rates": list(rates),
            "bits": [run[BITS] for run in runs],
        }

    def cost(self, setting: Setting) -> Cost:
        """Return the parameters of a model, and the FLOPs of all its trainings."""
        one = self.training.cost(setting)
        return dataclasses.replace(one, flops=one.flops * len(setting.size["rates"]))


def causality(arms: Sequence[str]) -> list[Below]:
    """Return the checks that no model of *arms* sees later tokens; "" is every arm."""
    return [
        Below(
            claim=f"{arm or 'no arm'} sees {'no ' if arm else ''}later tokens",
            arm=arm,
            figure=LEAK,
            bound=ROUNDING,
        )
        for arm in arms
    ]


def training_part(
    *,
    arms: Sequence[str],
    training: Training,
    sizes: Sizes,
    checks: Sequence[Check],
    name: str = "loss",
    rates: Sequence[float] = (1e-3, 3e-3, 1e-2),
    tuning_seeds: Sequence[int] = TUNING_SEEDS,
    leaking: Sequence[str] = (),
) -> Part:
    """Return the part that trains *arms*, and compares bits per byte of held-out text.

    No arm may see the tokens that it predicts, except those named *leaking*.
    """
    causal = [arm for arm in arms if arm not in leaking] if leaking else [""]
    return Part(
        name=name,
        kind="QUALITY",
        arms=arms,
        measure=training,
        sizes=sizes,
        checks=[*checks, *causality(causal)],
        rates=rates,
        chosen_by=BITS,
        cost=training.cost,
        noise_of=BITS,
        tuning_seeds=tuning_seeds,
    )
