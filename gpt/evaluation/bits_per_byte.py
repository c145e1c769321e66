"""How good a model is, over the whole of a split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch

from gpt.data.batch import IGNORED, Batch
from gpt.data.shards import Tokens, evaluation_batches
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Losses over a split."""

    nats_per_token: float
    """Mean cross-entropy of the tokens predicted."""
    perplexity: float
    """e to the nats per token; comparable between models of one vocabulary only."""
    bits_per_byte: float
    """All nats, in bits, over the bytes of the text: comparable between vocabularies."""
    tokens: int
    """Tokens predicted: of shards, all of the split but its first."""
    bytes: int
    """Bytes of the split's text as UTF-8; end-of-text tokens have none."""


def evaluate(
    model: GPT,
    split: Tokens,
    *,
    runtime: Runtime,
    rows: int = 16,
    document_mask: bool = False,
    stride: int | None = None,
    world: World = ALONE,
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """Predict every token of *split* but the first once, *rows* windows at a time.

    With *document_mask*, tokens see their own document only, as under `Recipe.document_mask`. Windows
    begin *stride* tokens apart (`evaluation_batches`): the closer, the more each token reads. The
    processes of *world* share the windows, and each returns the result for all of them. *progress*
    is told, after each batch, how many tokens this process has predicted, and of how many. The
    model is in training mode or not afterwards as it was before. Raises DataError where the split
    does not fit the model.
    """
    batches = evaluation_batches(
        split,
        context=model.config.context,
        vocab_size=model.config.vocab_size,
        rows=rows,
        document_mask=document_mask,
        stride=stride,
    )
    return evaluate_batches(
        model,
        batches,
        targets=len(split) - 1,
        bytes=split.bytes,
        runtime=runtime,
        world=world,
        progress=progress,
    )


def evaluate_batches(
    model: GPT,
    batches: Iterable[Batch],
    *,
    targets: int,
    bytes: int,
    runtime: Runtime,
    world: World = ALONE,
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """Predict the *targets* tokens that count in *batches*, which spell *bytes* bytes of text.

    All else is as in `evaluate`.
    """
    training = model.training
    model.eval()
    nats, tokens = 0.0, 0
    try:
        with torch.inference_mode(), runtime.autocast():
            for batch in _dealt(batches, world):
                inputs, expected, document_ids = batch.to(runtime.device)
                loss = model(inputs, expected, document_ids=document_ids).loss
                nats += loss.item() * batch.num_targets
                tokens += batch.num_targets
                if progress is not None:
                    progress(tokens, targets)
    finally:
        model.train(training)
    nats, tokens = world.sum(nats), round(world.sum(tokens))
    return Evaluation(
        nats_per_token=nats / tokens,
        perplexity=perplexity(nats / tokens),
        bits_per_byte=nats / math.log(2) / bytes,
        tokens=tokens,
        bytes=bytes,
    )


def perplexity(nats_per_token: float) -> float:
    """E to *nats_per_token*, at most e^700: e^710 is no float any more."""
    return math.exp(min(nats_per_token, 700.0))


def _dealt(batches: Iterable[Batch], world: World) -> Iterator[Batch]:
    """Those of *batches* that are this process's, as many as any other's.

    Where the last round does not go round, the rest get a batch of it in which no target counts:
    under FSDP all processes take part in every forward pass.
    """
    batches = iter(batches)
    while dealt := list(islice(batches, world.size)):
        if world.rank < len(dealt):
            yield dealt[world.rank]
        else:
            yield dealt[0]._replace(targets=torch.full_like(dealt[0].targets, IGNORED))
