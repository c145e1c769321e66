"""The encoder-decoder beside `torch.nn.Transformer`, with copied weights, in float64."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.data.batch import IGNORED, NO_TOKEN, Batch
from gpt.errors import ConfigError
from gpt.model.encoder_decoder import EncoderDecoder
from gpt.model.flops import parts_of
from gpt.model.objectives.build import build_objective
from gpt.spec.attention import GroupedQuery, Interleaved, Longformer
from gpt.spec.encoder_decoder import EncoderDecoderConfig
from gpt.spec.linear_attention import LinearAttention
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm
from gpt.spec.objective import CrossEntropy
from gpt.spec.pattern import Full, Window
from gpt.spec.position import ALiBi, Learned, Rope, Sinusoidal
from gpt.spec.wiring import DeepNorm, OutputNorm, Parallel, PostNorm, PreNorm, SandwichNorm

VASWANI = EncoderDecoderConfig(
    vocab_size=50,
    context=16,
    layers=2,
    encoder_layers=3,
    width=32,
    attention=GroupedQuery(heads=4, kv_heads=4),
    position=Sinusoidal(),
    mlp=MLP(activation="relu", hidden=48),
    norm=LayerNorm(),
    wiring=PostNorm(),
    bias=True,
)
"""Of 3 + 2 layers."""


def model_of(config: EncoderDecoderConfig, dtype: torch.dtype = torch.float32) -> EncoderDecoder:
    """A model with noise in all weights."""
    model = EncoderDecoder(config, seed=1).to(dtype)
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=noise).to(dtype)
    return model.eval()


def batch(config: EncoderDecoderConfig, sizes: Any = ((7, 5), (4, 6), (2, 3))) -> Batch:
    """Random pairs of these lengths, padded."""
    random = torch.Generator().manual_seed(2)
    longest = [max(side) for side in zip(*sizes, strict=True)]
    shape = len(sizes), longest[0]
    sources = torch.randint(config.vocab_size, shape, generator=random)
    inputs = torch.randint(config.vocab_size, (len(sizes), longest[1]), generator=random)
    targets = torch.randint(config.vocab_size, inputs.shape, generator=random)
    for row, (source, target) in enumerate(sizes):
        sources[row, source:] = NO_TOKEN
        targets[row, target:] = IGNORED
    return Batch(inputs, targets, None, sources)


def attention_weights(ours: Any) -> dict[str, Tensor]:
    """The tensors of `torch.nn.MultiheadAttention`."""
    parts = (ours.query, ours.key, ours.value)
    return {
        "in_proj_weight": torch.cat([part.weight for part in parts]),
        "in_proj_bias": torch.cat([part.bias for part in parts]),
        "out_proj.weight": ours.output.weight,
        "out_proj.bias": ours.output.bias,
    }


def layer_weights(block: Any) -> dict[str, Tensor]:
    """The tensors of a layer of `torch.nn.Transformer`."""
    norms = [block.attention_norm, getattr(block, "cross_norm", None), block.mlp_norm]
    found = {f"self_attn.{n}": t for n, t in attention_weights(block.attention).items()}
    if block.cross_attention is not None:
        cross = attention_weights(block.cross_attention)
        found |= {f"multihead_attn.{name}": tensor for name, tensor in cross.items()}
    for number, norm in enumerate([each for each in norms if each is not None], start=1):
        found |= {f"norm{number}.weight": norm.weight, f"norm{number}.bias": norm.bias}
    for name, linear in (("linear1", block.mlp.input), ("linear2", block.mlp.output)):
        found |= {f"{name}.weight": linear.weight, f"{name}.bias": linear.bias}
    return found


def reference(model: EncoderDecoder) -> nn.Transformer:
    """Torch's transformer with the weights of *model*, as leaves."""
    config = model.config
    theirs = nn.Transformer(
        config.width,
        config.attention.heads,
        config.encoder_layers or config.layers,
        config.layers,
        48,
        dropout=0.0,
        batch_first=True,
        norm_first=isinstance(config.wiring, PreNorm),
    ).to(model.encoder.embedding.weight.dtype)
    weights = {}
    for side in ("encoder", "decoder"):
        for layer, block in enumerate(getattr(model, side).blocks):
            layer_of = layer_weights(block)
            weights |= {f"{side}.layers.{layer}.{n}": t for n, t in layer_of.items()}
        stack = getattr(model, side)
        if isinstance(stack.norm, nn.Identity):
            getattr(theirs, side).norm = None
        else:
            weights |= {f"{side}.norm.{n}": t for n, t in stack.norm.named_parameters()}
    theirs.load_state_dict({name: tensor.detach() for name, tensor in weights.items()})
    return theirs.eval()


