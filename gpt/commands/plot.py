"""`gpt plot`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Draw the losses of runs, overlaid: by seconds, tokens and steps, as a PNG."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """The runs' folders."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("plot.png")
    """The picture to write."""

    def __call__(self) -> int:
        """Write the picture; 0."""
        from gpt.report.plot import plot_runs

        plot_runs(self.runs, self.out)
        print(f"wrote {self.out}", file=sys.stderr)
        return 0
