"""`LanguageModel`: what generation and evaluation need of a model."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import torch

from gpt.data.batch import Batch
from gpt.nn.loss import TokenLosses
from gpt.nn.state import Cache

Self = TypeVar("Self", bound="LanguageModel")


class LanguageModel(Protocol):
    """A model of the next token: a `GPT`, or an ensemble of such. V: vocabulary size."""

    @property
    def context(self) -> int:
        """Context length: number of tokens that a prediction can attend to."""

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""

    @property
    def device(self) -> torch.device:
        """Device of the weights, where ids are expected."""

    @property
    def training(self) -> bool:
        """Whether the model is in training mode, with dropout."""

    def train(self: Self, mode: bool = True) -> Self:
        """Set training mode, or evaluation mode."""

    def eval(self: Self) -> Self:
        """Set evaluation mode."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Return the logits (B, T, V) of the tokens after ids (B, T); see `GPT.forward`."""

    def token_losses(self, batch: Batch) -> TokenLosses:
        """Return the losses of the targets of *batch*, flat, in evaluation mode."""

    def new_cache(self, batch: int) -> Cache:
        """Create an empty cache for *batch* rows of up to a full context of tokens each."""
