"""The families of Hugging Face folders: the table of all, and the choice of one for a model."""

from __future__ import annotations

from gpt.interop.families import deepseek, gpt2, layer_norm, llama, mixture, normed
from gpt.interop.family import Family, nearest
from gpt.spec.architecture import GPTConfig

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
        llama.HELIUM,
        gpt2.GPT_BIGCODE,
        gpt2.OPT,
        gpt2.GPT_NEO,
        llama.SMOLLM3,
        llama.ERNIE,
        llama.GLM,
        layer_norm.MPT,
        layer_norm.STABLELM,
        layer_norm.STARCODER2,
        layer_norm.NEMOTRON,
        layer_norm.GPT_NEOX,
        layer_norm.OLMO,
        layer_norm.COHERE,
        layer_norm.FALCON,
        layer_norm.BLOOM,
        normed.GRANITE,
        normed.OLMO2,
        normed.GEMMA,
        normed.GEMMA2,
        mixture.MIXTRAL,
        mixture.QWEN3_MOE,
        deepseek.DEEPSEEK_V2,
        deepseek.DEEPSEEK_V3,
    )
}
"""By model_type. A model that several support is written as the first of them."""


def family_of(config: GPTConfig) -> Family:
    """Return the family in which a model of *config* is written. Raises FormatError."""
    return nearest(config, FAMILIES)
