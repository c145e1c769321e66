"""What a model consists of and how a block is wired, observed in a forward pass without memory.

The tensors of the model are fake: they have shapes only, so its size does not matter. Nothing here
knows a mechanism: the states say how many bytes they have, and the wiring of a block is what its
forward pass does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from gpt.model.gpt import Stack
from gpt.model.shapes import without_memory
from gpt.spec.architecture import GPTConfig
from gpt.spec.classifier import ClassifierConfig

OPERATIONS = {"add": "+", "__add__": "+", "__radd__": "+", "__iadd__": "+", "sub": "-"} | {
    "mul": "×", "__mul__": "×", "__rmul__": "×",
}  # fmt: skip
"""Operations between the modules of a block, which are nodes of its graph."""


@dataclass(frozen=True)
class Node:
    """A module of a block, or an operation on what several have returned."""

    name: str
    """Name of the module in its block, or the sign of the operation; "input" for the first."""
    sources: tuple[int, ...]
    """Indices of the nodes whose outputs it has as inputs."""
    module: nn.Module | None = None


@dataclass
class Anatomy:
    """A model of fake tensors, and what was observed in a pass over a full context."""

    model: Stack
    nodes: list[Node]
    """The graph of one block, in the order of computation; the last one is its output."""
    states: list[int] = field(default_factory=list)
    """Bytes that each layer keeps of a row of a full context while decoding; then those of the
    embedding. Empty if the model cannot decode."""

    @property
    def state(self) -> int:
        """Bytes that the model keeps of a row of a full context."""
        return sum(self.states)


def anatomy_of(
    config: GPTConfig | ClassifierConfig, layer: int = 0, dtype: torch.dtype = torch.float32
) -> Anatomy:
    """Observe the model of *config* and its block *layer*, with states of *dtype*."""
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        model = cast(Stack, without_memory(config, "cpu")).eval()
        anatomy = Anatomy(model, [Node("input", ())])
        cache = model.new_cache(1, dtype) if config.attention.causal else None
        ids = torch.zeros((1, config.context), dtype=torch.int64)
        with _observing(model.blocks[layer], anatomy.nodes):
            model.hidden(ids, cache=cache)
    if cache is not None:
        anatomy.states = [state.nbytes for state in cache.states]
    return anatomy


@contextmanager
def _observing(block: nn.Module, nodes: list[Node]) -> Iterator[None]:
    """Append to *nodes* what the forward pass of *block* does inside the context."""
    trace = _Trace(nodes)
    with ExitStack() as stack:
        for name, child in block.named_children():
            hooks = (
                child.register_forward_pre_hook(trace.enter),
                child.register_forward_hook(trace.leave(name, child)),
            )
            for hook in hooks:
                stack.callback(hook.remove)
        first = block.register_forward_pre_hook(trace.start)
        last = block.register_forward_hook(trace.stop)
        stack.callback(first.remove)
        stack.callback(last.remove)
        stack.enter_context(trace)
        yield


class _Trace(TorchFunctionMode):
    """Nodes of a block, by the tensors that flow between them."""

    def __init__(self, nodes: list[Node]) -> None:
        super().__init__()
        self.nodes = nodes
        self._producers: dict[int, int] = {}
        """The node that has returned a tensor, by the tensor's id."""
        self._alive: list[Tensor] = []
        """These tensors, so that no id is used twice."""
        self._active = False
        """Whether the block is running, and none of its modules is."""

    def start(self, block: nn.Module, arguments: tuple[Any, ...]) -> None:
        """Begin with the input of the block."""
        self._produced(arguments[0], 0)
        self._active = True

    def stop(self, block: nn.Module, arguments: Any, output: Any) -> None:
        """End with the output of the block."""
        self._active = False

    def enter(self, module: nn.Module, arguments: Any) -> None:
        """Ignore what is inside a module."""
        self._active = False

    def leave(self, name: str, child: nn.Module) -> Any:
        """Return the hook that makes a node of *child*, unless it has returned its input."""

        def hook(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
            self._active = True
            y = output[0] if isinstance(output, tuple) else output
            if all(each is not y for each in arguments):
                self._append(Node(name, self._sources(arguments), child), y)

        return hook

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if self._active and isinstance(result, Tensor) and id(result) not in self._producers:
            sign = OPERATIONS.get(getattr(function, "__name__", ""))
            sources = self._sources(args)
            if sign is not None and sources:
                self._append(Node(sign, sources), result)
            elif sources:  # a view, or a copy in another dtype
                self._produced(result, sources[0])
        return result

    def _append(self, node: Node, output: Tensor) -> None:
        self.nodes.append(node)
        self._produced(output, len(self.nodes) - 1)

    def _produced(self, tensor: Tensor, node: int) -> None:
        self._producers[id(tensor)] = node
        self._alive.append(tensor)

    def _sources(self, arguments: Any) -> tuple[int, ...]:
        ids = [id(each) for each in arguments if isinstance(each, Tensor)]
        return tuple(self._producers[each] for each in ids if each in self._producers)
