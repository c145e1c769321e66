"""Problems that are generated: sums, sorting, parity, format.

Each class draws a problem, and checks a completion; `Generated` makes a source of problems of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from gpt.data.problems.problem import Problem, Split, split_of
from gpt.errors import ConfigError
from gpt.spec import problems

DRAWS = 1000
"""Draws after which a split is taken to have no problem: all problems are very few."""
WORDS = ("ant", "bat", "cow", "dog", "elk", "fox", "hen", "kiwi", "lamb", "mole", "owl", "pig")
"""What the lists of `Format` are made of."""


class Kind(Protocol):
    """A kind of problem."""

    def draw(self, rng: np.random.Generator) -> Problem:
        """Return a random problem."""

    def reward(self, problem: Problem, completion: str) -> float:
        """Return the reward of *completion*, from 0 to 1."""


class Exact:
    """Problems with a single right answer."""

    def reward(self, problem: Problem, completion: str) -> float:
        """Return 1 for the answer, and 0 for anything else."""
        return float(completion == problem.answer)


class Addition(Exact):
    """a + b, each uniform below 10^digits."""

    def __init__(self, spec: problems.Addition) -> None:
        self._limit = 10**spec.digits

    def draw(self, rng: np.random.Generator) -> Problem:
        """Return a sum."""
        a, b = rng.integers(self._limit, size=2).tolist()
        return Problem(f"{a}+{b}=", str(a + b))


class Sorting(Exact):
    """Uniform digits, to be sorted."""

    def __init__(self, spec: problems.Sorting) -> None:
        self._length = spec.length

    def draw(self, rng: np.random.Generator) -> Problem:
        """Return digits to sort."""
        digits = [str(digit) for digit in rng.integers(10, size=self._length)]
        return Problem(f"sort {''.join(digits)}=", "".join(sorted(digits)))


class Parity(Exact):
    """Uniform bits, whose sum is even or odd."""

    def __init__(self, spec: problems.Parity) -> None:
        self._bits = spec.bits

    def draw(self, rng: np.random.Generator) -> Problem:
        """Return bits to count."""
        bits = rng.integers(2, size=self._bits)
        return Problem(f"parity {''.join(map(str, bits))}=", ("even", "odd")[int(bits.sum()) % 2])


class Format:
    """Uniform words, to be written as a JSON list."""

    def __init__(self, spec: problems.Format) -> None:
        self._words = spec.words

    def draw(self, rng: np.random.Generator) -> Problem:
        """Return words to write as a list."""
        count = int(rng.integers(1, self._words + 1))
        words = [WORDS[index] for index in rng.integers(len(WORDS), size=count)]
        answer = json.dumps(words, separators=(",", ":"))
        return Problem(f"json {' '.join(words)}=", answer)

    def reward(self, problem: Problem, completion: str) -> float:
        """Return 1 for the list, 0.5 for another list of texts, and 0 for anything else."""
        try:
            found = json.loads(completion)
        except (ValueError, RecursionError):
            return 0.0
        if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
            return 0.0
        return 1.0 if found == json.loads(problem.answer or "") else 0.5


class Generated:
    """The problems of one kind, as many as are asked for."""

    digest = ""
    templated = False

    def __init__(self, kind: Kind, name: str) -> None:
        self._kind, self._name = kind, name
        for split in ("train", "val"):
            self.problem(split, 0, 0)

    def problem(self, split: Split, seed: int, index: int) -> Problem:
        """Return the first problem of *split* among those drawn for (*seed*, *index*).

        Raises ConfigError if there is none.
        """
        rng = np.random.default_rng((seed, index, 3))
        for _ in range(DRAWS):
            problem = self._kind.draw(rng)
            if split_of(problem.prompt) == split:
                return problem
        raise ConfigError(
            f"{self._name} of this size has too few problems for a {split} split; choose larger "
            "ones"
        )

    def rewards(self, problems: Sequence[Problem], completions: Sequence[str]) -> list[float]:
        """Return the rewards of *completions*."""
        return [self._kind.reward(*each) for each in zip(problems, completions, strict=True)]

    def has(self, split: Split) -> bool:
        """Return True: any number of problems can be drawn."""
        return True

    @property
    def summary(self) -> str:
        """The kind."""
        return self._name
