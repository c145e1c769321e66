"""Exercises of chapter 9: parts of a training loop."""

from collections.abc import Sequence

from torch import Tensor

from gpt.model.reference import GPT


def rate(step: int, steps: int, peak: float, warmup: int) -> float:
    """Return the learning rate of *step*, from 0, of a run of *steps* steps.

    It rises in a straight line to *peak* at the end of the first *warmup* steps, and falls in a
    straight line to zero at the last step.
    """
    raise NotImplementedError


def accumulate(model: GPT, batches: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Add the gradients of *batches* to ``.grad``; return the mean loss of their targets.

    Each batch is inputs and targets, (B, T) each. A target of -100 does not count; each of the
    others has the same weight, in whichever batch it is.
    """
    raise NotImplementedError


def memorizes(model: GPT, rows: Tensor, steps: int) -> bool:
    """Return whether *steps* steps on *rows* (B, T + 1) alone bring the loss below 0.2."""
    raise NotImplementedError


def row_start(seed: int, row: int, tokens: int, context: int) -> int:
    """Return the position at which row number *row* begins in a text of *tokens* tokens.

    A row has *context* + 1 tokens. A function of its arguments: nothing is remembered.
    """
    raise NotImplementedError
