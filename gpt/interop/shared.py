"""Runs of models with fewer key and value heads, which continue as imported models do."""

from __future__ import annotations

from pathlib import Path

from gpt.interop.imported import write_imported
from gpt.model.sharing import share_heads
from gpt.runs.reading import Checkpoint
from gpt.spec.attention_base import Pool


def write_shared(run: Path, checkpoint: Checkpoint, kv_heads: int, pool: Pool, seed: int) -> Path:
    """Write *run*: the model of *checkpoint* after `share_heads`, and its data.

    The state of the optimizer is not kept, since it is that of other weights. Returns the folder of
    the new checkpoint. Raises ConfigError if heads cannot be shared so, FormatError if there is a
    run already.
    """
    model = share_heads(checkpoint.model(), kv_heads, pool, seed)
    return write_imported(
        run,
        model,
        checkpoint.tokenizer(),
        checkpoint.data_files,
        checkpoint.generation,
        data=checkpoint.state.recipe.data,
    )
