"""`Model`: what training, checkpoints and reports need of a model of any kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gpt.data.batch import Batch
from gpt.nn.head import logit_factors
from gpt.nn.loss import (
    TokenLikelihoods,
    TokenLosses,
    linear_cross_entropy,
    token_likelihoods,
    token_losses,
)
from gpt.nn.mechanism import Mechanism


class Prediction(NamedTuple):
    """What the targets of a batch are predicted from. B: batch size, T: targets of a row."""

    hidden: Tensor
    """What the head reads, (B, T, width)."""
    head: nn.Module
    """The linear layer from it to logits."""
    cap: Any = None
    """The cap of the logits, or None."""
    auxiliary: Tensor | None = None
    """Auxiliary losses of the model, or None."""


class Model(Mechanism):
    """A model of the next token of texts, or of targets given sources.

    Built as ``Model(config, seed)`` from a row of `gpt.model.build.MODELS`: its weights are a
    function of both.
    """

    config: Any
    """Its config, of `gpt.spec.models`."""
    recompute: bool = False
    """Activation checkpointing: recompute the activations of blocks in the backward pass."""

    @staticmethod
    def layers_of(config: Any) -> Mapping[str, int]:
        """Return the beginnings of the names of tensors of a layer, and the number of layers.

        ``{layer}`` stands for the number of one.
        """
        raise NotImplementedError

    @property
    def units(self) -> Sequence[nn.Module]:
        """The blocks, whose weights FSDP gathers one after another."""
        raise NotImplementedError

    @property
    def context(self) -> int:
        """Most tokens of a text, or of either side of a pair."""
        length: int = self.config.context
        return length

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        size: int = self.config.vocab_size
        return size

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call `forward`."""
        return super().__call__(*arguments, **options)

    def forward(self, inputs: Any, objective: Callable[[Any, Batch], Any] | None = None) -> Any:
        """Return the logits of *inputs*, or ``objective(self, inputs)``.

        A loss is computed within the forward pass, where the weights of a sharded model are
        complete.
        """
        raise NotImplementedError

    def predicted_from(self, batch: Batch) -> Prediction:
        """Return what the targets of *batch* are predicted from."""
        raise NotImplementedError

    def cross_entropy(self, batch: Batch, smoothing: float = 0.0) -> tuple[Tensor, Tensor | None]:
        """Return the summed cross-entropy of the targets of *batch* in nats, and auxiliary losses.

        *smoothing* is that of the labels: `gpt.nn.loss.linear_cross_entropy`.
        """
        # In chunks: the logits of all tokens would be the largest tensor of a step.
        hidden, head, cap, auxiliary = self.predicted_from(batch)
        rows, weight = logit_factors(head, hidden, self.vocab_size)
        targets = batch.targets.flatten()
        return linear_cross_entropy(rows, weight, targets, cap, smoothing), auxiliary

    def likelihoods(self, batch: Batch, temperature: float = 1.0) -> TokenLikelihoods:
        """Return the log-probability of each target of *batch*, with gradients: (B, T) each.

        Logits are divided by *temperature*.
        """
        hidden, head, cap, _ = self.predicted_from(batch)
        rows, weight = logit_factors(head, hidden, self.vocab_size)
        flat = token_likelihoods(rows, weight, batch.targets.flatten(), cap, temperature)
        return TokenLikelihoods(*(each.view(batch.targets.shape) for each in flat))

    def token_losses(self, batch: Batch) -> TokenLosses:
        """Return the loss of each target of *batch*, row by row, without gradients."""
        hidden, head, cap, _ = self.predicted_from(batch)
        rows, weight = logit_factors(head, hidden, self.vocab_size)
        return token_losses(rows, weight, batch.targets.flatten(), cap)
