"""Solutions of chapter 11."""

from collections.abc import Sequence


def parameters(layers: int, width: int, context: int, vocab_size: int) -> int:
    """Return the number of parameters of a model of GPT-2's shape, whose head is the embedding."""
    block = 12 * width**2 + 9 * width + 4 * width  # matrices, their biases, two norms
    return (vocab_size + context) * width + layers * block + 2 * width


def training_flops(layers: int, width: int, context: int, vocab_size: int) -> int:
    """Return the FLOPs of training such a model on one token: matrix products only."""
    weights = layers * 12 * width**2 + vocab_size * width
    return 6 * weights + 12 * layers * context * width


def hours(tokens: float, flops_per_token: float, gpus: int, peak: float, mfu: float) -> float:
    """Return how many hours training on *tokens* takes; *peak* is FLOP/s of one GPU."""
    return tokens * flops_per_token / (gpus * peak * mfu) / 3600


def answers(
    log_probabilities: Sequence[Sequence[float]], choices: Sequence[str]
) -> tuple[int, int]:
    """Return the index of the choice with the highest sum, and with the highest sum per byte.

    *log_probabilities* are those of the tokens of each choice.
    """
    sums = [sum(each) for each in log_probabilities]
    normed = [value / len(choice.encode()) for value, choice in zip(sums, choices, strict=True)]
    return sums.index(max(sums)), normed.index(max(normed))
