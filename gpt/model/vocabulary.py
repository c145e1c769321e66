"""Another vocabulary for a model: rows for new tokens, or only those of some tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from gpt.model.gpt import GPT
from gpt.nn.mechanism import Mechanism
from gpt.optim.parameters import saved_buffers
from gpt.spec.architecture import GPTConfig

NO_SPELLING: Mapping[int, Sequence[int]] = MappingProxyType({})
NOISE = 0.1
"""Standard deviation of new rows around the mean of the old ones, as a fraction of theirs."""


def token_tables(model: GPT) -> list[str]:
    """Return the names of the modules of *model* that have a row for each token."""
    return [
        name
        for name, part in model.named_modules()
        if isinstance(part, Mechanism) and part.TOKEN_ROWS
    ]


def grow_vocabulary(
    model: GPT,
    config: GPTConfig,
    seed: int,
    spelling: Mapping[int, Sequence[int]] = NO_SPELLING,
) -> GPT:
    """Return a model of *config*, which has as many tokens or more, with the weights of *model*.

    *spelling* has for new ids the old ones that spell the same text. In each table, the row of such
    a token is the mean of their rows: read, it is about what they are; its logit is the mean of
    theirs. All other rows of new tokens are the mean of the old rows, so that they are about as
    likely as any other (Hewitt 2021, Initializing new word embeddings), plus a little noise, so
    that they differ.
    """
    old_size = model.config.vocab_size
    generator = torch.Generator().manual_seed(seed)

    def rows(table: Tensor) -> Tensor:
        old = table[:old_size]
        all_rows = torch.cat([old, _new_rows(old, config.vocab_size - old_size, generator)])
        for id, pieces in spelling.items():
            if pieces:
                all_rows[id] = old[pieces].mean(0)
        return all_rows

    return _with_rows(model, config, rows)


def prune_vocabulary(model: GPT, ids: Tensor) -> GPT:
    """Return a model of the tokens *ids*, int64 (n,), which become 0 to n - 1.

    Its logits are those of *model* for these tokens, up to rounding. So the probability of a token
    is the one before divided by the sum of those of all kept tokens, and the loss of a text of kept
    tokens is lower by the mean of the negative logarithm of that sum.
    """
    config = dataclasses.replace(model.config, vocab_size=len(ids))
    return _with_rows(model, config, lambda table: table[ids]).eval()


@torch.no_grad()
def _with_rows(model: GPT, config: GPTConfig, rows: Callable[[Tensor], Tensor]) -> GPT:
    """Return a model of *config* with the weights of *model*, and *rows* of each table of tokens.

    *rows* is called with the table of *model* and returns the rows of the new vocabulary.
    """
    new = GPT(config)
    tables, old_weights = token_tables(model), dict(model.named_parameters())
    for name, parameter in new.named_parameters():
        if name.rpartition(".")[0] in tables:
            parameter.zero_()
            parameter[: config.vocab_size] = rows(old_weights[name])
        else:
            parameter.copy_(old_weights[name])
    for name, buffer in saved_buffers(new).items():
        buffer.copy_(saved_buffers(model)[name])
    return new


def _new_rows(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    noise = torch.randn(count, *rows.shape[1:], generator=generator)
    return rows.mean(0) + NOISE * rows.std(0) * noise
