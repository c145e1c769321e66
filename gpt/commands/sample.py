"""`gpt sample`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from gpt.commands.options import Drawing
from gpt.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Write text with a trained model, on stdout; a single one as a stream."""

    run: tyro.conf.Positional[Path]
    """A run's folder, for its newest checkpoint; RUN/best; or one checkpoint's folder."""
    ensemble: tuple[Path, ...] = ()
    """Further runs with the same tokenizer, to write with it: probabilities are averaged."""
    prompt: str = ""
    """Text to go on from; empty: the beginning of a document."""
    tokens: int = 256
    """Tokens to write at most."""
    samples: int = 1
    """Texts to write, at once; each has the seed after the one before."""
    stop: tuple[str, ...] = ()
    """End before any of these texts."""
    drawing: tyro.conf.OmitArgPrefixes[Drawing] = field(default_factory=Drawing)

    def __call__(self) -> int:
        """Print the samples; 0."""
        from gpt.generation.text import generate_batch
        from gpt.runs.reading import read_checkpoint

        if self.samples < 1:
            raise ConfigError(f"samples must be at least 1; got {self.samples}")
        checkpoint = read_checkpoint(self.run)
        pieces = generate_batch(
            self.drawing.model(checkpoint, self.ensemble),
            checkpoint.tokenizer(),
            [self.prompt] * self.samples,
            max_tokens=self.tokens,
            sampling=self.drawing.sampling(),
            stop=self.stop,
        )
        if self.samples == 1:
            sys.stdout.write(self.prompt)
            for _, piece in pieces:
                sys.stdout.write(piece)
                sys.stdout.flush()
            sys.stdout.write("\n")
            return 0
        texts = [self.prompt] * self.samples
        for number, piece in pieces:
            texts[number] += piece
        for number, text in enumerate(texts, start=1):
            print(f"--- sample {number} of {self.samples}", file=sys.stderr)
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        return 0
