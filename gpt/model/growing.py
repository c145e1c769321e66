"""A model whose vocabulary grows: its tables get rows for new tokens; all other weights stay."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gpt.model.gpt import GPT
from gpt.spec.architecture import GPTConfig

NOISE = 0.1
"""Of new rows around the mean of the others, in standard deviations of these."""


def token_tables(model: GPT) -> list[str]:
    """The names of the modules of *model* that have a row for each token."""
    values = [name for name, part in model.values.named_modules() if isinstance(part, nn.Embedding)]
    return ["embedding", "head", *(f"values.{name}" for name in values)]


@torch.no_grad()
def grown(model: GPT, config: GPTConfig, seed: int) -> GPT:
    """The weights of *model* as a model of *config*, which has as many tokens or more.

    The row of a new token is the mean of those there were, so that it is about as likely as any
    (Hewitt 2021, Initializing new word embeddings), and a little noise, to tell new ones apart.
    """
    new = GPT(config)
    old, tables = model.config.vocab_size, token_tables(model)
    generator = torch.Generator().manual_seed(seed)
    theirs = dict(model.named_parameters())
    for name, parameter in new.named_parameters():
        weight = theirs[name]
        if name.removesuffix(".weight") in tables:
            parameter.zero_()
            parameter[:old] = weight[:old]
            parameter[old : config.vocab_size] = _new_rows(
                weight[:old], config.vocab_size - old, generator
            )
        else:
            parameter.copy_(weight)
    return new


def _new_rows(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    noise = torch.randn(count, rows.shape[1], generator=generator)
    return rows.mean(0) + NOISE * rows.std(0) * noise
