"""The families of Hugging Face folders: the table of all, and the choice of one for a model."""

from __future__ import annotations

from gpt.errors import FormatError
from gpt.interop.families import bert, deepseek, gpt2, gptj, layer_norm, llama, mixture, normed
from gpt.interop.family import Family, nearest
from gpt.spec.architecture import GPTConfig
from pytok.text import quoted

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        gpt2.GPT2,
        llama.QWEN3,
        llama.LLAMA,
        llama.QWEN2,
        llama.MISTRAL,
        llama.PHI3,
        llama.SEED_OSS,
        llama.ARCEE,
        gpt2.GPT_BIGCODE,
        gpt2.OPT,
        gpt2.GPT_NEO,
        llama.SMOLLM3,
        llama.ERNIE,
        llama.HELIUM,
        llama.GLM,
        layer_norm.MPT,
        layer_norm.STABLELM,
        layer_norm.STARCODER2,
        layer_norm.NEMOTRON,
        layer_norm.GPT_NEOX,
        layer_norm.OLMO,
        layer_norm.COHERE,
        layer_norm.COHERE2,
        layer_norm.FALCON,
        layer_norm.BLOOM,
        gptj.PHI,
        gptj.GPTJ,
        gptj.CODEGEN,
        normed.GRANITE,
        normed.OLMO2,
        normed.GEMMA,
        normed.GEMMA2,
        normed.GEMMA3,
        normed.EXAONE4,
        mixture.MIXTRAL,
        mixture.GPT_OSS,
        mixture.QWEN2_MOE,
        mixture.QWEN3_MOE,
        bert.BERT,
        bert.ROBERTA,
        deepseek.DEEPSEEK_V2,
        deepseek.DEEPSEEK_V3,
    )
}
"""By model_type. A model that several support is written as the first of them."""


_NO_ATTENTION = "they have layers without attention"
UNSUPPORTED: dict[str, str] = {
    **dict.fromkeys(("mamba", "mamba2", "rwkv", "jamba", "recurrent_gemma"), _NO_ATTENTION),
    "t5": "gpt import reads models of one stack of blocks, and T5 has an encoder and a decoder",
    "llama4_text": "its windows are chunks that begin at multiples of their size",
    "apertus": "its activation xIELU has learned parameters",
}
"""Families that some may expect, by model_type, and why gpt does not support them."""


def family_named(kind: str) -> Family:
    """Return the family whose model_type is *kind*. Raises FormatError."""
    if kind in FAMILIES:
        return FAMILIES[kind]
    reason = f": {UNSUPPORTED[kind]}" if kind in UNSUPPORTED else ""
    raise FormatError(f"model_type is {quoted(kind)}{reason}; supported: {', '.join(FAMILIES)}")


def family_of(config: GPTConfig) -> Family:
    """Return the family in which a model of *config* is written. Raises FormatError."""
    return nearest(config, FAMILIES)