def reference_logits(model: EncoderDecoder, theirs: nn.Transformer, pairs: Batch) -> Tensor:
    """The logits of *theirs*, between the embeddings and the head of *model*."""
    assert pairs.sources is not None
    table = model.decoder.embedding.weight
    positions = torch.arange(16, dtype=table.dtype)[:, None]
    angles = positions * 10000 ** (-torch.arange(0, 32, 2, dtype=table.dtype) / 32)
    sinusoids = torch.stack([angles.sin(), angles.cos()], -1).flatten(1)

    def embedded(ids: Tensor) -> Tensor:
        return table[ids.clamp_min(0)] * 32**0.5 + sinusoids[: ids.shape[1]]

    length, padding = pairs.inputs.shape[1], pairs.sources < 0
    hidden = theirs(
        embedded(pairs.sources),
        embedded(pairs.inputs),
        tgt_mask=torch.ones(length, length, dtype=torch.bool).triu(1),
        src_key_padding_mask=padding,
        memory_key_padding_mask=padding,
    )
    return F.linear(hidden, table)[..., :50]


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("wiring", [PostNorm(), PreNorm()])
def test_equals_torch_in_value_and_gradient(wiring: Any) -> None:
    """Logits, the loss with label smoothing, and the gradients of all weights, in float64."""
    model = model_of(dataclasses.replace(VASWANI, wiring=wiring), torch.float64)
    theirs, pairs = reference(model), batch(VASWANI)
    expected = reference_logits(model, theirs, pairs)

    # The tables of sinusoids are float32.
    torch.testing.assert_close(model(pairs), expected, rtol=1e-5, atol=1e-5)
    objective = build_objective(CrossEntropy(label_smoothing=0.1), model.config)
    loss = model(pairs, objective).sum
    their_loss = F.cross_entropy(
        expected.flatten(0, 1), pairs.targets.flatten(), label_smoothing=0.1, reduction="sum"
    )
    torch.testing.assert_close(loss.double(), their_loss, rtol=1e-5, atol=1e-5)
    loss.backward()
    embedding = model.decoder.embedding.weight
    ours, embedding.grad = embedding.grad, None
    their_loss.backward()
    torch.testing.assert_close(ours, embedding.grad, rtol=1e-5, atol=1e-5)
    gradients = dict(theirs.named_parameters())
    for side in ("encoder", "decoder"):
        for layer, block in enumerate(getattr(model, side).blocks):
            with torch.no_grad():
                for parameter in block.parameters():
                    parameter.copy_(parameter.grad)
            for name, gradient in layer_weights(block).items():
                theirs_of = gradients[f"{side}.layers.{layer}.{name}"].grad
                torch.testing.assert_close(gradient, theirs_of, rtol=1e-5, atol=1e-5)


CONFIGS = [
    VASWANI,
    dataclasses.replace(VASWANI, wiring=PreNorm(), position=Rope(), tie=False),
    dataclasses.replace(VASWANI, position=Learned(), share_embedding=False),
    dataclasses.replace(VASWANI, position=ALiBi(), wiring=SandwichNorm()),
    dataclasses.replace(VASWANI, wiring=DeepNorm()),
    dataclasses.replace(VASWANI, wiring=OutputNorm()),
    dataclasses.replace(VASWANI, attention=GroupedQuery(heads=4, kv_heads=2, qk_norm=True)),
    dataclasses.replace(
        VASWANI,
        attention=Interleaved(
            layers=(
                GroupedQuery(heads=4, kv_heads=4, pattern=Window(size=3)),
                GroupedQuery(heads=2, kv_heads=1),
            )
        ),
    ),
]


@pytest.mark.parametrize("config", CONFIGS, ids=range(len(CONFIGS)))
def test_decoding_with_a_cache_equals_reading_all(config: EncoderDecoderConfig) -> None:
    """The memory is projected once, and rows can be reordered and repeated."""
    model, pairs = model_of(config), batch(config)
    assert pairs.sources is not None
    with torch.inference_mode():
        expected = model(pairs)
        cache = model.start(pairs.sources)
        torch.testing.assert_close(
            model.step(pairs.inputs[:, :2], cache), expected[:, 1], rtol=1e-4, atol=1e-5
        )
        rows = [2, 0, 0, 1]
        cache.select(rows)
        for token in range(2, pairs.inputs.shape[1]):
            logits = model.step(pairs.inputs[rows, token : token + 1], cache)
            torch.testing.assert_close(logits, expected[rows, token], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS, ids=range(len(CONFIGS)))
