"""Exercises of chapter 11: the arithmetic of a training run."""

from collections.abc import Sequence


def parameters(layers: int, width: int, context: int, vocab_size: int) -> int:
    """Return the number of parameters of a model of GPT-2's shape, whose head is the embedding."""
    raise NotImplementedError


def training_flops(layers: int, width: int, context: int, vocab_size: int) -> int:
    """Return the FLOPs of training such a model on one token: matrix products only."""
    raise NotImplementedError


def hours(tokens: float, flops_per_token: float, gpus: int, peak: float, mfu: float) -> float:
    """Return how many hours training on *tokens* takes; *peak* is FLOP/s of one GPU."""
    raise NotImplementedError


def answers(
    log_probabilities: Sequence[Sequence[float]], choices: Sequence[str]
) -> tuple[int, int]:
    """Return the index of the choice with the highest sum, and with the highest sum per byte.

    *log_probabilities* are those of the tokens of each choice.
    """
    raise NotImplementedError
