"""`gpt report`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write report.md and loss.png of a run again, from what its folder holds."""

    run: tyro.conf.Positional[Path]
    """A run's folder."""

    def __call__(self) -> int:
        """Write them; 0."""
        from gpt.report.page import write_report

        print(f"wrote {write_report(self.run)}", file=sys.stderr)
        return 0
