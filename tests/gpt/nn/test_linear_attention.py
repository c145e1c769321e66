"""Linear attention."""

from __future__ import annotations

import dataclasses
import importlib.util
from typing import Any, get_args, get_type_hints

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gpt.errors import ConfigError
from gpt.model.flops import training_flops
from gpt.model.gpt import GPT
from gpt.nn.attention.linear_attention import FEATURES
from gpt.nn.positions.encoding import PositionEncoding
from gpt.nn.state import Constant
from gpt.spec.architecture import Architecture
from gpt.spec.linear_attention import LinearAttention
from gpt.spec.position import ALiBi, Rope
from tests.gpt.models import context_of, mean_loss, mechanism, perturbed
from tests.gpt.nn.test_mechanisms import SMALL, random_ids

T, D = 13, 8
FORMULAS = {
    "elu1": lambda x: torch.where(x > 0, x + 1, x.exp()),
    "relu": lambda x: x.clamp(min=0),
    "relu2": lambda x: x.clamp(min=0) ** 2,
    "exp": lambda x: x.exp(),
    "softmax": lambda x: x.exp() / x.exp().sum(-1, keepdim=True),
    "identity": lambda x: x,
}


def built(**fields: Any) -> Any:
    """Linear attention of four heads in float64, with random weights."""
    torch.manual_seed(0)
    spec = LinearAttention(heads=4, **fields)
    attention = mechanism(spec, dataclasses.replace(SMALL, attention=spec)).double()
    for weight in attention.parameters():
        nn.init.normal_(weight, std=0.3)
    return attention


def inputs(tokens: int = T) -> Tensor:
    return torch.randn(2, tokens, 32, dtype=torch.float64, requires_grad=True)


def rotary() -> PositionEncoding:
    position: PositionEncoding = mechanism(Rope(), SMALL).double()
    return position


def plain(
    attention: Any, x: Tensor, spec: LinearAttention, rotate: PositionEncoding | None = None
) -> Tensor:
    """The parallel form: all weights as one matrix, no sums."""
    resolved, feature = spec.resolved(32), FORMULAS[spec.feature]
    q, k, v = (
        layer(x).view(*x.shape[:2], -1, D).transpose(1, 2)
        for layer in (attention.query, attention.key, attention.value)
    )
    group = q.shape[1] // k.shape[1]
    q, (k, v) = (
        feature(q) * resolved.scale,
        (each.repeat_interleave(group, 1) for each in (feature(k), v)),
    )
    rotated = (q, k) if rotate is None else (rotate.rotate(q, 0), rotate.rotate(k, 0))
    past = torch.ones(x.shape[1], x.shape[1]).tril()
    y = (rotated[0] @ rotated[1].mT * past) @ v
    if spec.normalize:
        y = y / ((q @ k.mT * past).sum(-1, keepdim=True) + spec.eps)
    out: Tensor = attention.output(y.transpose(1, 2).flatten(2))
    return out


def gradients(y: Tensor, attention: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    """Of an uneven sum of y, by x and all parameters."""
    loss = (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)).sum()
    return torch.autograd.grad(loss, [x, *attention.parameters()])


def test_every_feature_can_be_chosen() -> None:
    """And has a formula here."""
    names = get_args(get_type_hints(LinearAttention)["feature"])

    assert set(names) == set(FEATURES) == set(FORMULAS)


@pytest.mark.parametrize("feature", FEATURES)
def test_features_equal_their_formulas(feature: str) -> None:
    """Written with elementary functions."""
    x = torch.randn(3, 5, dtype=torch.float64)

    torch.testing.assert_close(FEATURES[feature](x), FORMULAS[feature](x))


