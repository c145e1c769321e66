"""Bits per byte, perplexity, loss and token accuracy of a model on a whole split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch

from gpt.data.batch import IGNORED, Batch
from gpt.data.shards import Tokens, evaluation_batches
from gpt.errors import DataError
from gpt.model.language_model import LanguageModel
from gpt.model.model import Model
from gpt.model.objectives.next_token import measure
from gpt.parallel.memory import fitting_in_memory
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World

MOST_TOKENS = 1 << 16
"""Tokens that are read at a time, unless a single window has more."""


SLICES = 8
"""Slices of a window, as equal as possible, of which each has its loss."""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Loss at some positions of the windows."""

    first: int
    """Fewest tokens that a target is predicted from."""
    last: int
    """Most tokens that one is predicted from."""
    nats_per_token: float
    """Mean cross-entropy of the targets there."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Losses on a split."""

    nats_per_token: float
    """Mean cross-entropy of the predicted tokens."""
    perplexity: float
    """exp(nats per token); comparable only between models with the same vocabulary."""
    bits_per_byte: float
    """Total loss in bits, divided by the bytes of the text; comparable between vocabularies."""
    token_accuracy: float
    """Fraction of the predicted tokens to which the model prefers no other."""
    tokens: int
    """Number of predicted tokens: of shards, all but the first of the split."""
    bytes: int
    """Length of the text in UTF-8 bytes; end-of-text tokens have none."""
    by_position: tuple[Slice, ...] = ()
    """Losses by the number of tokens before a target, in its window."""

    @property
    def figures(self) -> dict[str, float]:
        """The figures that a run records and can be scored by (`gpt.evaluation.score`)."""
        return {
            "bits_per_byte": self.bits_per_byte,
            "loss": self.nats_per_token,
            "token_accuracy": self.token_accuracy,
        }


def evaluate(
    model: LanguageModel,
    split: Tokens,
    *,
    runtime: Runtime,
    rows: int = 16,
    document_mask: bool = False,
    stride: int | None = None,
    context: int | None = None,
    world: World = ALONE,
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """Predict every token of *split* except the first, once, *rows* windows at a time.

    Windows have *context* tokens, by default those of the model's context (for more than it was
    trained on: `Checkpoint.model`); of long ones fewer are read at a time (`MOST_TOKENS`). They
    start *stride* tokens apart (`evaluation_batches`); the smaller it is, the more context each
    token has. With *document_mask*, tokens attend to their own document only, as with
    `Recipe.document_mask`. The processes of *world* split the windows, and each returns the result
    of all of them. *progress* is called after each batch with (tokens done, total) of this process.
    The model's training mode is restored. Raises DataError if the split does not fit the model.
    """
    context = model.context if context is None else context
    if not 1 <= context <= model.context:
        raise DataError(f"context must be from 1 to the model's, {model.context}; got {context}")
    batches = evaluation_batches(
        split,
        context=context,
        vocab_size=model.vocab_size,
        rows=max(1, min(rows, MOST_TOKENS // context)),
        document_mask=document_mask,
        stride=stride,
    )
    return evaluate_batches(
        model,
        batches,
        targets=len(split) - 1,
        bytes=split.bytes,
        context=context,
        runtime=runtime,
        world=world,
        progress=progress,
    )


def evaluate_batches(
    model: LanguageModel | Model,
    batches: Iterable[Batch],
    *,
    targets: int,
    bytes: int,
    context: int | None = None,
    runtime: Runtime,
    world: World = ALONE,
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """Predict the *targets* of *batches*, *bytes* bytes of text; otherwise like `evaluate`.

    *context* is the length of their longest rows, by default the model's context.
    """
    training = model.training
    model.eval()
    # Summed on the device, so that the host does not wait for each batch.
    nats = torch.zeros((), dtype=torch.float64, device=runtime.device)
    hits = torch.zeros_like(nats)
    nats_at = torch.zeros(context or model.context, dtype=torch.float64, device=runtime.device)
    targets_at = torch.zeros(len(nats_at), dtype=torch.int64)
    tokens = 0
    fitting = fitting_in_memory(
        "the rows of an evaluation", "use fewer: `gpt train` evaluates batch_size at once"
    )
    try:
        with fitting, torch.inference_mode(), runtime.autocast():
            for batch in _batches_of_rank(batches, world):
                loss = model(batch.to(runtime.device), measure)
                nats += loss.sum
                hits += loss.figures["hits"]
                length = batch.targets.shape[1]
                nats_at[:length] += loss.figures["nats_at"]
                targets_at[:length] += (batch.targets != IGNORED).sum(0)
                tokens += batch.num_targets
                if progress is not None:
                    progress(tokens, targets)
    finally:
        model.train(training)
    parts = torch.arange(len(nats_at)).tensor_split(min(SLICES, len(nats_at)))
    # At once: the host waits for the device a single time.
    sums = torch.stack([nats, hits, *(nats_at[part].sum() for part in parts)]).tolist()
    counts = [targets_at[part].sum().item() for part in parts]
    added = world.sums([tokens, *sums, *counts])
    tokens, total, correct = round(added[0]), added[1], added[2]
    by_part = zip(parts, added[3 : 3 + len(parts)], added[3 + len(parts) :], strict=True)
    return Evaluation(
        nats_per_token=total / tokens,
        perplexity=perplexity(total / tokens),
        bits_per_byte=total / math.log(2) / bytes,
        token_accuracy=correct / tokens,
        tokens=tokens,
        bytes=bytes,
        by_position=tuple(
            Slice(first=int(part[0]) + 1, last=int(part[-1]) + 1, nats_per_token=nats_of / count)
            for part, nats_of, count in by_part
            if count
        ),
    )


def perplexity(nats_per_token: float) -> float:
    """Return exp(*nats_per_token*), at most exp(700): exp(710) overflows a float."""
    return math.exp(min(nats_per_token, 700.0))


def _batches_of_rank(batches: Iterable[Batch], world: World) -> Iterator[Batch]:
    """Yield every world.size-th of *batches*, the same number in every process.

    In the last round, processes without a batch get one in which no target counts: under FSDP all
    processes take part in every forward pass.
    """
    batches = iter(batches)
    while current := list(islice(batches, world.size)):
        if world.rank < len(current):
            yield current[world.rank]
        else:
            yield current[0]._replace(targets=torch.full_like(current[0].targets, IGNORED))
