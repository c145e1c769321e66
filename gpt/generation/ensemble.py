"""Ensembles: models that predict together, each token's chance being the mean of theirs.

Models that learnt the same text from other first weights and in another order err differently. Of
little text two learn more than one that takes as long (Kim 2025, arXiv:2509.14786).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.data.batch import IGNORED
from gpt.errors import ConfigError
from gpt.model.gpt import GPT, Cache, Output
from gpt.runs.reading import Checkpoint, read_checkpoint


class Ensemble(GPT):
    """Models of one vocabulary and one context, to predict with as with one; not to train.

    It has none of GPT's own parts but the embedding of its first model, and costs the time and the
    memory of all. What it calls logits are logarithms of probabilities, float32.
    """

    def __init__(self, members: Sequence[GPT]) -> None:
        """Take at least one model; raises ConfigError where they do not fit together."""
        nn.Module.__init__(self)
        self.config = members[0].config
        for name in ("vocab_size", "context"):
            found = [getattr(member.config, name) for member in members]
            if len(set(found)) > 1:
                raise ConfigError(f"models of an ensemble have one {name}; these have {found}")
        self.members = nn.ModuleList(members)
        self._caches = [len(member.new_cache(0)) for member in members]
        self.embedding = members[0].embedding

    def forward(
        self,
        ids: Tensor,
        targets: Tensor | None = None,
        cache: Cache | None = None,
        document_ids: Tensor | None = None,
    ) -> Output:
        """Predict as `GPT.forward` does."""
        if targets is None:
            return Output(logits=self._log_probabilities(ids, cache, document_ids), loss=None)
        total = torch.zeros((), device=ids.device)
        for row in range(len(ids)):  # all logits of a batch, of all models, would be much
            apart = None if document_ids is None else document_ids[row : row + 1]
            probabilities = self._log_probabilities(ids[row : row + 1], None, apart)[0]
            total += F.nll_loss(probabilities, targets[row], ignore_index=IGNORED, reduction="sum")
        counted = (targets != IGNORED).sum().clamp_min(1)
        return Output(logits=None, loss=total / counted)

    def new_cache(self, batch: int, dtype: torch.dtype = torch.float32) -> Cache:
        """Make the caches of all models, one after another."""
        return [layer for member in self._members() for layer in member.new_cache(batch, dtype)]

    def _log_probabilities(
        self, ids: Tensor, cache: Cache | None, document_ids: Tensor | None
    ) -> Tensor:
        """The logarithm of the mean chance of each token: (B, T, vocab_size)."""
        found, rest = [], cache
        for member, size in zip(self._members(), self._caches, strict=True):
            own = None
            if rest is not None:
                own, rest = rest[:size], rest[size:]
            logits = member(ids, cache=own, document_ids=document_ids).logits
            found.append(F.log_softmax(logits, -1, dtype=torch.float32))
        return torch.stack(found).logsumexp(0) - math.log(len(found))

    def _members(self) -> Iterator[GPT]:
        # A ModuleList forgets the type of what it holds.
        return (member for member in self.members if isinstance(member, GPT))


def open_ensemble(first: Checkpoint, others: Sequence[Path], device: torch.device) -> GPT:
    """Build the model of *first*, or with *others*, runs or checkpoints, their ensemble.

    Raises CheckpointError as `read_checkpoint`, and ConfigError where they do not fit together.
    """
    checkpoints = [first, *map(read_checkpoint, others)]
    for other in checkpoints:
        if other.state.fingerprint != first.state.fingerprint:
            raise ConfigError(
                f"{other.folder}: its tokenizer is not that of {first.folder}; models of an "
                "ensemble have one"
            )
    models = [checkpoint.model(device) for checkpoint in checkpoints]
    return Ensemble(models) if others else models[0]