@pytest.mark.parametrize("chunk", [1, 4, 13, 64])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"kv_heads": 2, "feature": "exp"},
        {"kv_heads": 1, "feature": "identity", "normalize": False},
        {"feature": "relu2", "normalize": False, "scale": 0.3},
        {"feature": "softmax", "eps": 0.1, "scale": 0.3},
    ],
    ids=str,
)
@pytest.mark.parametrize("rotated", [False, True])
def test_chunks_equal_the_parallel_form(fields: dict[str, Any], chunk: int, rotated: bool) -> None:
    """In output and all gradients, in float64; only the numerator is rotated."""
    attention, x = built(chunk=chunk, **fields), inputs()
    position = rotary() if rotated else None
    ours = attention(x, context_of(x, position))[0]
    theirs = plain(attention, x, LinearAttention(heads=4, **fields), position)

    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        gradients(ours, attention, x), gradients(theirs, attention, x), rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize("sizes", [[1] * T, [5, 1, 1, 6], [T]], ids=str)
@pytest.mark.parametrize("normalize", [True, False])
def test_the_recurrent_form_equals_the_parallel_form(sizes: list[int], normalize: bool) -> None:
    """One token at a time, or chunks that begin with the sums of others."""
    attention, x = built(chunk=4, kv_heads=2, normalize=normalize), inputs()
    state, position, found, start = attention.new_state(2, torch.float64), rotary(), [], 0
    with torch.no_grad():
        for part in x.split(sizes, dim=1):
            context = dataclasses.replace(
                context_of(part, position), positions=start, starts=(start,)
            )
            found.append(attention(part, context, state)[0])
            start += part.shape[1]
    spec = LinearAttention(heads=4, kv_heads=2, normalize=normalize)
    expected = plain(attention, x, spec, position)

    torch.testing.assert_close(torch.cat(found, 1), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("chunk", [1, 3, 5, 64])
@pytest.mark.parametrize("lengths", [[13], [6, 7], [1, 1, 9, 2], [3, 3, 3, 4]], ids=str)
def test_sums_restart_at_each_document(lengths: list[int], chunk: int) -> None:
    """Wherever chunks begin."""
    attention, x = built(chunk=chunk), inputs()
    ids = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths)).expand(2, -1)
    together = attention(x, dataclasses.replace(context_of(x), document_ids=ids))[0]
    spec = LinearAttention(heads=4)
    alone = torch.cat([plain(attention, part, spec) for part in x.split(lengths, dim=1)], 1)

    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        gradients(together, attention, x), gradients(alone, attention, x), rtol=1e-8, atol=1e-8
    )


@pytest.mark.skipif(importlib.util.find_spec("fla") is None, reason="fla is not installed")
@pytest.mark.parametrize("normalize", [True, False])
def test_linear_attention_equals_that_of_fla(normalize: bool) -> None:
    """Its default scale is 1 / √head_width, and its functions get queries after the feature map."""
    from fla.ops.linear_attn.naive import naive_recurrent_linear_attn

    attention, x = built(chunk=4, normalize=normalize, eps=1e-10), inputs()
    q, k, v = (
        layer(x).view(2, T, 4, D) for layer in (attention.query, attention.key, attention.value)
    )
    q, k = F.elu(q) + 1, F.elu(k) + 1
    scale = 1.0 if normalize else None
    y, _ = naive_recurrent_linear_attn(q, k, v, scale=scale, normalize=normalize)

    torch.testing.assert_close(
        attention(x, context_of(x))[0], attention.output(y.flatten(2)), rtol=1e-4, atol=1e-5
    )


def test_the_scale_matters_only_without_normalization() -> None:
    """References disagree about both: fla scales by 1 / √head_width, the paper normalizes."""
    x, outputs = inputs(), {}
    for normalize in (True, False):
        for scale in (None, 1.0, D**-0.5):
            attention = built(normalize=normalize, scale=scale, eps=0.0)
            outputs[normalize, scale] = attention(x, context_of(x))[0]

    torch.testing.assert_close(outputs[True, 1.0], outputs[True, D**-0.5])
    torch.testing.assert_close(outputs[False, 1.0], outputs[False, D**-0.5] * D**0.5)
    torch.testing.assert_close(outputs[True, None], outputs[True, 1.0])
    torch.testing.assert_close(outputs[False, None], outputs[False, D**-0.5])


