"""`StateGroup`: what the parts of one block keep while decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from gpt.nn.state import State


class StateGroup:
    """States by the names of the parts that keep them: a `State` itself."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        """Group *parts*, states of the same rows."""
        self.parts = dict(parts)

    @staticmethod
    def of(module: nn.Module, batch: int, dtype: torch.dtype) -> StateGroup:
        """Create the states of *batch* rows for all children of *module* that keep something."""
        makers = {
            name: getattr(child, "new_state", None) for name, child in module.named_children()
        }
        made = {name: make(batch, dtype) for name, make in makers.items() if make is not None}
        return StateGroup({name: state for name, state in made.items() if state is not None})

    def empty(self, rows: int) -> StateGroup:
        """Return a new group for *rows* rows without tokens."""
        return StateGroup({name: state.empty(rows) for name, state in self.parts.items()})

    def restart(self, row: int, other: State, length: int) -> None:
        """Replace *row* by the single row of *other*; see `State`."""
        assert isinstance(other, StateGroup)
        for name, state in self.parts.items():
            state.restart(row, other.parts[name], length)

    def select(self, rows: Sequence[int]) -> None:
        """Keep *rows*, in this order."""
        for state in self.parts.values():
            state.select(rows)

    def truncate(self, removed: int) -> bool:
        """Remove the last *removed* tokens of every row, if all states allow it."""
        return all(state.truncate(removed) for state in self.parts.values())

    @property
    def nbytes(self) -> int:
        """Size of the states in bytes."""
        return sum(state.nbytes for state in self.parts.values())

    def bytes_at(self, tokens: int) -> int:
        """Return the bytes of the states for *tokens* tokens of each row, without free slots."""
        return sum(state.bytes_at(tokens) for state in self.parts.values())
