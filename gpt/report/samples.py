"""`samples.jsonl`: text sampled during training, one JSON object each.

Prompt and seed are always the same, so samples differ only by the model. Sampling has a random
state of its own, so it does not change the run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytok
from gpt.data.boundaries import Boundaries
from gpt.data.pair_files import VAL
from gpt.data.pairs import read_pairs
from gpt.errors import ConfigError
from gpt.generation.beam import translate
from gpt.generation.sampling import Sampling
from gpt.generation.text import generate
from gpt.model.language_model import LanguageModel
from gpt.model.model import Model
from gpt.model.seq2seq import Seq2Seq
from gpt.report.events import NullReporter, Start
from gpt.runs.metrics import Row, read_records, write_records
from pytok.definition import END_OF_TEXT
from pytok.errors import PytokError
from pytok.tokenizer import Tokenizer

NAME = "samples.jsonl"
SAMPLING = Sampling(temperature=0.8, top_k=50, seed=0)
"""Sampling of all samples of all runs."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Text that the model generated after a step."""

    step: int
    """Optimizer steps so far."""
    prompt: str
    """What was continued; empty for the start of a document."""
    text: str
    """Continuation of the prompt."""


class Sampler(NullReporter):
    """Samples text during training, prints it, and records it if the run has a folder."""

    def __init__(
        self,
        show: Callable[[str], None],
        *,
        prompt: str = "",
        every: int | None = None,
        tokens: int = 64,
    ) -> None:
        """Call *show* with a sample every *every* steps.

        If *every* is None there is one at each evaluation, with 0 there is none. An empty *prompt*
        starts a document.
        """
        if (every is not None and every < 0) or tokens < 1:
            raise ConfigError(
                f"samples need every >= 0 and tokens >= 1; got every {every}, tokens {tokens}"
            )
        self._show, self._prompt, self._every, self._tokens = show, prompt, every, tokens
        self._samples: list[Sample] = []
        self._tokenizer: Tokenizer | None = None

    def began(self, start: Start) -> None:
        """Keep the recorded samples of earlier steps, and drop those of later ones."""
        self._borrow_model = start.borrow_model
        self._folder = start.folder
        if self._folder is not None and (self._folder / NAME).exists():
            self._samples = [s for s in read_samples(self._folder) if s.step <= start.step]
            write_records(self._folder / NAME, self._samples)
        if self._every == 0:
            return
        if not start.recipe.model.causal:
            self._show("no samples during training: the model reads in both directions")
            return
        if start.borrow_model is None:
            self._show("no samples during training: no process has the whole model")
            return
        try:
            tokenizer = pytok.load(start.recipe.data / "tokenizer.json")
        except (PytokError, OSError) as error:
            self._show(f"no samples during training: {error}")
            return
        if self._prompt or Boundaries.of(tokenizer).start:
            self._tokenizer = tokenizer
        else:
            self._show(
                f"no samples during training: the vocabulary has no {END_OF_TEXT} to start with; "
                "pass --sample-prompt"
            )

    def row(self, row: Row, steps: int) -> None:
        """Sample if it is time."""
        due = row.step % self._every == 0 if self._every else row.val is not None
        done = self._samples and self._samples[-1].step == row.step
        if self._tokenizer is None or self._borrow_model is None or not due or done:
            return
        with self._borrow_model() as model:
            text = self._write(model, self._tokenizer)
            sample = Sample(step=row.step, prompt=self._prompt, text=text)
        self._samples.append(sample)
        if self._folder is not None:
            write_records(self._folder / NAME, self._samples)
        self._show(f"sample at step {row.step:,}:\n{quoted(sample)}")

    def _write(self, model: Model, tokenizer: Tokenizer) -> str:
        """Return the continuation of the prompt by *model*."""
        pieces = generate(
            cast(LanguageModel, model),
            tokenizer,
            self._prompt,
            max_tokens=self._tokens,
            sampling=SAMPLING,
        )
        return "".join(pieces)


class TranslationSampler(Sampler):
    """Translates one source during training, by default the first that is held out."""

    def began(self, start: Start) -> None:
        """Choose the source, then begin as other samples do."""
        path = start.recipe.data / VAL
        if not self._prompt and path.exists():
            self._prompt = next(read_pairs(path)).source
        super().began(start)

    def _write(self, model: Model, tokenizer: Tokenizer) -> str:
        """Return the translation of the source by *model*, greedily."""
        try:
            (text,) = translate(cast(Seq2Seq, model), tokenizer, [self._prompt])
        except ConfigError as error:  # it is longer than the context
            return f" -> ({error})"
        return f" -> {text}"


def read_samples(run: Path) -> list[Sample]:
    """Read the samples of *run*; an empty list if there is no file."""
    path = run / NAME
    return read_records(path, Sample) if path.exists() else []


def quoted(sample: Sample) -> str:
    """Format *sample* with a bar before each line, control characters escaped."""
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", _escape, sample.prompt + sample.text)
    return "\n".join(f"  │ {line}" for line in text.split("\n"))


def _escape(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"
