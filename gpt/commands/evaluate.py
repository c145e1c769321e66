"""`gpt eval`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import tyro

from pytok.terminal import Bars


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure a trained model on the whole validation split, in bits per byte."""

    run: tyro.conf.Positional[Path]
    """A run's folder, for its newest checkpoint; RUN/best; or one checkpoint's folder."""
    data: Path | None = None
    """Folder of token shards; none: the one that the run learnt from."""
    split: str = "val"
    """Which split of the shards."""
    json: bool = False
    """Print one JSON object instead of text."""
    device: str = "auto"
    """auto, cpu or cuda."""
    dtype: str = "auto"
    """auto, float32 or bfloat16."""

    def __call__(self) -> int:
        """Print the losses; 0."""
        from gpt.checkpoint import read_checkpoint
        from gpt.data import open_data, open_split
        from gpt.evaluate import evaluate
        from gpt.runtime import Runtime

        checkpoint = read_checkpoint(self.run)
        state = checkpoint.state
        shards = open_data(self.data or state.recipe.data, fingerprint=state.fingerprint)
        runtime = Runtime.choose(self.device, self.dtype)
        with Bars() as bars:
            result = evaluate(
                checkpoint.model(runtime.device),
                open_split(shards, self.split),
                runtime=runtime,
                documents=state.recipe.document_mask,
                progress=lambda done, total: bars.update("evaluate", done, total),
            )
        if self.json:
            print(json.dumps({"step": state.step, **dataclasses.asdict(result)}))
            return 0
        print(f"step {state.step}, split {self.split}: {result.tokens:,} tokens predicted")
        print(f"  {result.bits_per_byte:.4f} bits per byte ({result.bytes:,} bytes)")
        print(f"  {result.nats_per_token:.4f} nats per token, perplexity {result.perplexity:.2f}")
        return 0
