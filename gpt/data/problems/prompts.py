"""Prompts of a user's file, with a reward function, or with answers to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from gpt.data.contents import are_messages, content_of
from gpt.data.json_files import parse_json
from gpt.data.problems.calling import RewardFunction
from gpt.data.problems.generated import Exact
from gpt.data.problems.problem import Problem, Split, split_of
from gpt.errors import DataError
from gpt.spec import problems
from pytok.counted import counted
from pytok.text import quoted

PROMPT, ANSWER = "prompt", "answer"
"""Fields of a line that are not only passed on."""
EXPECTED = f'expected {{"{PROMPT}": "..."}}, a text or a list of messages'


class Prompts:
    """The prompts of a file. Which of them are held out follows from their text."""

    def __init__(self, spec: problems.Prompts, file: Path) -> None:
        """Read *file*, JSON lines, and start the function; raises DataError."""
        data = _read(file)
        self._problems: dict[Split, list[Problem]] = {"train": [], "val": []}
        parsed = parse(data, file, needs_answers=spec.reward is None)
        self.templated = are_messages(file, ((line, each.prompt) for line, each in parsed))
        for _, problem in parsed:
            self._problems[split_of(problem.prompt)].append(problem)
        if not self._problems["train"]:
            raise DataError(f"{file}: no prompt to train on; add more lines")
        self.digest = sha256(data).hexdigest()
        self._file = file
        self._function: RewardFunction | None = None
        if spec.reward is not None:
            self._function = RewardFunction(spec.reward, spec.seconds)

    def problem(self, split: Split, seed: int, index: int) -> Problem:
        """Return the problem at *index* of *split*, which is in a new order every epoch."""
        found = self._problems[split]
        epoch, position = divmod(index, len(found))
        order = np.random.default_rng((seed, epoch, 4)).permutation(len(found))
        return found[int(order[position])]

    def rewards(self, problems: Sequence[Problem], completions: Sequence[str]) -> list[float]:
        """Return the rewards of *completions*; raises DataError naming the first without one."""
        if self._function is not None:
            return self._function(problems, completions)
        return [Exact().reward(*each) for each in zip(problems, completions, strict=True)]

    def has(self, split: Split) -> bool:
        """Return whether *split* has a prompt; few prompts can all be trained on."""
        return bool(self._problems[split])

    @property
    def summary(self) -> str:
        """The file, and how many prompts it has."""
        train, held_out = (len(self._problems[split]) for split in ("train", "val"))
        return f"{counted(train + held_out, 'prompt')} of {self._file}, {held_out:,} held out"


def parse(data: bytes, file: Path, *, needs_answers: bool) -> list[tuple[int, Problem]]:
    """Return the problems of *data*, JSON lines of *file*, with the numbers of their lines.

    Raises DataError naming a line that is wrong.
    """
    found = []
    for number, line in enumerate(data.splitlines(), start=1):
        if line.strip():
            where = f"{file}, line {number}"
            try:
                found.append((number, _problem(parse_json(line), where, needs_answers)))
            except DataError:
                raise
            except ValueError as error:
                raise DataError(f"{where}: {error}") from None
    return found


def _problem(document: Any, where: str, needs_answer: bool) -> Problem:
    """Return the problem of a line, *document*; raises ValueError or DataError."""
    if not isinstance(document, dict):
        raise ValueError(f"expected an object with the field {PROMPT}, got {quoted(document)}")
    prompt = content_of(where, document, PROMPT, EXPECTED)
    fields = {name: value for name, value in document.items() if name != PROMPT}
    answer = fields.get(ANSWER)
    if needs_answer and not isinstance(answer, str):
        raise ValueError(
            f"{ANSWER} must be the text of a right completion; got {quoted(answer)}; or name a "
            "function with --reward"
        )
    if "completion" in fields:
        raise ValueError("the field completion has the name of what the function is called with")
    return Problem(prompt, answer if isinstance(answer, str) else None, fields, where)


def _read(file: Path) -> bytes:
    """Return the bytes of *file*; raises DataError."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}; pass JSON lines with {PROMPT}") from None
