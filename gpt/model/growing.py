"""Growing a vocabulary: rows for new tokens, with all other weights unchanged."""

from __future__ import annotations

import torch
from torch import Tensor

from gpt.model.gpt import GPT
from gpt.nn.mechanism import Mechanism
from gpt.optim.parameters import saved_buffers
from gpt.spec.architecture import GPTConfig

NOISE = 0.1
"""Standard deviation of new rows around the mean of the old ones, as a fraction of theirs."""


def token_tables(model: GPT) -> list[str]:
    """Return the names of the modules of *model* that have a row for each token."""
    return [
        name
        for name, part in model.named_modules()
        if isinstance(part, Mechanism) and part.TOKEN_ROWS
    ]


@torch.no_grad()
def grow_vocabulary(model: GPT, config: GPTConfig, seed: int) -> GPT:
    """Return a model of *config*, which has as many tokens or more, with the weights of *model*.

    The rows of new tokens are the mean of the old rows, so that they are about as likely as any
    other (Hewitt 2021, Initializing new word embeddings), plus a little noise, so that they differ.
    """
    new = GPT(config)
    old_size, tables = model.config.vocab_size, token_tables(model)
    generator = torch.Generator().manual_seed(seed)
    old_weights = dict(model.named_parameters())
    for name, parameter in new.named_parameters():
        weight = old_weights[name]
        if name.removesuffix(".weight") in tables:
            parameter.zero_()
            parameter[:old_size] = weight[:old_size]
            parameter[old_size : config.vocab_size] = _new_rows(
                weight[:old_size], config.vocab_size - old_size, generator
            )
        else:
            parameter.copy_(weight)
    for name, buffer in saved_buffers(new).items():
        buffer.copy_(saved_buffers(model)[name])
    return new


def _new_rows(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    noise = torch.randn(count, rows.shape[1], generator=generator)
    return rows.mean(0) + NOISE * rows.std(0) * noise
