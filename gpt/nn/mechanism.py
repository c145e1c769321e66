"""`Mechanism`: what a module says about itself, and what is assumed of the modules of torch.

Model-wide code (initialization, optimizers, FLOPs, growing vocabularies, exports) asks each module
and knows none by name. A mechanism answers only what differs from the defaults here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn

Kind: TypeAlias = Literal["matrix", "head", "embedding", "scale", "up"]
"""Kinds of parameters, which optimizers treat differently."""
Mixed: TypeAlias = tuple[Tensor, Tensor | None]
"""Output of a mixer (attention, an MLP), and its auxiliary loss or None."""


class Mechanism(nn.Module):
    """A module with answers about its own parameters; child modules answer for theirs."""

    KINDS: ClassVar[Mapping[str, Kind]] = {}
    """Kinds of its own parameters by name, where they differ from what `kind_of` assumes."""
    TOKEN_ROWS: ClassVar[bool] = False
    """Whether its weight has a row for each token of the vocabulary."""
    SCORING: ClassVar[tuple[str, ...]] = ()
    """Names of its modules that only decide weights of others, such as queries, keys and routers:
    nothing of them is added to the residual stream."""

    def initialize(self, generator: torch.Generator) -> None:
        """Initialize its own parameters; by default they stay as `__init__` made them.

        Child modules are initialized already, and can be changed.
        """

    def randomize_output(self, generator: torch.Generator) -> None:
        """Initialize at random what `initialize` sets to zero, so that a branch begins as zero.

        For blocks whose branches begin as zero in another way, or not as zero.
        """

    def weight_flops(self) -> int:
        """Return the FLOPs per token of products with weights, child modules included."""
        return sum(weight_flops(child) for child in self.children())

    def mixing_flops(self, context: int) -> int:
        """Return the FLOPs of products without weights for a token at the end of *context*.

        Child modules are not included.
        """
        return 0

    def idle_parameters(self) -> int:
        """Return how many of its own parameters a token does not use.

        Child modules are not included.
        """
        return 0

    def packed_parameters(self) -> int:
        """Return how many more weights its own parameters stand for, if they are quantized.

        Child modules are not included.
        """
        return 0

    def after_step(self) -> None:
        """Change its own buffers after a step of the optimizer; by default none."""


def initialize(module: nn.Module, generator: torch.Generator) -> None:
    """Initialize the parameters of *module*, children first, so that activations keep their scale.

    Embeddings are normal with standard deviation 0.02 (Radford 2019, GPT-2), linear layers with
    1/√inputs (LeCun 1998, Efficient BackProp; on 1 MB of text 0.05 bits per byte better after a
    hundred steps than 0.02), biases zero.
    """
    for child in module.children():
        initialize(child, generator)
    if isinstance(module, Mechanism):
        module.initialize(generator)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.02, generator=generator)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=module.in_features**-0.5, generator=generator)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def kind_of(module: nn.Module, name: str, parameter: nn.Parameter) -> Kind:
    """Return the kind of the *parameter* that *module* itself has as *name*."""
    if isinstance(module, Mechanism) and name in module.KINDS:
        return module.KINDS[name]
    if isinstance(module, nn.Embedding):
        return "embedding"
    return "scale" if parameter.ndim < 2 else "matrix"


def weight_flops(module: nn.Module) -> int:
    """Return the FLOPs per token of products with the weights of *module* and its children.

    A product takes two operations per weight: a multiplication and an addition.
    """
    if isinstance(module, Mechanism):
        return module.weight_flops()
    if isinstance(module, nn.Linear):
        return 2 * module.in_features * module.out_features
    return sum(map(weight_flops, module.children()))


class TokenEmbedding(Mechanism, nn.Embedding):
    """A table with a vector for each token."""

    KINDS: ClassVar[Mapping[str, Kind]] = {"weight": "embedding"}
    TOKEN_ROWS = True

    def initialize(self, generator: torch.Generator) -> None:
        """Initialize as any embedding."""
        nn.init.normal_(self.weight, std=0.02, generator=generator)


class BranchOutput(Mechanism, nn.Linear):
    """The last linear layer of a branch, initially zero: every block starts as the identity.

    Zhang 2019 (Fixup), arXiv:1901.09321.
    """

    def initialize(self, generator: torch.Generator) -> None:
        """Set weight and bias to zero."""
        nn.init.zeros_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def randomize_output(self, generator: torch.Generator) -> None:
        """Initialize the weight as that of any linear layer."""
        nn.init.normal_(self.weight, std=self.in_features**-0.5, generator=generator)

    def weight_flops(self) -> int:
        """Return two operations per weight."""
        return 2 * self.in_features * self.out_features
