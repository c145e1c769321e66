"""Solutions of chapter 9."""

import random
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.model.reference import GPT


def rate(step: int, steps: int, peak: float, warmup: int) -> float:
    """Return the learning rate of *step*, from 0, of a run of *steps* steps.

    It rises in a straight line to *peak* at the end of the first *warmup* steps, and falls in a
    straight line to zero at the last step.
    """
    done = step + 1
    if done <= warmup:
        return peak * done / warmup
    return peak * (steps - done) / (steps - warmup)


def accumulate(model: GPT, batches: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Add the gradients of *batches* to ``.grad``; return the mean loss of their targets.

    Each batch is inputs and targets, (B, T) each. A target of -100 does not count; each of the
    others has the same weight, in whichever batch it is.
    """
    total = sum(int((targets != -100).sum()) for _, targets in batches)
    mean = 0.0
    for inputs, targets in batches:
        logits = model(inputs).flatten(0, 1)
        loss = F.cross_entropy(logits, targets.flatten(), ignore_index=-100, reduction="sum")
        (loss / total).backward()
        mean += loss.item() / total
    return mean


def memorizes(model: GPT, rows: Tensor, steps: int) -> bool:
    """Return whether *steps* steps on *rows* (B, T + 1) alone bring the loss below 0.2."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
    for _ in range(steps):
        loss = model.loss(rows[:, :-1], rows[:, 1:])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return loss.item() < 0.2


def row_start(seed: int, row: int, tokens: int, context: int) -> int:
    """Return the position at which row number *row* begins in a text of *tokens* tokens.

    A row has *context* + 1 tokens. A function of its arguments: nothing is remembered.
    """
    return random.Random(f"{seed} {row}").randrange(tokens - context)
