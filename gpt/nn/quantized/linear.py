"""Linear layers with quantized weights: what frozen layers of a model are replaced by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias

from torch import Tensor, nn

from gpt.errors import ConfigError
from gpt.nn.expert_linear import Dispatch, ExpertLinear, grouped_linear
from gpt.nn.mechanism import Kind, Mechanism
from gpt.nn.quantized.weight import QuantizedWeight, Weight, linear, product, quantized
from gpt.parallel.memory import return_freed_memory
from gpt.spec.quantization import Quantization


class QuantizedLinear(Mechanism):
    """x → W x + b, W being quantized and frozen, as b is."""

    def __init__(self, base: QuantizedWeight, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.out_features, self.in_features = base.shape
        self.base = base
        self.bias = bias

    @property
    def weight(self) -> Tensor:
        """The dequantized W, a new tensor: (outputs, inputs), float32."""
        return self.base.dense()

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        return linear(x, self.base, self.bias)

    def weight_flops(self) -> int:
        """Return two operations per weight."""
        return 2 * self.in_features * self.out_features


class QuantizedExperts(Mechanism):
    """x → W_e x + b_e, e being the expert of the row x, W being quantized and frozen, as b is."""

    KINDS: ClassVar[Mapping[str, Kind]] = {"bias": "scale"}

    def __init__(self, base: QuantizedWeight, bias: nn.Parameter | None, active: int) -> None:
        super().__init__()
        self.experts, self.out_features, self.in_features = base.shape
        self.base, self.bias, self.active = base, bias, active

    @property
    def weight(self) -> Tensor:
        """The dequantized matrices, a new tensor: (experts, outputs, inputs), float32."""
        return self.base.dense()

    def forward(self, x: Tensor, dispatch: Dispatch) -> Tensor:
        """Map x (N, inputs), sorted by expert, to (N, outputs)."""
        y = expert_product(x, self.base, dispatch.ends)
        return y if self.bias is None else y + self.bias.to(y.dtype)[dispatch.experts]

    def weight_flops(self) -> int:
        """Return two operations per weight of the experts that a token uses."""
        return 2 * self.active * self.in_features * self.out_features

    def idle_parameters(self) -> int:
        """Return the number of weights and biases of the other experts."""
        biases = 0 if self.bias is None else self.out_features
        return (self.experts - self.active) * (self.in_features * self.out_features + biases)


AnyLinear: TypeAlias = nn.Linear | QuantizedLinear
AnyExperts: TypeAlias = ExpertLinear | QuantizedExperts


def expert_product(x: Tensor, weight: Weight, ends: Tensor) -> Tensor:
    """Multiply each row of x by the matrix of its expert: `grouped_linear` of any weight."""
    return product(x, weight, lambda x, matrix: grouped_linear(x, matrix, ends))


def stored_weight(layer: Any) -> nn.Parameter | QuantizedWeight:
    """Return the weight of a linear layer as it is stored: a parameter, or quantized."""
    quantized = isinstance(layer, QuantizedLinear | QuantizedExperts)
    return layer.base if quantized else layer.weight  # type: ignore[no-any-return]


def quantizable(model: nn.Module) -> list[str]:
    """Return the names of the weights of *model* that `quantize` would quantize.

    They are those of linear layers, except for tables of tokens, such as the head, and for weights
    that are also those of another module.
    """
    uses = Counter(id(part) for _, part in model.named_parameters(remove_duplicate=False))
    return [
        f"{name}.weight"
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear | ExpertLinear)
        and not getattr(part, "TOKEN_ROWS", False)
        and uses[id(part.weight)] == 1
    ]


def quantize(model: nn.Module, spec: Quantization) -> list[str]:
    """Quantize the linear layers of *model*, which are frozen; return their names.

    Each weight is freed before the next is quantized. Raises ConfigError if one is not finite.
    """
    found = [name.removesuffix(".weight") for name in quantizable(model)]
    for name in found:
        parent, _, attribute = name.rpartition(".")
        owner = model.get_submodule(parent)
        layer: Any = getattr(owner, attribute)
        layer.requires_grad_(False)
        try:
            base = quantized(layer.weight, spec)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from None
        setattr(owner, attribute, _replacement(layer, base))
        del layer  # its weight, before the next is quantized
    return_freed_memory()
    return found


def _replacement(
    layer: nn.Linear | ExpertLinear, base: QuantizedWeight
) -> QuantizedLinear | QuantizedExperts:
    """Return the quantized layer that replaces *layer*, with the weight *base*."""
    if isinstance(layer, ExpertLinear):
        return QuantizedExperts(base, layer.bias, layer.active).train(layer.training)
    return QuantizedLinear(base, layer.bias).train(layer.training)
