"""Loss and accuracy of a model on masked tokens, with masks that are always the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gpt.data.masking import Masking, masked_batches
from gpt.data.shards import Tokens, evaluation_batches
from gpt.evaluation.bits_per_byte import MOST_TOKENS, evaluate_batches
from gpt.model.language_model import LanguageModel
from gpt.model.model import Model
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World


@dataclass(frozen=True, kw_only=True)
class MaskedEvaluation:
    """Losses of masked tokens on a split."""

    nats_per_token: float
    """Mean cross-entropy of the masked tokens."""
    token_accuracy: float
    """Fraction of the masked tokens to which the model prefers no other."""
    tokens: int
    """Number of masked tokens."""

    @property
    def figures(self) -> dict[str, float]:
        """The figures that a run records and can be scored by (`gpt.evaluation.score`)."""
        return {"loss": self.nats_per_token, "token_accuracy": self.token_accuracy}


def evaluate_masked(
    model: LanguageModel | Model,
    split: Tokens,
    masking: Masking,
    *,
    runtime: Runtime,
    rows: int = 16,
    document_mask: bool = False,
    world: World = ALONE,
    progress: Callable[[int, int], object] | None = None,
) -> MaskedEvaluation:
    """Predict the tokens that *masking* hides in *split*, *rows* windows of the context at a time.

    A model trained on windows of one length is measured on such; the last one can be shorter. The
    other arguments are those of `gpt.evaluation.bits_per_byte.evaluate`.
    """
    batches = evaluation_batches(
        split,
        context=model.context,
        vocab_size=model.vocab_size,
        rows=max(1, min(rows, MOST_TOKENS // model.context)),
        document_mask=document_mask,
    )
    losses = evaluate_batches(
        model,
        masked_batches(batches, masking),
        targets=max(1, round(masking.spec.rate * len(split))),
        bytes=split.bytes,
        runtime=runtime,
        world=world,
        progress=progress,
    )
    return MaskedEvaluation(
        nats_per_token=losses.nats_per_token,
        token_accuracy=losses.token_accuracy,
        tokens=losses.tokens,
    )
