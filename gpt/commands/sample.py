"""`gpt sample`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from gpt.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Write text with a trained model, on stdout; a single one as a stream."""

    run: tyro.conf.Positional[Path]
    """A run's folder, for its newest checkpoint; RUN/best; or one checkpoint's folder."""
    prompt: str = ""
    """Text to go on from; empty: the beginning of a document."""
    tokens: int = 256
    """Tokens to write at most."""
    samples: int = 1
    """Texts to write, at once; each has the seed after the one before."""
    repetition_penalty: float = 1.0
    """Above 1 disfavours tokens that the text has already."""
    temperature: float = 0.8
    """Below 1 favours likely tokens; 0 takes the likeliest always."""
    top_k: int | None = None
    """Keep the k likeliest tokens."""
    top_p: float | None = None
    """Keep the likeliest tokens that together reach this chance."""
    min_p: float | None = None
    """Keep tokens with this share of the likeliest one's chance."""
    stop: tuple[str, ...] = ()
    """End before any of these texts."""
    seed: int = 0
    """Decides the draws."""
    device: str = "auto"
    """auto, cpu or cuda."""
    dtype: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    """What the linears are computed in; int8 rounds their weights, and is the fastest."""

    def __call__(self) -> int:
        """Print the samples; 0."""
        import torch

        from gpt.checkpoint import read_checkpoint
        from gpt.choosing import Sampling
        from gpt.decoding import with_linears_in
        from gpt.runtime import Runtime
        from gpt.sample import generate_batch

        if self.samples < 1:
            raise ConfigError(f"samples must be at least 1; got {self.samples}")
        checkpoint = read_checkpoint(self.run)
        runtime = Runtime.choose(self.device, "auto" if self.dtype == "int8" else self.dtype)
        dtype = torch.int8 if self.dtype == "int8" else runtime.dtype
        sampling = Sampling(
            repetition_penalty=self.repetition_penalty,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            min_p=self.min_p,
            seed=self.seed,
        )
        pieces = generate_batch(
            with_linears_in(checkpoint.model(runtime.device), dtype),
            checkpoint.tokenizer(),
            [self.prompt] * self.samples,
            max_tokens=self.tokens,
            sampling=sampling,
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
