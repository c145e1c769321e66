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
from gpt.spec.task import NewRows

NO_SPELLING: Mapping[int, Sequence[int]] = MappingProxyType({})
NEW_ROWS: Mapping[NewRows, Callable[[Tensor, bool], Tensor]] = {
    "mean": lambda pieces, predicts: pieces.mean(0),
    "ends": lambda pieces, predicts: pieces[0 if predicts else -1],
}
"""Rows of a token that others spell, by the rows of these (pieces, ...), and whether they are those
of the head. With ends a token is read as its last piece was, and predicted as its first."""
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
    new_rows: NewRows = "mean",
) -> GPT:
    """Return a model of *config*, which has as many tokens or more, with the weights of *model*.

    *spelling* has, for new ids, the old ones that spell the same text, from which `NEW_ROWS` make
    the row of the new token in each table. Other new tokens, such as special ones, have the mean of
    all old rows, so that they are about as likely as any other (Hewitt 2021, Initializing new word
    embeddings), plus a little noise, so that they differ. With ``random``, all new rows are those
    of a new model of *seed*.
    """
    old_size = model.config.vocab_size
    generator = torch.Generator().manual_seed(seed)
    row_of = NEW_ROWS.get(new_rows)

    def rows(table: Tensor, fresh: Tensor, predicts: bool) -> Tensor:
        old, fresh = table[:old_size], fresh[old_size : config.vocab_size]
        if new_rows == "random":
            return torch.cat([old, fresh])
        grown = torch.cat([old, _average_rows(old, len(fresh), generator)])
        for id, pieces in spelling.items():
            if row_of is not None and pieces:
                grown[id] = row_of(old[pieces], predicts)
        return grown

    return _with_rows(model, GPT(config, seed), rows)


def prune_vocabulary(model: GPT, ids: Tensor) -> GPT:
    """Return a model of the tokens *ids*, int64 (n,), which become 0 to n - 1.

    Its logits are those of *model* for these tokens, up to rounding. So the probability of a token
    is the one before divided by the sum of those of all kept tokens, and the loss of a text of kept
    tokens is lower by the mean of the negative logarithm of that sum.
    """
    config = dataclasses.replace(model.config, vocab_size=len(ids))
    return _with_rows(model, GPT(config, seed=None), lambda table, *_: table[ids]).eval()


@torch.no_grad()
def _with_rows(model: GPT, new: GPT, rows: Callable[[Tensor, Tensor, bool], Tensor]) -> GPT:
    """Return *new*, a model of another vocabulary, with the weights of *model*.

    *rows* is called with a table of *model* and that of *new*, and with whether it is the head's,
    which predicts tokens; it returns the rows of the new vocabulary.
    """
    tables, old_weights = token_tables(model), dict(model.named_parameters())
    for name, parameter in new.named_parameters():
        table = name.rpartition(".")[0]
        if table in tables:
            predicts = new.get_submodule(table) is new.head
            grown = rows(old_weights[name], parameter.clone(), predicts)
            parameter.zero_()
            parameter[: new.vocab_size] = grown
        else:
            parameter.copy_(old_weights[name])
    for name, buffer in saved_buffers(new).items():
        buffer.copy_(saved_buffers(model)[name])
    return new


def _average_rows(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    noise = torch.randn(count, *rows.shape[1:], generator=generator)
    return rows.mean(0) + NOISE * rows.std(0) * noise
