"""The recurrent encoder-decoder beside plain definitions, step by step, in float64."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.data.batch import Batch
from gpt.errors import ConfigError
from gpt.model.flops import parts_of
from gpt.model.recurrent import Recurrent
from gpt.spec.dropout import Dropout
from gpt.spec.recurrent import Alignment, RecurrentConfig
from gpt.spec.scoring import Additive, Dot, General, LocalP, Location
from tests.gpt.model.test_encoder_decoder import batch

LUONG = RecurrentConfig(vocab_size=50, context=16, layers=2, width=12, dropout=Dropout())
SCORES: dict[str, Any] = {
    "dot": Dot(),
    "general": General(),
    "concat": Additive(),
    "location": Location(),
}
REACHES: dict[str, Any] = {
    "global": {},
    "local-m": {"monotonic": 2},
    "local-p": {"normalizer": LocalP(window=2)},
}
CONFIGS = [
    dataclasses.replace(
        LUONG,
        alignment=Alignment(score=SCORES[score], **REACHES[reach]),
        input_feeding=score in ("general", "concat"),
        reverse=reach == "local-p",
        tie=score == "dot",
        share_embedding=score == "dot",
    )
    for score, reach in itertools.product(SCORES, REACHES)
]
CONFIGS += [
    dataclasses.replace(LUONG, alignment=None, input_feeding=feed) for feed in (False, True)
]


def model_of(config: RecurrentConfig, dtype: torch.dtype = torch.float64) -> Recurrent:
    """A model with noise in all weights."""
    model = Recurrent(config, seed=1).to(dtype)
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=noise).to(dtype)
    return model.eval()


def lstm(model: nn.LSTM, x: Tensor, states: list[tuple[Tensor, Tensor]]) -> Tensor:
    """One step of all layers for x (inputs,); *states* become the new ones."""
    for layer in range(model.num_layers):
        weights = [getattr(model, f"{n}_l{layer}") for n in ("weight_ih", "weight_hh")]
        biases = [getattr(model, f"{n}_l{layer}") for n in ("bias_ih", "bias_hh")]
        hidden, cell = states[layer]
        gates = weights[0] @ x + biases[0] + weights[1] @ hidden + biases[1]
        i, f, g, o = gates.chunk(4)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        x = o.sigmoid() * cell.tanh()
        states[layer] = (x, cell)
    return x


def score(model: Recurrent, target: Tensor, source: Tensor, s: int) -> Tensor:
    """Equations 8 and 9 of the paper."""
    scores: Any = model.attention.score  # type: ignore[union-attr]
    spec = model.config.alignment.score  # type: ignore[union-attr]
    if spec == Dot():
        return target @ source
    if spec == General():  # the module has the transpose
        return F.bilinear(target[None], source[None], scores.query.weight.T[None])[0, 0]
    if spec == Additive():
        weight = torch.cat((scores.query.weight, scores.key.weight), 1)
        return scores.vector.weight[0] @ (weight @ torch.cat((target, source))).tanh()
    return scores.query.weight[s] @ target


def attended(model: Recurrent, target: Tensor, sources: list[Tensor], t: int) -> Tensor:
    """The attentional vector of the paper, by loops."""
    attention: Any = model.attention
    spec = model.config.alignment
    if spec is None:
        return target
    center, window = torch.tensor(0.0), 1000
    if spec.monotonic is not None:
        center, window = torch.tensor(float(min(t, len(sources) - 1))), 2
    elif spec.normalizer == LocalP(window=2):
        inner = (attention.normalizer.hidden.weight @ target).tanh()
        center = len(sources) * (attention.normalizer.center.weight[0] @ inner).sigmoid()
        window = 2
    inside = [s for s in range(len(sources)) if abs(s - center.item()) <= window]
    scores = torch.stack([score(model, target, sources[s], s) for s in inside])
    weights = scores.exp() / scores.exp().sum()
    if spec.normalizer == LocalP(window=2):
        gaussians = [torch.exp(-((s - center) ** 2) / (2 * (window / 2) ** 2)) for s in inside]
        weights = weights * torch.stack(gaussians)
    context = sum(w * sources[s] for w, s in zip(weights, inside, strict=True))
    return (attention.output.weight @ torch.cat((context, target))).tanh()


def plain_logits(model: Recurrent, source: list[int], inputs: list[int]) -> Tensor:
    """The logits after each of *inputs*, token by token."""
    config = model.config
    zero = torch.zeros(config.width, dtype=torch.float64)
    states = [(zero, zero)] * config.layers
    read: dict[int, Tensor] = {}
    positions = range(len(source))
    for s in reversed(positions) if config.reverse else positions:
        read[s] = lstm(model.encoder, model.source_embedding.weight[source[s]], states)
    sources, fed, logits = [read[s] for s in positions], zero, []
    for t, id in enumerate(inputs):
        x = model.embedding.weight[id]
        if config.input_feeding:
            x = torch.cat((x, fed))
        fed = attended(model, lstm(model.decoder, x, states), sources, t)
        logits.append(model.head.weight[:50] @ fed)
    return torch.stack(logits)


def rows(pairs: Batch) -> list[tuple[list[int], list[int], list[int]]]:
    """Sources, inputs and targets without padding."""
    assert pairs.sources is not None
    return [
        (
            [id for id in source if id >= 0],
            [id for id, target in zip(inputs, targets, strict=True) if target >= 0],
            [id for id in targets if id >= 0],
        )
        for source, inputs, targets in zip(
            *(each.tolist() for each in (pairs.sources, pairs.inputs, pairs.targets)), strict=True
        )
    ]


@pytest.mark.parametrize("config", CONFIGS, ids=range(len(CONFIGS)))
def test_equals_the_plain_definition_in_value_and_gradient(config: RecurrentConfig) -> None:
    """Of rows of different lengths, of which the padding has no part."""
    model, pairs = model_of(config), batch(LUONG, ((7, 5), (4, 6), (1, 3)))  # type: ignore[arg-type]
    logits, losses = model(pairs), []
    for row, (source, inputs, targets) in enumerate(rows(pairs)):
        expected = plain_logits(model, source, inputs)
        torch.testing.assert_close(logits[row, : len(inputs)], expected, rtol=1e-5, atol=1e-6)
        losses.append(F.cross_entropy(expected, torch.tensor(targets), reduction="sum"))
    parameters = dict(model.named_parameters())
    ours = torch.autograd.grad(
        F.cross_entropy(logits.flatten(0, 1), pairs.targets.flatten(), reduction="sum"),
        list(parameters.values()),
    )
    theirs = torch.autograd.grad(torch.stack(losses).sum(), list(parameters.values()))

    torch.testing.assert_close(
        dict(zip(parameters, ours, strict=True)),
        dict(zip(parameters, theirs, strict=True)),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("config", CONFIGS, ids=range(len(CONFIGS)))
def test_decoding_step_by_step_equals_reading_all(config: RecurrentConfig) -> None:
    """Rows can be reordered and repeated."""
    model, pairs = model_of(config), batch(LUONG)  # type: ignore[arg-type]
    assert pairs.sources is not None
    with torch.inference_mode():
        expected = model(pairs)
        cache = model.start(pairs.sources)
        model.step(pairs.inputs[:, :2], cache)
        order = [2, 0, 0]
        cache.select(order)
        for token in range(2, pairs.inputs.shape[1]):
            logits = model.step(pairs.inputs[order, token : token + 1], cache)
            torch.testing.assert_close(logits, expected[order, token])


def test_the_loss_is_the_cross_entropy_of_the_logits() -> None:
    """And a measurement has one for each target."""
    model, pairs = model_of(LUONG, torch.float32), batch(LUONG)  # type: ignore[arg-type]
    expected = F.cross_entropy(
        model(pairs).flatten(0, 1), pairs.targets.flatten(), reduction="sum", label_smoothing=0.1
    )

    torch.testing.assert_close(model.cross_entropy(pairs, 0.1)[0], expected)
    assert model.token_losses(pairs).nats.shape == (18,)


def test_weights_are_a_function_of_the_seed() -> None:
    """Those of torch's LSTM as well."""
    first, again, other = (Recurrent(LUONG, seed) for seed in (3, 3, 4))
    for name, weight in first.named_parameters():
        assert torch.equal(weight, dict(again.named_parameters())[name])
    assert not torch.equal(first.encoder.weight_hh_l0, other.encoder.weight_hh_l0)


def test_flops_count_the_lstms() -> None:
    """Four gates, from inputs and states."""
    parts = parts_of(Recurrent(LUONG))

    assert parts["encoder"].flops == 2 * 2 * 4 * 12 * 24
    assert parts["decoder"].flops == 2 * 4 * 12 * (36 + 24)
    assert parts["attention matmuls"].flops == 4 * 12 * 16


def test_what_an_lstm_cannot_do_is_refused() -> None:
    """Recomputing activations, and sharding its weights."""
    model = Recurrent(LUONG)
    with pytest.raises(ConfigError, match="recompute"):
        model.recompute = True
    with pytest.raises(ConfigError, match="use ddp"):
        _ = model.units
