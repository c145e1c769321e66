"""Weights of few bits: their bytes, their definition, and the errors of formats."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from scipy.stats import norm
from torch import Tensor, nn

from gpt.data.shards import open_data, open_split
from gpt.evaluation.bits_per_byte import evaluate
from gpt.lab.apparatus.domains import VOCAB, code_shards, english_base
from gpt.lab.apparatus.steps import model_of
from gpt.lab.apparatus.texts import english_shards
from gpt.lab.experiment import Figures, Setting
from gpt.model.gpt import GPT
from gpt.model.shapes import without_memory
from gpt.nn.quantized.blocks import dequantize_blocks, quantize_blocks
from gpt.nn.quantized.codebook import CODEBOOKS, Codebook
from gpt.nn.quantized.linear import quantizable, quantize
from gpt.nn.quantized.weight import QuantizedWeight, quantized
from gpt.parallel.runtime import Runtime
from gpt.runs.reading import read_checkpoint
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.mlp import MLP
from gpt.spec.quantization import FP4, NF4, Int4, Int8
from gpt.training.tuning.planning import plan_tuning

SPECS: dict[str, NF4 | FP4 | Int4] = {
    "NF4": NF4(),
    "NF4, float absmax": NF4(double=False),
    "FP4": FP4(),
    "Int4": Int4(),
}
BLOCK = 64
"""Weights of an absmax."""
E2M1 = torch.tensor([0, 1, 2, 3, 4, 6, 8, 12]) / 12
E3M0 = torch.tensor([0, 1, 2, 4, 8, 16, 32, 64]) / 64
"""Magnitudes of floating-point numbers, by their bits of exponent and mantissa."""
FORMATS = {
    "Int4": CODEBOOKS[Int4],
    "FP4, E2M1": Codebook(torch.cat([-E2M1, E2M1])),
    "FP4, bitsandbytes": CODEBOOKS[FP4],
    "FP4, E3M0": Codebook(torch.cat([-E3M0, E3M0])),
    "NF4": CODEBOOKS[NF4],
}
"""The levels of each format."""
OFFSET = 0.9677083
"""Probability of the largest quantile of NF4: the mean of 1 - 1/30 and 1 - 1/32, about."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
STORED_AS: dict[str, Int8 | NF4] = {"int8": Int8(), "NF4": NF4()}
STORED = [*DTYPES, *STORED_AS]
"""How matrices are stored: the arms of `weights`."""
LLAMA = Architecture(
    context=4096,
    layers=32,
    width=4096,
    attention=GroupedQuery(heads=32, kv_heads=32),
    tie=False,
    mlp=MLP(hidden=11_008, activation="silu", gated=True),
)
LLAMA_VOCAB = 32_000


def exact(setting: Setting) -> Figures:
    """Compare a quantized matrix with its plain definition; count bits of it, and of a base."""
    spec = SPECS[setting.arm]
    weight = torch.randn(512, 512, generator=torch.Generator().manual_seed(setting.seed))
    levels = CODEBOOKS[type(spec)].levels.double()
    blocks = weight.double().view(-1, BLOCK)
    absmax = blocks.abs().amax(1, keepdim=True)
    nearest = (blocks / absmax).unsqueeze(-1).sub(levels).abs().argmin(-1)
    plain = (levels[nearest] * absmax).view_as(weight)
    single = quantized(weight, dataclasses.replace(spec, double=False))
    base, code = english_base(setting), code_shards(characters=setting.size["characters"])
    plan = plan_tuning(base, data=code, out=Path("runs"), quantize=spec)
    return {
        "bits": bits(quantized(weight, spec)),
        "definition": float((single.dense() - plain).norm() / plain.norm()),
        "levels": float((levels.sort().values - normal_levels()).abs().max()),
        "base": bits(plan.task().model()),
    }


