"""The options of the commands that let a model write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gpt.generation.sampling import Sampling
    from gpt.model.gpt import GPT
    from gpt.runs.reading import Checkpoint


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How tokens are drawn, and by what."""

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
    seed: int = 0
    """Decides the draws."""
    device: str = "auto"
    """auto, cpu or cuda."""
    dtype: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    """What the linears are computed in; int8 rounds their weights, and is the fastest."""

    def sampling(self) -> Sampling:
        """As the library takes it; raises ConfigError."""
        from gpt.generation.sampling import Sampling

        return Sampling(
            repetition_penalty=self.repetition_penalty,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            min_p=self.min_p,
            seed=self.seed,
        )

    def model(self, checkpoint: Checkpoint, ensemble: Sequence[Path] = ()) -> GPT:
        """Build the model of *checkpoint*, where and as it is to be computed.

        With the runs *ensemble*, it is that of all of them.
        """
        import torch

        from gpt.generation.decoder import inference_copy
        from gpt.generation.ensemble import open_ensemble
        from gpt.parallel.runtime import Runtime

        runtime = Runtime.choose(self.device, "auto" if self.dtype == "int8" else self.dtype)
        dtype = torch.int8 if self.dtype == "int8" else runtime.dtype
        return inference_copy(open_ensemble(checkpoint, ensemble, runtime.device), dtype)
