"""Ensembles: average the probabilities of several models.

Models trained on the same text from different seeds, so with other initial weights and another
order of the data, make different errors. On little text, two of them predict better than one model
with the same total training time (Kim 2025, arXiv:2509.14786).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.data.batch import Batch
from gpt.errors import ConfigError
from gpt.model.gpt import GPT
from gpt.model.language_model import LanguageModel
from gpt.nn.loss import TokenLosses, average_of, losses_under
from gpt.nn.state import Cache
from gpt.runs.reading import Checkpoint, read_checkpoint


class Ensemble(nn.Module):
    """Average the members' probabilities; a `LanguageModel`, for inference only.

    All members have the same vocabulary and context length. The time and memory are those of all
    members together. The logits are log-probabilities, float32.
    """

    def __init__(self, members: Sequence[GPT]) -> None:
        """Combine one or more *members*; raises ConfigError if they do not fit together."""
        super().__init__()
        for name in ("vocab_size", "context"):
            sizes = [getattr(member, name) for member in members]
            if len(set(sizes)) > 1:
                raise ConfigError(
                    f"the models of an ensemble need the same {name}; these have {sizes}"
                )
        self.members = nn.ModuleList(members)

    @property
    def context(self) -> int:
        """Context length."""
        return self._members[0].context

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return self._members[0].vocab_size

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self._members[0].device

    def forward(
        self,
        inputs: Tensor | Batch,
        objective: Callable[[Ensemble, Batch], Any] | None = None,
        *,
        cache: Cache | None = None,
        document_ids: Tensor | None = None,
    ) -> Any:
        """Return the logarithm of the members' average probabilities; see `GPT.forward`."""
        if objective is not None:
            return objective(self, cast(Batch, inputs))
        caches = [None] * len(self.members) if cache is None else cache.states
        each = [
            F.log_softmax(
                member(inputs, cache=member_cache, document_ids=document_ids),
                -1,
                dtype=torch.float32,
            )
            for member, member_cache in zip(self._members, caches, strict=True)
        ]
        if cache is not None:
            cache.advance(each[0].shape[1])
        return average_of(each)

    def token_losses(self, batch: Batch) -> TokenLosses:
        """Return the loss of each target of *batch*, in the order of its rows."""
        # Row by row: the logits of a complete batch, of all members, would need much memory.
        rows = [self._row_losses(row) for row in batch.rows()]
        return TokenLosses(*(torch.cat(column) for column in zip(*rows, strict=True)))

    def _row_losses(self, row: Batch) -> TokenLosses:
        log_probabilities = self(row.inputs, document_ids=row.document_ids)[0]
        return losses_under(log_probabilities, row.targets[0])

    def new_cache(self, batch: int) -> Cache:
        """Create the caches of all members, as the states of one."""
        return Cache([member.new_cache(batch) for member in self._members], batch)

    @property
    def _members(self) -> list[GPT]:
        # The elements of a ModuleList are typed as Module.
        return [cast(GPT, member) for member in self.members]


def open_ensemble(
    first: Checkpoint, others: Sequence[Path], device: torch.device, context: int | None = None
) -> LanguageModel:
    """Build the ensemble of *first* and *others*, runs or checkpoints; without *others*, a model.

    *context* is that of `Checkpoint.model`.
    Raises CheckpointError as `read_checkpoint` does, and ConfigError if they do not fit together.
    """
    checkpoints = [first, *map(read_checkpoint, others)]
    for other in checkpoints:
        if other.state.fingerprint != first.state.fingerprint:
            raise ConfigError(
                f"{other.folder}: its tokenizer differs from that of {first.folder}; the models of "
                "an ensemble need the same tokenizer"
            )
    models = [checkpoint.model(device, context) for checkpoint in checkpoints]
    return Ensemble(models) if others else models[0]
