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

SCALINGS: dict[str, dict[str, Any]] = {
    "linear": {"rope_type": "linear", "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "factor": 2.0},
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
    "yarn-deepseek": {
        "rope_type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": 16,
        "mscale": 0.7,
        "mscale_all_dim": 0.5,
        "beta_fast": 16.0,
    },
}
"""Scalings of rotary positions."""

_DEEPSEEK: dict[str, Any] = {
    **SIZES,
    "num_key_value_heads": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "kv_lora_rank": 24,
    "q_lora_rank": 20,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 12,
    "v_head_dim": 16,
    "first_k_dense_replace": 1,
}

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", GPT2),
    "gpt2-hidden": ("GPT2", {**GPT2, "n_inner": 100, "activation_function": "relu"}),
    "gpt_bigcode": ("GPTBigCode", GPT2),
    "opt": ("OPT", {**_OPT, "ffn_dim": 100, "word_embed_proj_dim": 64}),
    "llama": ("Llama", GROUPED),
    **{
        f"llama-{name}": ("Llama", {**GROUPED, "rope_parameters": {"rope_theta": 500.0, **rope}})
        for name, rope in SCALINGS.items()
    },
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
    "gpt_neo": (
        "GPTNeo",
        {
            "vocab_size": 320,
            "hidden_size": 64,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 8,
            "max_position_embeddings": 64,
        },
    ),
    "smollm3": ("SmolLM3", {**GROUPED, "num_hidden_layers": 5, "pad_token_id": 0}),
    "ernie4_5": ("Ernie4_5", {**GROUPED, "head_dim": 16}),
    "ernie4_5-bias": ("Ernie4_5", {**GROUPED, "head_dim": 16, "use_bias": True}),
    "glm": ("Glm", {**GROUPED, "head_dim": 16, "pad_token_id": 0}),
    "mpt": (
        "Mpt",
        {"vocab_size": 320, "d_model": 64, "n_heads": 4, "n_layers": 2, "max_seq_len": 64},
    ),
    "mixtral": ("Mixtral", {**GROUPED, "num_local_experts": 4}),
    "gpt_oss": (
        "GptOss",
        {
            **GROUPED,
            "head_dim": 16,
            "num_hidden_layers": 3,
            "num_local_experts": 5,
            "num_experts_per_tok": 3,
            "intermediate_size": 32,
            "sliding_window": 8,
            "swiglu_limit": 2.0,
            "attn_implementation": "eager",
            "rope_parameters": {**SCALINGS["yarn"], "rope_theta": 500.0, "truncate": False},
        },
    ),
    "gpt_oss-full": (
        "GptOss",
        {
            **GROUPED,
            "head_dim": 32,
            "num_local_experts": 4,
            "attention_bias": False,
            "layer_types": ["full_attention"] * 2,
            "attn_implementation": "eager",
            "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
        },
    ),
    "qwen2_moe": (
        "Qwen2Moe",
        {
            **GROUPED,
            "num_experts": 5,
            "num_experts_per_tok": 3,
            "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 64,
        },
    ),
    "qwen3_moe": (
        "Qwen3Moe",
        {
            **GROUPED,
            "head_dim": 16,
            "num_experts": 5,
            "num_experts_per_tok": 3,
            "moe_intermediate_size": 32,
            "norm_topk_prob": True,
        },
    ),
    "deepseek_v2": ("DeepseekV2", {**_DEEPSEEK, "n_shared_experts": 2}),
    "deepseek_v2-groups": (
        "DeepseekV2",
        {
            **_DEEPSEEK,
            "q_lora_rank": None,
            "topk_method": "group_limited_greedy",
            "n_group": 2,
            "topk_group": 1,
            "routed_scaling_factor": 1.5,
            "rope_parameters": SCALINGS["yarn-deepseek"],
        },
    ),
    "deepseek_v3": (
        "DeepseekV3",
        {**_DEEPSEEK, "n_group": 2, "topk_group": 1, "num_nextn_predict_layers": 0},
    ),
    "stablelm": ("StableLm", {**GROUPED, "use_qkv_bias": True}),
    "starcoder2": ("Starcoder2", {**GROUPED, "sliding_window": 9}),
    "nemotron": ("Nemotron", {**GROUPED, "head_dim": 16}),
    "stablelm-parallel": ("StableLm", {**GROUPED, "use_parallel_residual": True}),
    "stablelm-qk_norm": ("StableLm", {**GROUPED, "qk_layernorm": True}),
    "gpt_neox": ("GPTNeoX", SIZES),
    "gpt_neox-sequential": ("GPTNeoX", {**SIZES, "use_parallel_residual": False}),
    "olmo": ("Olmo", GROUPED),
    "olmo-clipped": ("Olmo", {**GROUPED, "clip_qkv": 0.5}),
    "olmo2": ("Olmo2", GROUPED),
    "cohere": ("Cohere", {**GROUPED, "pad_token_id": 0, "logit_scale": 0.7}),
    "cohere-qk_norm": (
        "Cohere",
        {**GROUPED, "pad_token_id": 0, "use_qk_norm": True, "logit_scale": 0.7},
    ),
    "gemma3_text": (
        "Gemma3Text",
        {
            **GROUPED,
            "head_dim": 16,
            "num_hidden_layers": 3,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            "sliding_window": 8,
            "query_pre_attn_scalar": 16,
            "rope_parameters": {
                "sliding_attention": {"rope_type": "default", "rope_theta": 500.0},
                "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 9000.0},
            },
        },
    ),
    "exaone4": (
        "Exaone4",
        {**GROUPED, "num_hidden_layers": 5, "sliding_window": 8, "sliding_window_pattern": 4},
    ),
    "cohere2": (
        "Cohere2",
        {
            **GROUPED,
            "num_hidden_layers": 5,
            "sliding_window": 8,
            "logit_scale": 0.7,
            "pad_token_id": 0,
        },
    ),
    "falcon": (
        "Falcon",
        {"vocab_size": 320, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4},
    ),
    "bloom": ("Bloom", {"vocab_size": 320, "hidden_size": 64, "n_layer": 2, "n_head": 4}),
    "phi": ("Phi", GROUPED),
    "gptj": ("GPTJ", {**GPT2, "rotary_dim": 8}),
    "codegen": ("CodeGen", {**GPT2, "rotary_dim": 4}),
    "granite": (
        "Granite",
        {
            **GROUPED,
            "embedding_multiplier": 3.0,
            "residual_multiplier": 0.5,
            "logits_scaling": 0.5,
            "attention_multiplier": 0.3,
        },
    ),
    "gemma": ("Gemma", {**GROUPED, "head_dim": 16}),
    "gemma2": (
        "Gemma2",
        {
            **GROUPED,
            "head_dim": 32,
            "sliding_window": 8,
            "query_pre_attn_scalar": 24,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 5.0,
            "attn_implementation": "eager",
        },
    ),
}
"""The class of transformers and the arguments of its config, by the family and what is special."""
_ROBERTA = {**SIZES, "max_position_embeddings": 66}
MASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("Bert", SIZES),
    "bert-relu": ("Bert", {**SIZES, "hidden_act": "relu"}),
    "roberta": ("Roberta", {**_ROBERTA, "type_vocab_size": 1}),
    "roberta-silu": ("Roberta", {**_ROBERTA, "hidden_act": "silu"}),
}
"""The same of encoders that predict masked tokens."""


def make_config(name: str, **changes: Any) -> Any:
    """Return a config of transformers from `CONFIGS` or `MASKED`."""
    kind, arguments = (CONFIGS | MASKED)[name]
    ends = {"bos_token_id": 300, "eos_token_id": 300}
    return getattr(transformers, f"{kind}Config")(**(ends | arguments | changes))


def save(config: Any, folder: Path, tokenizer: Tokenizer, **options: Any) -> PreTrainedModel:
    """Save a random model of *config* and *tokenizer* to *folder*, and return the model.

    Its logits are about as large as those of a trained model.
    """
    torch.manual_seed(0)
    model = options.pop("auto", AutoModelForCausalLM).from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            torch.nn.init.normal_(parameter, std=0.2)
            if parameter.ndim == 1 and name.endswith("weight"):
                parameter += 1
    dtype = options.pop("dtype", torch.float32)
    model.to(dtype).save_pretrained(folder, **options)
    tokenizer.save(folder / "tokenizer.json")
    return model.float().eval()
