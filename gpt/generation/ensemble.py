"""Ensembles: average the probabilities of several models.

Models trained on the same text from different seeds, so with other initial weights and another
order of the data, make different errors. On little text, two of them predict better than one model
with the same total training time (Kim 2025, arXiv:2509.14786).
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
    """Average the members' probabilities; for inference only.

    All members have the same vocabulary and context length. The time and memory are those of all
    members together. The logits are log-probabilities, float32. Of the modules of GPT it has only
    the embedding, which is the first member's.
    """

    def __init__(self, members: Sequence[GPT]) -> None:
        """Combine one or more *members*; raises ConfigError if they do not fit together."""
        nn.Module.__init__(self)
        self.config = members[0].config
        for name in ("vocab_size", "context"):
            sizes = [getattr(member.config, name) for member in members]
            if len(set(sizes)) > 1:
                raise ConfigError(
                    f"the models of an ensemble need the same {name}; these have {sizes}"
                )
        self.members = nn.ModuleList(members)
        self._cache_sizes = [len(member.new_cache(0)) for member in members]
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
        # Row by row: the logits of a complete batch, of all members, would need much memory.
        for row in range(len(ids)):
            row_documents = None if document_ids is None else document_ids[row : row + 1]
            log_probabilities = self._log_probabilities(ids[row : row + 1], None, row_documents)[0]
            total += F.nll_loss(
                log_probabilities, targets[row], ignore_index=IGNORED, reduction="sum"
            )
        counted = (targets != IGNORED).sum().clamp_min(1)
        return Output(logits=None, loss=total / counted)

    def new_cache(self, batch: int, dtype: torch.dtype = torch.float32) -> Cache:
        """Create the caches of all members, in one list."""
        return [layer for member in self._members() for layer in member.new_cache(batch, dtype)]

    def _log_probabilities(
        self, ids: Tensor, cache: Cache | None, document_ids: Tensor | None
    ) -> Tensor:
        """Return the logarithm of the members' average probabilities: (B, T, vocab_size)."""
        each, rest = [], cache
        for member, size in zip(self._members(), self._cache_sizes, strict=True):
            member_cache = None
            if rest is not None:
                member_cache, rest = rest[:size], rest[size:]
            logits = member(ids, cache=member_cache, document_ids=document_ids).logits
            each.append(F.log_softmax(logits, -1, dtype=torch.float32))
        return torch.stack(each).logsumexp(0) - math.log(len(each))

    def _members(self) -> Iterator[GPT]:
        # The elements of a ModuleList are typed as Module.
        return (member for member in self.members if isinstance(member, GPT))


def open_ensemble(first: Checkpoint, others: Sequence[Path], device: torch.device) -> GPT:
    """Build the ensemble of *first* and *others*, runs or checkpoints; without *others*, a model.

    Raises CheckpointError as `read_checkpoint` does, and ConfigError if they do not fit together.
    """
    checkpoints = [first, *map(read_checkpoint, others)]
    for other in checkpoints:
        if other.state.fingerprint != first.state.fingerprint:
            raise ConfigError(
                f"{other.folder}: its tokenizer differs from that of {first.folder}; the models of "
                "an ensemble need the same tokenizer"
            )
    models = [checkpoint.model(device) for checkpoint in checkpoints]
    return Ensemble(models) if others else models[0]
