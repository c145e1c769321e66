"""Trials that train a small model of pairs: texts whose translations a rule generates.

A source is a marker and letters, of few kinds; its target has a capital for each letter, in their
order after ``=``, from the end after ``<``: ``=cab`` is ``CAB``, ``<cab`` is ``BAC``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import pytok
from gpt.data.batch import NO_TOKEN, Batch
from gpt.data.pair_files import TOKENIZER, TRAIN, VAL
from gpt.data.pairs import EncodedPairs, Pair
from gpt.errors import TrainingError
from gpt.evaluation.pairs import evaluate_pairs
from gpt.lab.apparatus.texts import END, once
from gpt.lab.apparatus.training import DIVERGED
from gpt.lab.experiment import Cost, Figures, Setting
from gpt.model.shapes import without_memory
from gpt.parallel.runtime import Runtime
from gpt.report.events import NullReporter
from gpt.runs.store import Memory
from gpt.spec.encoder_decoder import EncoderDecoder
from gpt.spec.objective import CrossEntropy
from gpt.spec.optimizer import AdamW
from gpt.spec.recipe import Recipe
from gpt.spec.recurrent import Recurrent
from gpt.spec.schedule import Cosine, Linear, Noam
from gpt.spec.task import Pairs
from gpt.training.loop import train
from pytok.tokenizer import Tokenizer

LETTERS = "abcdefghij"
ORDERS = {"monotone": "=", "reversed": "<"}
LOSS, MATCH = "loss", "match"
SMOKE = {"layers": 1, "width": 32, "steps": 3, "pairs": 60, "longest": 4, "batch": 64}
GPU = {"layers": 6, "width": 512, "steps": 4000, "pairs": 40_000, "longest": 12, "batch": 4096}
"""Sizes of trials of pairs."""
HELD_OUT = 64
"""Pairs of each order and length that are held out."""


def pair(order: str, length: int, draw: random.Random) -> Pair:
    """Draw a pair.

    >>> pair("reversed", 3, random.Random(0))
    Pair(source='<ihe', target='EHI')
    """
    letters = "".join(draw.choices(LETTERS, k=length))
    written = letters if order == "monotone" else letters[::-1]
    return Pair(ORDERS[order] + letters, written.upper())


def pairs_folder(train_pairs: int, longest: int) -> Path:
    """Return a folder of pairs of 2 to *longest* letters, and files of each order and length."""

    def make(folder: Path) -> None:
        draw, held = random.Random(0), list[Pair]()
        pytok.train([LETTERS], 257, special_tokens=(END,)).save(folder / TOKENIZER)
        for order in ORDERS:
            for length in range(2, longest + 1):
                drawn = [pair(order, length, draw) for _ in range(HELD_OUT)]
                _write(folder / f"{order}-{length}.jsonl", drawn)
                held += drawn[:8]
        taken = {each.source for each in held if len(each.source) > 4}
        trained = (
            pair(draw.choice(list(ORDERS)), draw.randint(2, longest), draw)
            for _ in range(train_pairs)
        )
        _write(folder / TRAIN, [each for each in trained if each.source not in taken])
        _write(folder / VAL, held)

    return once(f"pairs-{train_pairs}-{longest}", make)


@torch.inference_mode()
def decoding_error(model: Any, vocab: int) -> float:
    """Return the largest difference of logits between decoding and reading whole targets."""
    draw, tokens = torch.Generator().manual_seed(2), 6
    sources, inputs = (torch.randint(vocab, (2, n), generator=draw) for n in (9, tokens))
    sources[1, 5:] = NO_TOKEN
    whole = model(Batch(inputs=inputs, targets=inputs, sources=sources))
    cache = model.start(sources)
    steps = [model.step(inputs[:, i : i + 1], cache) for i in range(tokens)]
    return float((torch.stack(steps, 1) - whole).abs().max())


@dataclass(frozen=True, kw_only=True)
class How:
    """How a model of pairs is trained, besides its learning rate."""

    schedule: Cosine | Linear | Noam = field(default_factory=lambda: Cosine(warmup=0.05, floor=0.1))
    clip: float | None = 1.0
    betas: tuple[float, float] = (0.9, 0.98)


def plainly(setting: Setting) -> How:
    """Return how an arm is trained, by default."""
    return How()


@dataclass(frozen=True, kw_only=True)
class PairTraining:
    """The trials that train the model of an arm. Sizes: steps, pairs, longest, batch."""

    model: Callable[[Setting], EncoderDecoder | Recurrent]
    how: Callable[[Setting], How] = plainly

    def __call__(self, setting: Setting) -> Figures:
        """Train an arm; return its loss, and % of held-out sources translated exactly."""
        assert setting.rate is not None  # a part of trainings has a grid of rates
        size, how = setting.size, self.how(setting)
        folder = pairs_folder(size["pairs"], size["longest"])
        recipe = Recipe(
            task=Pairs(batch_tokens=size["batch"], translations=0),
            data=folder,
            steps=size["steps"],
            batch_size=1,
            objective=CrossEntropy(),
            optimizer=AdamW(lr=setting.rate, weight_decay=0.0, betas=how.betas),
            schedule=how.schedule,
            clip=how.clip,
            seed=setting.seed,
            eval_every=size["steps"],
            checkpoint_every=size["steps"],
            device=setting.device,
            compile=False,
            threads=1,
            model=self.model(setting),
        )
        store = Memory()
        try:
            train(recipe, store=store, reporter=NullReporter())
        except TrainingError:
            return self._figures(setting, DIVERGED, {})
        val = store.rows[-1].val
        assert val is not None
        model = store.read().any_model(setting.device)
        return self._figures(setting, val["loss"], self._matches(setting, model, folder))

    def cost(self, setting: Setting) -> Cost:
        """Return the parameters of a model, and the FLOPs of its training, 6 for each and token."""
        model = without_memory(self.model(setting).with_vocabulary(257))
        parameters = sum(each.numel() for each in model.parameters())
        tokens = setting.size["steps"] * setting.size["batch"]
        return Cost(parameters=parameters, flops=6.0 * parameters * tokens)

    def _matches(self, setting: Setting, model: Any, folder: Path) -> Mapping[str, list[float]]:
        """Return % of exact matches by order, for each length from 2."""
        tokenizer, runtime = (
            Tokenizer.load(folder / TOKENIZER),
            Runtime.choose(setting.device, "float32"),
        )
        found: dict[str, list[float]] = {}
        for order in ORDERS:
            found[order] = []
            for length in range(2, setting.size["longest"] + 1):
                held = EncodedPairs.open(folder / f"{order}-{length}.jsonl", tokenizer)
                result = evaluate_pairs(
                    model,
                    held,
                    tokenizer,
                    batch_tokens=1 << 12,
                    translations=None,
                    runtime=runtime,
                )
                assert result.exact_match is not None
                found[order].append(100 * result.exact_match)
        return found

    def _figures(
        self, setting: Setting, loss: float, matches: Mapping[str, list[float]]
    ) -> Figures:
        """Return the figures: means by order, over all lengths, the shortest and the longest."""
        lengths = [float(each) for each in range(2, setting.size["longest"] + 1)]
        figures: dict[str, float | list[float]] = {LOSS: loss, "letters": lengths}
        zeros, third = [0.0] * len(lengths), max(1, len(lengths) // 3)
        both = []
        for order in ORDERS:
            found = matches.get(order, zeros)
            figures |= {order: sum(found) / len(found), f"{order} by length": found}
            both.append(found)
        mean = [sum(each) / len(each) for each in zip(*both, strict=True)]
        short, long = sum(mean[:third]) / third, sum(mean[-third:]) / third
        figures |= {"short": short, "long": long, "drop": short - long, "by length": mean}
        return {**figures, MATCH: sum(mean) / len(mean)}


def _write(path: Path, pairs: Sequence[Pair]) -> None:
    path.write_bytes(b"".join(each.to_json() for each in pairs))