def saved_bytes(tokens: int, documents: int) -> int:
    """Bytes that the backward pass of a row of *tokens* keeps."""
    attention, x, sizes = built(chunk=8), inputs(tokens), {}
    ids = (torch.arange(tokens) * documents // tokens).expand(2, -1) if documents else None

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = attention(x, dataclasses.replace(context_of(x), document_ids=ids))[0]
    del y
    return sum(sizes.values())


@pytest.mark.parametrize("documents", [0, 3])
def test_memory_of_the_backward_pass_is_linear_in_the_tokens(documents: int) -> None:
    """Four times as many tokens need at most four times as much, up to what does not grow."""
    assert saved_bytes(512, documents) <= 4 * saved_bytes(128, documents)


def test_state_is_of_the_papers_size_and_constant() -> None:
    """D x D + D numbers per kv head, in float32, however many tokens there are."""
    attention = built(kv_heads=2)
    state, x = attention.new_state(3, torch.float32), inputs()
    state_bytes = 3 * 2 * (D * D + D) * 4

    assert state.nbytes == state.bytes_at(1) == state.bytes_at(10**6) == state_bytes
    assert attention.new_state(3, torch.bfloat16).nbytes == state_bytes
    with torch.no_grad():
        state = attention.new_state(2, torch.float32)
        attention(x.detach(), context_of(x), state)
    assert state.bytes_at(T) == 2 * 2 * (D * D + D) * 8  # float64 as its inputs


def test_tokens_cannot_be_removed_from_sums() -> None:
    """So what reads them begins again; to remove none is possible."""
    state = Constant(torch.zeros(2, 1, 1, 4, 4))

    assert state.truncate(0)
    assert not state.truncate(1)


@pytest.mark.parametrize(
    "fields", [{"chunk": 4}, {"chunk": 8, "kv_heads": 2, "normalize": False}, {"chunk": 64}]
)
def test_flops_equal_torchs_count(fields: dict[str, Any]) -> None:
    """In a training step, with one chunk or several."""
    model = GPT(dataclasses.replace(SMALL, attention=LinearAttention(heads=4, **fields)))
    ids = random_ids(2, 16)
    with FlopCounterMode(display=False) as counter:
        mean_loss(model, ids, ids.flip(1)).backward()

    assert counter.get_total_flops() == training_flops(model) * 32


def test_autocast_computes_sums_in_float32() -> None:
    """In bfloat16, sums of many tokens would lose the later ones."""
    config = dataclasses.replace(SMALL, attention=LinearAttention(heads=4, chunk=4))
    model, ids = perturbed(config), random_ids(2, 16)
    cache = model.new_cache(2, torch.bfloat16)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        model(ids, cache=cache)

    sums = [state.parts["attention"].tensors for state in cache.states]  # type: ignore[attr-defined]
    assert {each.dtype for tensors in sums for each in tensors} == {torch.float32}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"feature": "identity"}, r"can be negative, .* set normalize to false"),
        ({"kv_heads": 3}, r"4 heads cannot share 3 kv_heads; set kv_heads to one of \[1, 2, 4\]"),
        ({"chunk": 0}, r"chunk must be above 0"),
        ({"eps": -1.0}, r"eps must be at least 0"),
    ],
)
def test_impossible_fields_are_refused(fields: dict[str, Any], words: str) -> None:
    """With what to do."""
    with pytest.raises(ConfigError, match=words):
        LinearAttention(heads=4, **fields)


def test_positions_that_bias_scores_are_refused() -> None:
    """There are no scores."""
    with pytest.raises(ConfigError, match=r"ALiBi changes .* choose position Rope, Learned"):
        Architecture(attention=LinearAttention(heads=4), position=ALiBi())
