"""Tiny models of published families, as transformers makes and saves them, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedModel

from pytok.tokenizer import Tokenizer

SIZES: dict[str, Any] = {
    "vocab_size": 320,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 100,
    "max_position_embeddings": 64,
}
GROUPED: dict[str, Any] = {**SIZES, "num_key_value_heads": 2}
GPT2: dict[str, Any] = {
    "vocab_size": 320,
    "n_embd": 64,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
}
_OPT = {name: value for name, value in SIZES.items() if name != "intermediate_size"}

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", GPT2),
    "gpt2-hidden": ("GPT2", {**GPT2, "n_inner": 100, "activation_function": "relu"}),
    "gpt_bigcode": ("GPTBigCode", GPT2),
    "opt": ("OPT", {**_OPT, "ffn_dim": 100, "word_embed_proj_dim": 64}),
    "llama": ("Llama", GROUPED),
    "llama-biases": (
        "Llama",
        {
            **SIZES,
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
        },
    ),
    "llama-attention-bias": ("Llama", {**SIZES, "attention_bias": True}),
    "llama-mlp-bias": ("Llama", {**SIZES, "mlp_bias": True, "head_dim": 32}),
    "qwen2": ("Qwen2", GROUPED),
    "qwen2-window": (
        "Qwen2",
        {**GROUPED, "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    ),
    "mistral": ("Mistral", {**GROUPED, "sliding_window": None}),
    "mistral-window": ("Mistral", {**GROUPED, "sliding_window": 8, "head_dim": 32}),
    "qwen3": ("Qwen3", {**GROUPED, "head_dim": 32}),
    "qwen3-bias": ("Qwen3", {**GROUPED, "head_dim": 16, "attention_bias": True}),
    "phi3": ("Phi3", {**GROUPED, "sliding_window": 8, "pad_token_id": 0}),
    "seed_oss": ("SeedOss", {**GROUPED, "head_dim": 16}),
    "arcee": ("Arcee", GROUPED),
    "helium": ("Helium", {**GROUPED, "head_dim": 16, "pad_token_id": 0}),
    "stablelm": ("StableLm", {**GROUPED, "use_qkv_bias": True}),
    "starcoder2": ("Starcoder2", {**GROUPED, "sliding_window": 9}),
    "nemotron": ("Nemotron", {**GROUPED, "head_dim": 16}),
    "gpt_neox": ("GPTNeoX", {**SIZES, "use_parallel_residual": False}),
}
"""The class of transformers and the arguments of its config, by the family and what is special."""


def make_config(name: str, **changes: Any) -> Any:
    """Return a config of transformers from `CONFIGS`."""
    kind, arguments = CONFIGS[name]
    ends = {"bos_token_id": 300, "eos_token_id": 300}
    return getattr(transformers, f"{kind}Config")(**ends, **arguments, **changes)


def save(config: Any, folder: Path, tokenizer: Tokenizer, **options: Any) -> PreTrainedModel:
    """Save a random model of *config* and *tokenizer* to *folder*, and return the model.

    Its logits are about as large as those of a trained model.
    """
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            torch.nn.init.normal_(parameter, std=0.2)
            if parameter.ndim == 1 and name.endswith("weight"):
                parameter += 1
    dtype = options.pop("dtype", torch.float32)
    model.to(dtype).save_pretrained(folder, **options)
    tokenizer.save(folder / "tokenizer.json")
    return model.float().eval()
