"""The families of Hugging Face folders: the table of all, and the choice of one for a model."""

from __future__ import annotations

from gpt.interop.families import gpt2, layer_norm, llama
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
        layer_norm.STABLELM,
        layer_norm.STARCODER2,
        layer_norm.NEMOTRON,
        layer_norm.GPT_NEOX,
    )
}
"""By model_type. A model that several support is written as the first of them."""


def family_of(config: GPTConfig) -> Family:
    """Return the family in which a model of *config* is written. Raises FormatError."""
    return nearest(config, FAMILIES)
