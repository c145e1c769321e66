"""The table of problems: from the type of a spec to what generates and checks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpt.data.problems import generated
from gpt.data.problems.problem import Problems
from gpt.data.problems.prompts import Prompts
from gpt.spec import problems

KINDS: Mapping[type, Callable[[Any], generated.Kind]] = {
    problems.Addition: generated.Addition,
    problems.Sorting: generated.Sorting,
    problems.Parity: generated.Parity,
    problems.Format: generated.Format,
}
"""For each spec of generated problems, their kind."""


def build_problems(spec: problems.AnyProblems, file: Path) -> Problems:
    """Return the problems of *spec*, or for `Prompts` those of *file*, JSON lines.

    Raises ConfigError or DataError if there are none.
    """
    if (kind := KINDS.get(type(spec))) is not None:
        return generated.Generated(kind(spec), type(spec).__name__.lower())
    assert isinstance(spec, problems.Prompts)
    return Prompts(spec, file)
