"""Losses and exact matches of a model of pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from gpt.data.pairs import EncodedPairs, evaluation_batches
from gpt.evaluation.bits_per_byte import Evaluation, evaluate_batches
from gpt.generation.beam import BeamSearch, search_all
from gpt.model.model import Model
from gpt.model.seq2seq import Seq2Seq
from gpt.parallel.runtime import Runtime
from gpt.parallel.sharded import is_sharded
from gpt.parallel.world import ALONE, World
from pytok.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class PairEvaluation:
    """Losses of targets, and how many translations equal them."""

    losses: Evaluation
    """Losses of all targets, given the sources and the targets' own earlier tokens."""
    exact_match: float | None
    """Fraction of the translations that equal the target; None if nothing was translated."""
    translations: Sequence[str]
    """The translations of the first sources."""

    @property
    def figures(self) -> dict[str, float]:
        """The figures that a run records and can be scored by (`gpt.evaluation.score`)."""
        match = {} if self.exact_match is None else {"exact_match": self.exact_match}
        return {**self.losses.figures, **match}


def evaluate_pairs(
    model: Model,
    pairs: EncodedPairs,
    tokenizer: Tokenizer,
    *,
    batch_tokens: int,
    translations: int | None,
    search: BeamSearch | None = None,
    runtime: Runtime,
    world: World = ALONE,
    progress: Callable[[int, int], object] | None = None,
) -> PairEvaluation:
    """Predict all targets of *pairs*, and translate the first *translations* sources, or all.

    Batches have at most *batch_tokens* tokens on either side; *search* is greedy by default. A
    model that is sharded among processes translates nothing. *progress* is called after each batch
    with (tokens done, total) of this process. The model's training mode is restored.
    """
    losses = evaluate_batches(
        model,
        evaluation_batches(pairs, batch_tokens),
        targets=pairs.num_targets,
        bytes=pairs.bytes,
        runtime=runtime,
        world=world,
        progress=progress,
    )
    wanted = len(pairs.pairs) if translations is None else min(translations, len(pairs.pairs))
    if is_sharded(model.parameters()):
        wanted = 0
    training, written = model.training, list[str]()
    model.eval()
    try:
        # Every process translates all of them, so that none waits for another.
        found = search_all(
            cast(Seq2Seq, model),
            [ids.tolist() for ids in pairs.sources[:wanted]],
            pairs.ends,
            search or BeamSearch(),
        )
        for hypotheses in found:
            written.append(tokenizer.decode(hypotheses[0].ids))
            if progress is not None:
                progress(losses.tokens, losses.tokens)
    finally:
        model.train(training)
    targets = [pair.target for pair in pairs.pairs[:wanted]]
    matches = sum(map(str.__eq__, written, targets))
    return PairEvaluation(
        losses=losses,
        exact_match=matches / wanted if wanted else None,
        translations=written,
    )
