"""Parameters by kind, for optimizers. Needs the modules of torch only, not those of `gpt.model`."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, kw_only=True)
class ParameterKinds:
    """All trained parameters of a model, each exactly once, by kind."""

    matrices: list[nn.Parameter]
    """Weights of linear layers other than the head."""
    head: list[nn.Parameter]
    """Weight of the linear layer called ``head``, unless it is tied to an embedding."""
    embeddings: list[nn.Parameter]
    """Tables of tokens and of positions."""
    scales: list[nn.Parameter]
    """Scales, biases, and scalars."""

    @classmethod
    def of(cls, model: nn.Module) -> ParameterKinds:
        """Sort the parameters of *model* by kind."""
        embeddings = {
            id(parameter)
            for module in model.modules()
            if isinstance(module, nn.Embedding)
            for parameter in module.parameters()
        }
        kinds = cls(matrices=[], head=[], embeddings=[], scales=[])
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            if id(parameter) in embeddings:
                kinds.embeddings.append(parameter)
            elif parameter.ndim < 2:
                kinds.scales.append(parameter)
            elif name == "head.weight":
                kinds.head.append(parameter)
            else:
                kinds.matrices.append(parameter)
        return kinds
