"""The seam between a run and those who tell of it: `Reporter`."""

from __future__ import annotations

from typing import Protocol

from gpt.metrics import Row


class Reporter(Protocol):
    """Who is told of a run as it goes."""

    def notice(self, text: str) -> None:
        """Something worth a line, such as that a run is resumed."""

    def row(self, row: Row, steps: int) -> None:
        """Hear that a step of *steps* was made."""


class Silent:
    """A reporter that tells nobody."""

    def notice(self, text: str) -> None:
        """Say nothing."""

    def row(self, row: Row, steps: int) -> None:
        """Say nothing."""
