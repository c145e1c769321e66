"""The encoder-decoder with T5's mechanisms beside T5 of transformers, with copied weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from gpt.data.batch import Batch
from gpt.model.encoder_decoder import EncoderDecoder
from gpt.spec.attention import GroupedQuery
from gpt.spec.encoder_decoder import EncoderDecoderConfig
from gpt.spec.mlp import MLP
from gpt.spec.norm import RMSNorm
from gpt.spec.position import T5
from gpt.spec.scale import Multiplier
from gpt.spec.scoring import Dot

SIDES = {"encoder": 3, "decoder": 2}
PROJECTIONS = {"query": "q", "key": "k", "value": "v", "output": "o"}


def names(gated: bool) -> Iterator[tuple[str, str]]:
    """Our names of weights, and those of transformers."""
    mlp = {"gate": "wi_0", "input": "wi_1"} if gated else {"input": "wi"}
    yield "encoder.embedding", "shared"
    for side, layers in SIDES.items():
        first = f"{side}.block.0.layer.0.SelfAttention"
        yield f"{side}.position.bias", f"{first}.relative_attention_bias"
        yield f"{side}.norm", f"{side}.final_layer_norm"
        for layer in range(layers):
            ours, theirs = f"{side}.blocks.{layer}", f"{side}.block.{layer}.layer"
            parts = [("attention", "SelfAttention")]
            parts += [("cross_attention", "EncDecAttention")] if side == "decoder" else []
            for index, (part, their_part) in enumerate(parts):
                yield (
                    f"{ours}.{part.removesuffix('_attention')}_norm",
                    f"{theirs}.{index}.layer_norm",
                )
                for own, name in PROJECTIONS.items():
                    yield f"{ours}.{part}.{own}", f"{theirs}.{index}.{their_part}.{name}"
            yield f"{ours}.mlp_norm", f"{theirs}.{len(parts)}.layer_norm"
            for own, name in {**mlp, "output": "wo"}.items():
                yield f"{ours}.mlp.{own}", f"{theirs}.{len(parts)}.DenseReluDense.{name}"


@pytest.mark.parametrize("gated", [False, True])
def test_logits_are_those_of_t5(gated: bool) -> None:
    """Of T5, and of T5 v1.1 with its gated MLP and a head of its own."""
    torch.manual_seed(0)
    theirs = T5ForConditionalGeneration(
        T5Config(
            vocab_size=64,
            d_model=32,
            d_kv=12,
            d_ff=40,
            num_layers=SIDES["encoder"],
            num_decoder_layers=SIDES["decoder"],
            num_heads=4,
            relative_attention_num_buckets=8,
            relative_attention_max_distance=12,
            feed_forward_proj="gated-gelu" if gated else "relu",
            tie_word_embeddings=not gated,
            scale_decoder_outputs=not gated,
        )
    ).eval()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            torch.nn.init.normal_(parameter, mean=float("norm" in name), std=0.4)
    config = EncoderDecoderConfig(
        vocab_size=64,
        width=32,
        layers=SIDES["decoder"],
        encoder_layers=SIDES["encoder"],
        context=32,
        attention=GroupedQuery(heads=4, kv_heads=4, head_width=12, score=Dot()),
        position=T5(buckets=8, distance=12),
        mlp=MLP(activation="gelu_tanh" if gated else "relu", gated=gated, hidden=40),
        norm=RMSNorm(eps=1e-6),
        logit_scale=None if gated else Multiplier(factor=32**-0.5),
        tie=not gated,
    )
    model = EncoderDecoder(config).eval()
    weights: Any = theirs.state_dict()
    pairs = {**dict(names(gated)), **({"decoder.head": "lm_head"} if gated else {})}
    for name, parameter in model.named_parameters():
        parameter.data.copy_(weights[f"{pairs.pop(name.removesuffix('.weight'))}.weight"])
    sources, inputs = torch.randint(1, 64, (2, 30)), torch.randint(64, (2, 20))
    with torch.no_grad():
        expected = theirs(input_ids=sources, decoder_input_ids=inputs).logits
        found = model(Batch(inputs, inputs, sources=sources))

    assert not pairs
    assert expected.std() > 0.3
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