def normal_levels() -> Tensor:
    """Return the 16 levels of NF4 by their definition, as float64 (16,).

    They are quantiles of the normal distribution, divided by the largest: 7 below 0, 0, 8 above.
    """
    below, above = (
        norm.ppf(torch.linspace(OFFSET, 0.5, n).double().numpy())[:-1].tolist() for n in (8, 9)
    )
    levels: Tensor = torch.tensor(sorted([*(-x for x in below), 0.0, *above])).double()
    return levels.div(max(above))


def bits(model: nn.Module) -> float:
    """Return the bits that a weight takes in the quantized matrices of *model*; 32 without such."""
    parts = [each for each in model.modules() if isinstance(each, QuantizedWeight)]
    if not parts:
        return 32.0
    size = sum(each.numel() * each.itemsize for part in parts for each in part.parameters())
    return 8 * size / sum(part.shape.numel() for part in parts)


def rounded(setting: Setting) -> Figures:
    """Round the matrices of a trained base to a format; return its error, and the loss after.

    ``error`` is the sum of the squares of the errors, in % of that of the weights; ``rise`` is that
    of the base's bits per byte on held-out text, without training.
    """
    model = read_checkpoint(english_base(setting, setting.seed)).model(setting.device)
    model.requires_grad_(False)
    codebook, error, size = FORMATS[setting.arm], 0.0, 0.0
    split = open_split(open_data(english_shards(VOCAB)), "val")
    runtime = Runtime.choose(setting.device, "float32")
    before = evaluate(model, split, runtime=runtime).bits_per_byte
    for name in quantizable(model):
        weight = model.get_parameter(name)
        codes, absmax = quantize_blocks(weight, codebook, BLOCK)
        pairs = codebook.pairs().to(weight.device)
        near = dequantize_blocks(codes, absmax, pairs, BLOCK, weight.shape)
        error += (near - weight).square().sum().item()
        size += weight.square().sum().item()
        weight.copy_(near)
    after = evaluate(model, split, runtime=runtime).bits_per_byte
    return {"error": 100 * error / size, "rise": after - before}


def predicted_bits(model: nn.Module, arm: str) -> dict[str, float]:
    """Return the bits that the formula gives to the matrices of *model* in an arm, by name."""
    matrices = {name: model.get_parameter(name) for name in quantizable(model)}
    if arm in DTYPES:
        return {name: 8.0 * DTYPES[arm].itemsize * each.numel() for name, each in matrices.items()}
    spec = STORED_AS[arm]
    return {name: spec.bits(each.shape[1]) * each.numel() for name, each in matrices.items()}


def weights(setting: Setting) -> Figures:
    """Measure the bits of a small model's matrices, and compute the bytes of Llama 2 7B."""
    gpt = GPT(GPTConfig.over(model_of(setting), 64), setting.seed)
    names, predicted = quantizable(gpt), sum(predicted_bits(gpt, setting.arm).values())
    total = sum(gpt.get_parameter(name).numel() for name in names)
    if setting.arm in STORED_AS:
        quantize(gpt, STORED_AS[setting.arm])
        found = bits(gpt)
    else:
        gpt.to(DTYPES[setting.arm])
        parts = [gpt.get_parameter(name) for name in names]
        found = 8 * sum(each.element_size() * each.numel() for each in parts) / total
    llama = without_memory(GPTConfig.over(LLAMA, LLAMA_VOCAB))
    of_matrices = predicted_bits(llama, setting.arm)
    billions = sum(each.numel() for each in llama.parameters()) / 1e9
    # Tables and norms are not quantized; they have 16 bits then.
    rest = 8 * DTYPES.get(setting.arm, torch.bfloat16).itemsize
    others = [each.numel() for name, each in llama.named_parameters() if name not in of_matrices]
    gigabytes = (sum(of_matrices.values()) + rest * sum(others)) / 8e9
    return {
        "bits": found,
        "deviation": abs(found * total / predicted - 1),
        "billions": billions,
        "GB": gigabytes,
        "GB a billion": gigabytes / billions,
    }
