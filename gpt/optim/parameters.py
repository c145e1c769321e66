"""The kinds of weights that optimizers tell apart. Knows modules, nothing of GPT."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, kw_only=True)
class Weights:
    """All parameters of a model that are trained, each once, by kind."""

    matrices: list[nn.Parameter]
    """Of linears, but for the head."""
    head: list[nn.Parameter]
    """The matrix of the linear called ``head``, unless it is an embedding's, too."""
    embeddings: list[nn.Parameter]
    """The rows of tokens and of places."""
    scales: list[nn.Parameter]
    """Scales, biases, and single numbers."""

    @classmethod
    def of(cls, model: nn.Module) -> Weights:
        """Sort the parameters of *model*."""
        embedded = {
            id(parameter)
            for module in model.modules()
            if isinstance(module, nn.Embedding)
            for parameter in module.parameters()
        }
        kinds = cls(matrices=[], head=[], embeddings=[], scales=[])
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            if id(parameter) in embedded:
                kinds.embeddings.append(parameter)
            elif parameter.ndim < 2:
                kinds.scales.append(parameter)
            elif name == "head.weight":
                kinds.head.append(parameter)
            else:
                kinds.matrices.append(parameter)
        return kinds
