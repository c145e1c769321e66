"""What a model writes while it learns: `samples.jsonl`, one JSON object a sample.

Prompt and seed stay the same, so that only the model differs from one sample to the next. The draws
are the sample's own: the run goes on as if it had not been asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytok
from gpt.errors import ConfigError
from gpt.generation.sampling import Sampling
from gpt.generation.text import generate
from gpt.report.events import NullReporter, Start
from gpt.runs.metrics import Row, read_records, write_records
from pytok.definition import END_OF_TEXT
from pytok.errors import PytokError
from pytok.tokenizer import Tokenizer

NAME = "samples.jsonl"
SAMPLING = Sampling(temperature=0.8, top_k=50, seed=0)
"""How all samples of all runs are drawn."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A text that the model wrote after a step."""

    step: int
    prompt: str
    text: str
    """What follows the prompt."""


class Sampler(NullReporter):
    """Has the model write now and then, tells it, and keeps it."""

    def __init__(
        self,
        tell: Callable[[str], None],
        *,
        prompt: str = "",
        every: int | None = None,
        tokens: int = 64,
    ) -> None:
        """*tell* hears each sample; *every* so many steps there is one.

        Without *every*, there is one at each evaluation, and with 0 none. An empty *prompt* begins
        a document.
        """
        if (every is not None and every < 0) or tokens < 1:
            raise ConfigError(f"samples every {every} steps of {tokens} tokens cannot be had")
        self._tell, self._prompt, self._every, self._tokens = tell, prompt, every, tokens
        self._samples: list[Sample] = []
        self._tokenizer: Tokenizer | None = None

    def began(self, start: Start) -> None:
        """Take up the samples of the steps that were made before, and no others."""
        self._borrow_model = start.borrow_model
        self._path = start.recipe.out / NAME
        if self._path.exists():
            self._samples = [s for s in read_samples(start.recipe.out) if s.step <= start.step]
            write_records(self._path, self._samples)
        if self._every == 0:
            return
        if start.borrow_model is None:
            self._tell("no samples while it trains: no process has all of the model")
            return
        try:
            tokenizer = pytok.load(start.recipe.data / "tokenizer.json")
        except (PytokError, OSError) as error:
            self._tell(f"no samples while it trains: {error}")
            return
        if self._prompt or END_OF_TEXT in tokenizer.special_tokens:
            self._tokenizer = tokenizer
        else:
            self._tell(
                f"no samples while it trains: the vocabulary has no {END_OF_TEXT} to begin with; "
                "give --sample-prompt"
            )

    def row(self, row: Row, steps: int) -> None:
        """Write a sample where one is due."""
        due = row.step % self._every == 0 if self._every else row.val_bpb is not None
        written = self._samples and self._samples[-1].step == row.step
        if self._tokenizer is None or self._borrow_model is None or not due or written:
            return
        with self._borrow_model() as model:
            pieces = generate(
                model,
                self._tokenizer,
                self._prompt,
                max_tokens=self._tokens,
                sampling=SAMPLING,
            )
            sample = Sample(step=row.step, prompt=self._prompt, text="".join(pieces))
        self._samples.append(sample)
        write_records(self._path, self._samples)
        self._tell(f"sample at step {row.step:,}:\n{quoted(sample)}")


def read_samples(run: Path) -> list[Sample]:
    """Read the samples of *run*; none where there are none."""
    path = run / NAME
    return read_records(path, Sample) if path.exists() else []


def quoted(sample: Sample) -> str:
    """*sample* behind a bar a line; what could command a terminal is escaped."""
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", _escaped, sample.prompt + sample.text)
    return "\n".join(f"  │ {line}" for line in text.split("\n"))


def _escaped(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"
