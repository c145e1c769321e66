"""Small random models that other software supports, as runs on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import pytok
from gpt.interop.imported import write_imported
from gpt.model.gpt import GPT
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.position import Learned, Rope
from pytok.tokenizer import Tokenizer

TEXTS = ["The cat sat on the mat, 1234 times.\n\n  It's the owl's: déjà vu, 日本語!\t", "x  y\n"]

_LLAMA: dict[str, Any] = {
    "attention": GroupedQuery(heads=4, kv_heads=2),
    "position": Rope(theta=5000.0),
    "mlp": MLP(activation="silu", gated=True, hidden=96),
    "norm": RMSNorm(eps=1e-5),
    "tie": False,
}
_GPT2: dict[str, Any] = {
    "attention": GroupedQuery(heads=4, kv_heads=4),
    "position": Learned(),
    "mlp": MLP(activation="gelu_tanh"),
    "norm": LayerNorm(),
    "bias": True,
}
_QWEN3: dict[str, Any] = {
    **_LLAMA,
    "attention": GroupedQuery(heads=4, kv_heads=2, head_width=32, qk_norm=True),
    "norm": RMSNorm(),
}
SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": _GPT2,
    "gpt2-without-biases": {**_GPT2, "bias": False, "norm": LayerNorm(bias=False)},
    "gpt2-untied": {**_GPT2, "tie": False},
    "llama": _LLAMA,
    "llama-tied-biases": {**_LLAMA, "tie": True, "bias": True},
    "qwen3": _QWEN3,
    "qwen3-tied": {**_QWEN3, "tie": True},
}
"""Fields of each model; `make_run` adds the sizes. The first part of the name is the family."""


def make_tokenizer(pattern: str = "gpt2") -> Tokenizer:
    """Train a tokenizer whose number of ids is not a multiple of 64."""
    pangram = "Pack my box with five dozen liquor jugs; how vexingly quick daft zebras jump."
    return pytok.train([*TEXTS, pangram], vocab_size=301, pattern=pattern)


def make_run(folder: Path, fields: dict[str, Any], tokenizer: Tokenizer) -> Checkpoint:
    """Write a run of a model with *fields*, whose weights are far from zero."""
    sizes = {"context": 64, "layers": 2, "width": 64, "vocab_size": tokenizer.n_vocab}
    model = GPT(GPTConfig(**{**sizes, **fields}))
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=noise)
    write_imported(folder, model, tokenizer)
    return read_checkpoint(folder)
