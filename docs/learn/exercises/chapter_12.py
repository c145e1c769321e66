"""Exercises of chapter 12: masks and adapters."""

from collections.abc import Sequence

from torch import Tensor


def loss_mask(turns: Sequence[tuple[str, Sequence[int]]], me: str) -> list[bool]:
    """Return which tokens of a conversation count in the loss.

    It has one token at the beginning, and for each turn (speaker, ids of the text) the token of
    the speaker, the ids, and an end. The ids and the end of turns of *me* count.
    """
    raise NotImplementedError


def masked_loss(logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Return the mean cross-entropy of the *ids* (T,) for which *mask* (T,) is True.

    *logits* (T, V) at position t predict the id at t + 1; nothing predicts the first one.
    """
    raise NotImplementedError


def adapted(x: Tensor, weight: Tensor, down: Tensor, up: Tensor, scale: float) -> Tensor:
    """Return what a linear layer with LoRA computes: W x + s B A x.

    *x* (..., inputs), *weight* W (outputs, inputs), *down* A (rank, inputs), *up* B (outputs,
    rank).
    """
    raise NotImplementedError


def adapter_weights(shapes: Sequence[tuple[int, int]], rank: int) -> int:
    """Return the number of weights of adapters of *rank* for matrices (outputs, inputs).

    Raises ValueError if an adapter would have at least as many weights as its matrix.
    """
    raise NotImplementedError
