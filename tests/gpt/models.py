"""Small models with random weights, their loss, and single mechanisms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gpt.data.batch import Batch
from gpt.model.gpt import GPT
from gpt.model.language_model import LanguageModel
from gpt.model.objectives.next_token import measure
from gpt.nn.build import build, site_of
from gpt.nn.context import Context
from gpt.nn.positions.encoding import PositionEncoding
from gpt.spec.architecture import Architecture, GPTConfig


def perturbed(config: GPTConfig, scale: float = 0.2, seed: int = 1) -> GPT:
    """A model with noise in all weights: in a new one, every branch is zero."""
    model = GPT(config, seed)
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += scale * torch.randn(parameter.shape, generator=noise)
        # Sets the statistics of norms that have some; otherwise activations would grow.
        ids = torch.randint(config.vocab_size, (4, config.context), generator=noise)
        with torch.random.fork_rng():
            torch.manual_seed(seed)  # of dropout
            model(ids)
    return model.eval()


def mean_loss(
    model: GPT, ids: Tensor, targets: Tensor, document_ids: Tensor | None = None
) -> Tensor:
    """The mean cross-entropy of *targets* (B, T), in nats, with a graph."""
    batch = Batch(ids, targets, document_ids)
    total, _ = model.cross_entropy(batch)
    return total / max(1, batch.num_targets)


def measured_loss(
    model: LanguageModel, ids: Tensor, targets: Tensor, document_ids: Tensor | None = None
) -> Tensor:
    """The same as an evaluation measures it."""
    batch = Batch(ids, targets, document_ids)
    total: Tensor = model(batch, measure).sum
    return total / max(1, batch.num_targets)


def mechanism(spec: Any, architecture: Architecture | None = None, layer: int = 0) -> Any:
    """The mechanism of *spec* in block *layer* of a model of *architecture* with 50 tokens."""
    return build(spec, site_of(architecture or Architecture(), 50).at(layer))


def context_of(x: Tensor, position: PositionEncoding | None = None) -> Context:
    """The context of x (B, T, width) at the beginning of a row."""
    return Context(
        ids=torch.zeros(x.shape[:2], dtype=torch.int64, device=x.device),
        starts=(0,),
        positions=0,
        position=position or PositionEncoding(),
    )
