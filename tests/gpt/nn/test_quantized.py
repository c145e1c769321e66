"""Quantized weights equal bitsandbytes', and products with them those with dequantized ones."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.errors import ConfigError
from gpt.model.flops import parts_of
from gpt.model.gpt import GPT
from gpt.nn.expert_linear import Dispatch, ExpertLinear, grouped_linear
from gpt.nn.quantized.blocks import (
    dequantize_absmax,
    dequantize_blocks,
    quantize_absmax,
    quantize_blocks,
)
from gpt.nn.quantized.codebook import ABSMAX_CODEBOOK, CODEBOOKS
from gpt.nn.quantized.linear import QuantizedExperts, QuantizedLinear, quantize
from gpt.nn.quantized.weight import WEIGHTS, product, quantized
from gpt.spec.architecture import GPTConfig
from gpt.spec.experts import Experts
from gpt.spec.quantization import FP4, NF4, Int4, Int8
from tests.gpt.models import perturbed

ALL: list[Any] = [NF4(), NF4(double=False), FP4(), FP4(block=48), Int4(), Int8()]
EACH = pytest.mark.parametrize("spec", ALL, ids=str)
THEIRS = pytest.mark.parametrize(("kind", "name"), [(NF4, "nf4"), (FP4, "fp4")], ids=str)
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)


@pytest.fixture(scope="module")
def bitsandbytes() -> Any:
    """The functions of bitsandbytes: the oracle."""
    return pytest.importorskip("bitsandbytes.functional")


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def hard(count: int, dtype: torch.dtype) -> list[Tensor]:
    """Numbers, zeros, ties of levels, blocks of zeros, infinities, NaN, large and small numbers."""
    x = numbers(count)
    ties = torch.randint(-12, 13, (count,), generator=torch.Generator().manual_seed(0)).float()
    zeros, infinite, unknown = x.clone(), x.clone(), x.clone()
    zeros[: count // 2] = 0
    infinite[count // 3], infinite[count // 2] = math.inf, -math.inf
    unknown[count // 3] = math.nan
    tensors = [x, torch.zeros(count), ties, zeros, infinite, unknown, 3e4 * x, 1e-5 * x]
    return [each.to(dtype) for each in tensors]


def assert_same(found: Tensor, expected: Tensor) -> None:
    """The same numbers, NaN included."""
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


@THEIRS
def test_levels_are_those_of_bitsandbytes(bitsandbytes: Any, kind: type, name: str) -> None:
    """In the order of their codes, which for FP4 is not that of E2M1."""
    assert torch.equal(CODEBOOKS[kind].levels, bitsandbytes.get_4bit_type(name, device="cpu"))
    assert torch.equal(ABSMAX_CODEBOOK.levels, bitsandbytes.create_dynamic_map())


@DTYPES
@THEIRS
def test_codes_equal_bitsandbytes(
    bitsandbytes: Any, kind: type, name: str, dtype: torch.dtype
) -> None:
    """For each of its block sizes, also if the last block is incomplete."""
    for block, count in itertools.product([32, 64, 128, 256, 512, 1024, 2048, 4096], [63, 8205]):
        for x in hard(count, dtype):
            codes, absmax = quantize_blocks(x, CODEBOOKS[kind], block)
            theirs, state = bitsandbytes.quantize_4bit(x, blocksize=block, quant_type=name)

            assert torch.equal(codes, theirs.flatten())
            assert_same(absmax, state.absmax)


@DTYPES
@THEIRS
def test_dequantized_numbers_equal_bitsandbytes(
    bitsandbytes: Any, kind: Any, name: str, dtype: torch.dtype
) -> None:
    """For each block size of its kernel, and with double quantization."""
    for block, double in itertools.product([32, 64, 256, 1024], [False, True]):
        x = numbers(120, 330).to(dtype)
        theirs, state = bitsandbytes.quantize_4bit(
            x, blocksize=block, quant_type=name, compress_statistics=double
        )
        found = quantized(x, kind(block=block, double=double)).dense(dtype)

        assert torch.equal(found, bitsandbytes.dequantize_4bit(theirs, state))


@DTYPES
def test_codes_of_8_bits_equal_bitsandbytes(bitsandbytes: Any, dtype: torch.dtype) -> None:
    """Of numbers around their mean, as double quantization has them."""
    for count in (1, 255, 256, 100_000):
        x = numbers(count).abs().to(dtype).float()
        codes, scales, mean = quantize_absmax(x, 256)
        theirs, state = bitsandbytes.quantize_blockwise(x - x.mean(), blocksize=256)

        assert torch.equal(codes, theirs)
        assert torch.equal(scales, state.absmax)
        found = dequantize_absmax(codes, scales, mean, ABSMAX_CODEBOOK.levels, 256)
        assert torch.equal(found, bitsandbytes.dequantize_blockwise(theirs, state) + mean)


def test_nf4_levels_are_quantiles_of_the_normal_distribution() -> None:
    """Eight of one half and seven of the other, and 0 (the code of the paper's authors)."""
    offset = 0.9677083
    halves = [torch.linspace(offset, 0.5, steps, dtype=torch.float64)[:-1] for steps in (9, 8)]
    upper, lower = (torch.special.ndtri(each) for each in halves)
    levels = torch.cat([-lower, torch.zeros(1, dtype=torch.float64), upper.flip(0)])

    torch.testing.assert_close(
        CODEBOOKS[NF4].levels.double(), levels / levels.max(), rtol=0, atol=1e-6
    )


def test_fp4_levels_are_floating_point_numbers() -> None:
    """(1 + m/2) 2^e for 2 bits e and 1 bit m, but for the two below them: 0 and 1/192."""
    normal = [(1 + m / 2) * 2.0**e for e in (1, 2, 3) for m in (0, 1)]
    expected = sorted([0.0, 1 / 16, *normal])

    assert [12 * each for each in CODEBOOKS[FP4].levels[:8].sort().values.tolist()] == (
        pytest.approx(expected)
    )
    assert torch.equal(CODEBOOKS[FP4].levels[8:], -CODEBOOKS[FP4].levels[:8])


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
@pytest.mark.parametrize("kind", [NF4, FP4, Int4])
def test_numbers_are_rounded_to_the_nearest_level(kind: type, block: int) -> None:
    """Of the 16 multiples of the block's absmax, by looking at all."""
    x, codebook = numbers(500), CODEBOOKS[kind]
    codes, absmax = quantize_blocks(x, codebook, block)
    found = dequantize_blocks(codes, absmax, codebook.pairs(), block, x.shape)

    for number, rounded, scale in zip(
        x, found, absmax.repeat_interleave(block)[: len(x)], strict=True
    ):
        nearest = (codebook.levels * scale - number).abs().min()
        torch.testing.assert_close((rounded - number).abs(), nearest, rtol=1e-4, atol=1e-6)


@EACH
def test_bits_per_weight_are_those_of_the_tensors(spec: Any) -> None:
    """4.127 with double quantization, and 32 bits for the mean of absmax."""
    weight = quantized(numbers(512, 768), spec)
    bits = 8 * sum(part.numel() * part.itemsize for part in weight.parameters())

    assert bits / weight.shape.numel() == pytest.approx(spec.bits(768), abs=33 / 512 / 768)


def test_double_quantization_takes_4_127_bits() -> None:
    """4 + 8/64 + 32/(64 x 256), as in the paper."""
    assert round(NF4().bits(1024), 3) == 4.127
    assert NF4(double=False).bits(1024) == 4.5


@EACH
def test_gradients_are_those_of_the_dequantized_matrix(spec: Any) -> None:
    """In float64, by finite differences; the matrix itself has none."""
    weight = quantized(numbers(6, 10), spec)
    x = numbers(3, 10).double().requires_grad_()

    assert torch.autograd.gradcheck(lambda x: product(x, weight), (x,))
    assert torch.equal(product(x, weight), F.linear(x, weight.dense(torch.float64)))


@EACH
def test_layers_equal_plain_ones_with_dequantized_weights(spec: Any) -> None:
    """Outputs and the gradients of inputs, also under autocast; with a bias."""
    plain = nn.Linear(48, 20)
    model = nn.Sequential(nn.Linear(48, 20))
    model.load_state_dict({f"0.{name}": each for name, each in plain.state_dict().items()})
    assert quantize(model, spec) == ["0"]
    layer: Any = model[0]
    with torch.no_grad():
        plain.weight.copy_(layer.weight)
    for enabled in (False, True):
        gradients = []
        for module in (plain, layer):
            x = numbers(5, 48).requires_grad_()
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                y = module(x)
            y.float().square().sum().backward()
            gradients.append((y, x.grad))
        torch.testing.assert_close(gradients[0], gradients[1], rtol=2e-2, atol=2e-2)
        if not enabled:
            torch.testing.assert_close(gradients[0], gradients[1])


@EACH
def test_nothing_is_kept_for_the_backward_pass(spec: Any) -> None:
    """Neither the input nor the dequantized matrix."""
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    weight = quantized(numbers(6, 16), spec)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        product(numbers(3, 16).requires_grad_(), weight)
    assert not kept


@EACH
def test_layers_of_experts_are_quantized(spec: Any) -> None:
    """Their products and gradients are those with the dequantized matrices."""
    weight = quantized(numbers(3, 8, 16), spec)
    layer = QuantizedExperts(weight, None, active=2)
    rows = Dispatch(torch.tensor([0, 0, 1, 2, 2]), torch.tensor([2, 3, 5], dtype=torch.int32))
    results = []
    for multiply in (
        lambda x: layer(x, rows),
        lambda x: grouped_linear(x, weight.dense(), rows.ends),
    ):
        x = numbers(5, 16).requires_grad_()
        y = multiply(x)
        y.square().sum().backward()
        results.append((y, x.grad))

    torch.testing.assert_close(*results)


def test_all_linear_layers_but_tables_of_tokens_are_quantized() -> None:
    """Those of experts too; embeddings, norms, routers and the head stay."""
    config = GPTConfig(vocab_size=50, layers=1, width=32, mlp=Experts(shared=1), tie=False)
    model, plain = perturbed(config), perturbed(config)
    flops, parts = model.weight_flops(), parts_of(model)
    names = quantize(model, NF4())
    expected = {
        name
        for name, part in plain.named_modules()
        if isinstance(part, nn.Linear | ExpertLinear) and name != "head"
    }

    assert set(names) == expected
    assert "blocks.0.mlp.routed.gate" in names
    assert model.weight_flops() == flops
    assert parts_of(model) == parts
    same = dict(plain.named_parameters())
    for name, part in model.named_parameters():
        if name in same and name.rpartition(".")[0] not in names:
            assert torch.equal(part, same[name])
    ids = torch.arange(12)[None]
    with torch.no_grad():
        for name in names:
            plain.get_submodule(name).weight.copy_(model.get_submodule(name).weight)
    torch.testing.assert_close(model(ids), plain(ids), rtol=1e-4, atol=1e-4)


def test_tied_layers_are_not_quantized() -> None:
    """The weight of a layer can be that of an embedding, which stays."""
    model: Any = nn.ModuleDict({"table": nn.Embedding(8, 4), "linear": nn.Linear(4, 8, bias=False)})
    model["linear"].weight = model["table"].weight

    assert quantize(model, NF4()) == []


def test_weights_that_are_not_finite_are_rejected() -> None:
    """A block with an infinity would lose its other weights; the message names the layer."""
    model = GPT(GPTConfig(vocab_size=50, layers=1))
    layer: Any = model.get_submodule("blocks.0.attention.key")
    layer.weight.data[3, 4] = math.inf

    with pytest.raises(
        ConfigError, match=r"blocks\.0\.attention\.key: it has weights that are NaN"
    ):
        quantize(model, FP4())


@pytest.mark.parametrize("spec", [NF4(), Int8()], ids=str)
def test_layers_can_be_compiled(spec: Any) -> None:
    """Forward and backward pass are one graph each, with the same gradients."""
    weight = quantized(numbers(6, 16), spec)
    compiled = torch.compile(product, backend="aot_eager", fullgraph=True)
    gradients = []
    for multiply in (product, compiled):
        x = numbers(3, 16).requires_grad_()
        multiply(x, weight).square().sum().backward()
        gradients.append(x.grad)

    torch.testing.assert_close(*gradients)


def test_every_spec_has_a_matrix() -> None:
    """And is tested here."""
    assert set(WEIGHTS) == {type(spec) for spec in ALL}


def test_quantized_layers_have_no_trained_parameters() -> None:
    """So optimizers have no state of them."""
    model = nn.Sequential(nn.Linear(8, 8))
    quantize(model, Int8())

    assert isinstance(model[0], QuantizedLinear)
    assert not any(part.requires_grad for part in model.parameters())


def test_a_block_above_zero_is_needed() -> None:
    """When the spec is created."""
    with pytest.raises(ConfigError, match="block must be above 0"):
        NF4(block=0)
