"""Parameters by kind, for optimizers, and the other tensors that training changes: buffers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from gpt.nn.mechanism import Kind, kind_of


def saved_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Return the buffers of *model* that belong to its weights, such as statistics, by name.

    Those that follow from the config are registered as not persistent.
    """
    persistent = model.state_dict(keep_vars=True)
    return {name: buffer for name, buffer in model.named_buffers() if name in persistent}


def saved_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return what a checkpoint has of *model*, by name: its parameters and its saved buffers."""
    return {**dict(model.named_parameters()), **saved_buffers(model)}


def changing_tensors(model: nn.Module) -> list[Tensor]:
    """Return what training changes: the trained parameters of *model*, and its buffers."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [*trained, *saved_buffers(model).values()]


@dataclass(frozen=True, kw_only=True)
class ParameterKinds:
    """All trained parameters of a model, each exactly once, by kind."""

    matrices: list[nn.Parameter]
    """Weights of linear layers other than the head; those of experts are (E, rows, columns)."""
    head: list[nn.Parameter]
    """Weight of the head, unless it is tied to an embedding."""
    embeddings: list[nn.Parameter]
    """Tables of tokens and of positions."""
    scales: list[nn.Parameter]
    """Scales, biases, and scalars."""
    ups: list[nn.Parameter]
    """Second matrices of the adapters of linear layers."""

    @classmethod
    def of(cls, model: nn.Module) -> ParameterKinds:
        """Sort the parameters of *model* by kind."""
        kinds: dict[Kind, list[nn.Parameter]] = {
            "matrix": [],
            "head": [],
            "embedding": [],
            "scale": [],
            "up": [],
        }
        seen = set()
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                # A shared parameter is of the kind of its first module.
                if parameter.requires_grad and id(parameter) not in seen:
                    seen.add(id(parameter))
                    kinds[kind_of(module, name, parameter)].append(parameter)
        return cls(
            matrices=kinds["matrix"],
            head=kinds["head"],
            embeddings=kinds["embedding"],
            scales=kinds["scale"],
            ups=kinds["up"],
        )