def test_padding_changes_nothing(config: EncoderDecoderConfig) -> None:
    """A pair has the same logits alone and beside longer ones."""
    model, pairs = model_of(config), batch(config)
    assert pairs.sources is not None
    row = Batch(pairs.inputs[1:2], pairs.targets[1:2], None, pairs.sources[1:2, :4])

    torch.testing.assert_close(model(row), model(pairs)[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS, ids=range(len(CONFIGS)))
def test_every_weight_is_trained_also_with_recomputed_activations(
    config: EncoderDecoderConfig,
) -> None:
    """And the gradients are the same."""
    gradients = []
    for recompute in (False, True):
        model = model_of(config).train()
        model.recompute = recompute
        loss, _ = model.cross_entropy(batch(config))
        loss.backward()
        gradients.append({name: each.grad for name, each in model.named_parameters()})
        assert all(each is not None and each.any() for each in gradients[-1].values())

    torch.testing.assert_close(*gradients)


def test_a_target_does_not_see_later_tokens_and_sees_all_of_the_source() -> None:
    """Causality of the decoder, and none of the encoder."""
    model, pairs = model_of(VASWANI), batch(VASWANI, ((6, 6),))
    assert pairs.sources is not None
    before = model(pairs)
    later = pairs.inputs.clone()
    later[0, 4] = (later[0, 4] + 1) % 50
    changed = model(pairs._replace(inputs=later))
    last = pairs.sources.clone()
    last[0, 5] = (last[0, 5] + 1) % 50

    assert torch.equal(changed[0, :4], before[0, :4])
    assert not torch.equal(changed[0, 4], before[0, 4])
    assert not torch.equal(model(pairs._replace(sources=last))[0, 0], before[0, 0])


def test_sides_share_one_table_or_have_their_own() -> None:
    """With the head: one, two, or three tables of 64 rows."""
    sizes = []
    for share, tie in ((True, True), (False, True), (False, False)):
        config = dataclasses.replace(VASWANI, share_embedding=share, tie=tie)
        sizes.append(sum(part.parameters for part in parts_of(EncoderDecoder(config)).values()))

    assert sizes[1] - sizes[0] == sizes[2] - sizes[1] == 64 * 32


def test_flops_count_cross_attention() -> None:
    """Its four projections in each of the decoder's blocks, and the products over a full source."""
    parts = parts_of(EncoderDecoder(VASWANI))

    assert parts["decoder cross_attention"].flops == 2 * 2 * 4 * 32 * 32
    assert parts["decoder cross_attention matmuls"].flops == 2 * 4 * 32 * 16
    assert parts["encoder attention"].flops == 3 * 2 * 4 * 32 * 32


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"attention": GroupedQuery(heads=4, kv_heads=4, pattern=Full())}, "choose a causal"),
        ({"wiring": Parallel()}, "wiring Parallel has no branch for cross attention"),
        ({"attention": LinearAttention(heads=4)}, "LinearAttention cannot attend to later tokens"),
        ({"encoder_layers": 0}, "encoder_layers must be above 0"),
    ],
)
def test_impossible_specs_are_refused(changes: dict[str, Any], words: str) -> None:
    """By the name of the field."""
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(VASWANI, **changes)


def test_encoder_of_longformer_has_windows_on_both_sides() -> None:
    """With as many later tokens as earlier ones, and the same global tokens: LED's encoder."""
    pattern = Window(size=4, deeper_sizes=(8,), first=2)
    own = Longformer(heads=4, kv_heads=4, pattern=pattern)
    encoder = dataclasses.replace(VASWANI, attention=own).encoder()

    both = Window(size=7, deeper_sizes=(15,), first=2, causal=False)
    assert encoder.attention == Longformer(heads=4, kv_heads=4, pattern=both)


def test_a_source_past_the_context_is_refused() -> None:
    """As a target is."""
    with pytest.raises(ValueError, match="17 tokens do not fit the context of 16"):
        model_of(VASWANI).start(torch.zeros(1, 17, dtype=torch.int64))


def test_config_is_read_back() -> None:
    """With the kind of every mechanism."""
    assert EncoderDecoderConfig.from_dict(VASWANI.to_dict()) == VASWANI
