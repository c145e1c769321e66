"""Complete models, and parts of them, equal Hugging Face transformers with the same weights."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import (
    LlamaMLP,
    LlamaRotaryEmbedding,
    apply_rotary_pos_emb,
)

from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.position import Learned, Rope
from tests.gpt.models import mechanism

LLAMA_PARTS = {
    "attention_norm": "input_layernorm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "mlp_norm": "post_attention_layernorm",
    "mlp.gate": "mlp.gate_proj",
    "mlp.input": "mlp.up_proj",
    "mlp.output": "mlp.down_proj",
}


@pytest.fixture
def llama_config() -> LlamaConfig:
    """Two layers, grouped-query attention, an untied head, an unusual rope theta."""
    return LlamaConfig(
        vocab_size=128,
        hidden_size=48,
        intermediate_size=100,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=32,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0},
        initializer_range=0.3,
        tie_word_embeddings=False,
    )


def fill(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy *weights* into all parameters of *model*."""
    parameters = dict(model.named_parameters())
    assert parameters.keys() == weights.keys()
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])


def test_llama_logits_equal_transformers(llama_config: LlamaConfig) -> None:
    """RMSNorm, RoPE, grouped-query attention, SwiGLU and an untied head together."""
    theirs = LlamaForCausalLM(llama_config).eval()
    ours = GPT(
        GPTConfig(
            vocab_size=128,
            context=32,
            layers=2,
            width=48,
            attention=GroupedQuery(heads=6, kv_heads=2),
            position=Rope(theta=5000.0),
            mlp=MLP(activation="silu", gated=True, hidden=100),
            norm=RMSNorm(eps=1e-5),
            tie=False,
        )
    ).eval()
    weights = {
        "embedding.weight": theirs.model.embed_tokens.weight,
        "norm.weight": theirs.model.norm.weight,
        "head.weight": theirs.lm_head.weight,
    }
    for layer, block in enumerate(theirs.model.layers):
        for our_name, their_name in LLAMA_PARTS.items():
            weights[f"blocks.{layer}.{our_name}.weight"] = block.get_submodule(their_name).weight
    fill(ours, weights)
    ids = torch.randint(128, (2, 32))

    torch.testing.assert_close(ours(ids), theirs(ids).logits, rtol=1e-4, atol=1e-4)


def test_gpt2_logits_equal_transformers() -> None:
    """LayerNorm, learned positions, tanh GELU, biases and a tied head together."""
    theirs = GPT2LMHeadModel(
        GPT2Config(vocab_size=128, n_positions=32, n_embd=48, n_layer=2, n_head=4)
    ).eval()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.3)
    ours = GPT(
        GPTConfig(
            vocab_size=128,
            context=32,
            layers=2,
            width=48,
            attention=GroupedQuery(heads=4, kv_heads=4),
            position=Learned(),
            mlp=MLP(activation="gelu_tanh"),
            norm=LayerNorm(),
            tie=True,
            bias=True,
        )
    ).eval()
    body = theirs.transformer
    weights = {
        "embedding.weight": body.wte.weight,
        "position.embedding.weight": body.wpe.weight,
        "norm.weight": body.ln_f.weight,
        "norm.bias": body.ln_f.bias,
    }
    for layer, block in enumerate(body.h):
        linears = {"attention.output": block.attn.c_proj, "mlp.input": block.mlp.c_fc}
        linears["mlp.output"] = block.mlp.c_proj
        parts = {name: (part.weight.T, part.bias) for name, part in linears.items()}
        fused = zip(
            block.attn.c_attn.weight.T.chunk(3), block.attn.c_attn.bias.chunk(3), strict=True
        )
        for name, (weight, bias) in zip(("query", "key", "value"), fused, strict=True):
            parts[f"attention.{name}"] = (weight, bias)
        parts["attention_norm"] = (block.ln_1.weight, block.ln_1.bias)
        parts["mlp_norm"] = (block.ln_2.weight, block.ln_2.bias)
        for name, (weight, bias) in parts.items():
            weights[f"blocks.{layer}.{name}.weight"] = weight
            weights[f"blocks.{layer}.{name}.bias"] = bias
    fill(ours, weights)
    ids = torch.randint(128, (2, 32))

    torch.testing.assert_close(ours(ids), theirs(ids).logits, rtol=1e-4, atol=1e-4)


def test_rope_equals_llamas(llama_config: LlamaConfig) -> None:
    """The rotation by itself, at positions that do not start at 0."""
    q, k = torch.randn(2, 6, 9, 8), torch.randn(2, 2, 9, 8)
    cos, sin = LlamaRotaryEmbedding(llama_config)(q, torch.arange(4, 13)[None])
    rope = mechanism(
        Rope(theta=5000.0),
        Architecture(context=32, width=48, attention=GroupedQuery(heads=6, kv_heads=2)),
    )

    expected = apply_rotary_pos_emb(q, k, cos, sin)
    torch.testing.assert_close((rope.rotate(q, 4), rope.rotate(k, 4)), expected)


def test_swiglu_equals_llamas(llama_config: LlamaConfig) -> None:
    """The MLP by itself."""
    theirs = LlamaMLP(llama_config)
    ours = mechanism(MLP(activation="silu", gated=True, hidden=100), Architecture(width=48))
    names = {"gate": "gate_proj", "input": "up_proj", "output": "down_proj"}
    fill(ours, {f"{o}.weight": theirs.get_submodule(t).weight for o, t in names.items()})
    x = torch.randn(3, 48)

    torch.testing.assert_close(ours(x)[0], theirs(x))
