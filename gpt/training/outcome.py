"""`Outcome`: how a call of `gpt.training.loop.train` ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpt.runs.state import State
from gpt.training.clock import Limits


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of a call of `train`."""

    finished: bool
    """Whether the run ended by its steps or its patience, rather than by *stop*."""
    state: State
    """State of the last checkpoint."""
    checkpoint: Path | None
    """Folder of the last checkpoint. None if the run was stopped before its first step, or is kept
    in memory."""

    @property
    def stopped(self) -> str:
        """Where an unfinished run was stopped, ending with what the same command does next."""
        state = self.state
        if not state.step:
            return "stopped before the first step; to start again"
        limits = Limits.of(state.recipe)
        whole = "" if limits.steps is None else f" of {limits.steps}"
        time = "" if limits.seconds is None else f", {state.seconds:.0f} of {limits.seconds:g} s"
        return f"stopped at step {state.step}{whole}{time}, checkpoint written; to resume"
