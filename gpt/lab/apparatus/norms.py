"""Parts about norms that must hold, and models with norms: fused, or operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.lab.apparatus.training import small_model
from gpt.lab.checks import Above, Below, Equal
from gpt.lab.experiment import Figures, Part, Setting, Sizes
from gpt.nn.build import site_of
from gpt.nn.norm import Norm
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.norm import BatchNorm, LayerNorm, RMSNorm

EXACT: Sizes = {name: {} for name in ("smoke", "cpu", "gpu")}
WIDTH, EPS = 32, 1e-12
PART = 8
"""Features whose mean square partial RMSNorm takes."""
SPECS: Mapping[str, LayerNorm | RMSNorm | BatchNorm] = {
    "layer": LayerNorm(eps=EPS),
    "rms": RMSNorm(eps=EPS),
    "partial rms": RMSNorm(eps=EPS, fraction=PART / WIDTH),
    "batch": BatchNorm(eps=EPS, leaks=True),
}
PLAIN: Mapping[str, Callable[[Tensor], Tensor]] = {
    "layer": lambda x: (x - x.mean(-1, keepdim=True)) / x.std(-1, correction=0, keepdim=True),
    "rms": lambda x: x / x.square().mean(-1, keepdim=True).sqrt(),
    "partial rms": lambda x: x / x[:, :PART].square().mean(-1, keepdim=True).sqrt(),
    "batch": lambda x: (x - x.mean(0)) / x.std(0, correction=0),
}
"""The formulas for x (rows, WIDTH), without scale and bias."""
CHANGES = (
    "weights x 3",
    "weights + v",
    "one unit x 3",
    "data x 3",
    "data + v",
    "one row x 3",
)
"""What is changed of y = norm(W x): all of W, the same vector added to each row of W, one row of W;
all x, the same vector added to each x, one x."""
UNNOTICED: Mapping[str, tuple[int, ...]] = {
    "layer": (1, 1, 0, 1, 0, 1),
    "rms": (1, 0, 0, 1, 0, 1),
    "partial rms": (1, 0, 0, 1, 0, 1),
    "batch": (1, 0, 1, 1, 1, 0),
}
"""Which of them a norm does not notice: Zhang and Sennrich 2019, arXiv:1910.07467, table 1."""


def norm_of(spec: LayerNorm | RMSNorm | BatchNorm, width: int) -> Any:
    """Return a norm of *width* features, which is in no model."""
    attention = GroupedQuery(heads=1, kv_heads=1)
    site = site_of(Architecture(width=width, attention=attention, position=None), 1)
    return site.build(spec)


def built(spec: LayerNorm | RMSNorm | BatchNorm, dtype: torch.dtype = torch.float64) -> Any:
    """Return a norm of WIDTH features, in training mode, whose scales are random."""
    norm = norm_of(spec, WIDTH).to(dtype)
    with torch.no_grad():
        norm.weight.copy_(random(WIDTH, seed=1))
    return norm


def random(*shape: int, seed: int = 0) -> Tensor:
    """Return normal random numbers, in float64, whose mean is not 0."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator) + 0.3


def formulas(setting: Setting) -> Figures:
    """Compare outputs and gradients with the formula, and a row alone with the same in a batch.

    For each of `CHANGES` there is 1 if norm(W x) does not notice it and 0 if it does; and how many
    of them are as in `UNNOTICED`.
    """
    arm = setting.arm
    norm, x, towards = built(SPECS[arm]), random(8, WIDTH), random(8, WIDTH, seed=2)

    def of(function: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        leaf = x.clone().requires_grad_()
        y = function(leaf)
        (gradient,) = torch.autograd.grad((y * towards).sum(), leaf)
        return y, gradient

    (y, gradient), (plain, plain_gradient) = of(norm), of(lambda x: PLAIN[arm](x) * norm.weight)
    try:
        needs_others = difference(norm(x[:1]), y[:1]) > 1e-9
    except ValueError:  # torch has no variance of a single value
        needs_others = True
    changes = _unnoticed(norm)
    return {
        "output": difference(y, plain),
        "gradient": difference(gradient, plain_gradient),
        "needs others": float(needs_others),
        **changes,
        "as in the paper": float(
            sum(a == b for a, b in zip(changes.values(), UNNOTICED[arm], strict=True))
        ),
    }


def _unnoticed(norm: nn.Module) -> dict[str, float]:
    x, weights, shift = random(16, 8), random(WIDTH, 8, seed=1), random(8, seed=2)
    unit, row = torch.ones(WIDTH, 1).double(), torch.ones(16, 1).double()
    unit[0] = row[0] = 3.0
    changed = (
        (x, 3 * weights),
        (x, weights + shift),
        (x, weights * unit),
        (3 * x, weights),
        (x + shift, weights),
        (x * row, weights),
    )
    before = norm(x @ weights.T)
    found = [difference(norm(x @ weights.T), before) < 1e-6 for x, weights in changed]
    return dict(zip(CHANGES, map(float, found), strict=True))


def formula_part(arms: Sequence[str]) -> Part:
    """Return the part that compares norms with their formulas, and with the table of the paper."""
    return Part(
        name="formulas",
        kind="EXACT",
        arms=arms,
        measure=formulas,
        sizes=EXACT,
        checks=[
            check
            for arm in arms
            for check in (
                Below(claim=f"{arm} is its formula", arm=arm, figure="output", bound=1e-9),
                Below(claim=f"{arm}: gradients, too", arm=arm, figure="gradient", bound=1e-8),
                Equal(
                    claim=f"{arm} notices what table 1 says of {len(CHANGES)} changes",
                    arm=arm,
                    figure="as in the paper",
                    value=len(CHANGES),
                ),
                Equal(
                    claim=f"{arm} of a row {'needs' if arm == 'batch' else 'needs no'} others",
                    arm=arm,
                    figure="needs others",
                    value=float(arm == "batch"),
                ),
            )
        ],
    )


ORDERS = {"torch": RMSNorm(cast="torch"), "llama": RMSNorm(cast="llama")}


def rounding(setting: Setting) -> Figures:
    """Compare root mean square normalization in bfloat16 with both orders of its casts.

    "differing" is the percentage that rounds otherwise than in the other order, "units" by how many
    units of the last bit at most.
    """
    spec, x = ORDERS[setting.arm], random(512, WIDTH).bfloat16()
    norm, wide = built(spec, torch.bfloat16), x.float()
    ours, weight = norm(x), norm.weight
    unscaled = wide * (wide.square().mean(-1, keepdim=True) + spec.eps).rsqrt()
    plain = {"torch": (unscaled * weight).bfloat16(), "llama": unscaled.bfloat16() * weight}
    own, other = plain.pop(setting.arm), *plain.values()
    return {
        "error": difference(ours, own),
        "differing": 100 * float((ours != other).float().mean()),
        "units": float((ours.view(torch.int16) - other.view(torch.int16)).abs().max()),
    }


CASTS = Part(
    name="rounding",
    kind="EXACT",
    arms=list(ORDERS),
    measure=rounding,
    sizes=EXACT,
    checks=[
        check
        for arm, order in (("torch", "after"), ("llama", "before"))
        for check in (
            Equal(
                claim=f"{arm} rounds {order} the product with the scale: each bit of bfloat16",
                arm=arm,
                figure="error",
                value=0.0,
            ),
            Above(claim="which changes more than 1% of them", arm=arm, figure="differing", bound=1),
            Equal(claim="each by a unit of the last bit", arm=arm, figure="units", value=1),
        )
    ],
)
"""The orders of casts of torch and llama, in bfloat16."""


def folded(setting: Setting) -> Figures:
    """Fold batch normalization, as it is evaluated, into the linear layer before it."""
    norm, linear, x = built(SPECS["batch"]), nn.Linear(WIDTH, WIDTH).double(), random(64, WIDTH)
    with torch.no_grad():
        for _ in range(300):  # until the moving averages are those of this batch
            norm(linear(x))
        scale = norm.weight / (linear(x).var(0) + EPS).sqrt()  # the unbiased variance, as in torch
        bias = (linear.bias - linear(x).mean(0)) * scale
        fused = F.linear(x, linear.weight * scale[:, None], bias)
        return {"error": difference(norm.eval()(linear(x)), fused)}


FOLDING = Part(
    name="folding",
    kind="EXACT",
    arms=["batch"],
    measure=folded,
    sizes=EXACT,
    checks=[
        Below(
            claim="batch, as it is evaluated, is a part of the linear layer before it",
            arm="batch",
            figure="error",
            bound=1e-9,
        )
    ],
)
"""Why convolutional networks keep batch normalization: it costs nothing in the end."""


def model(
    setting: Setting, norms: Mapping[str, LayerNorm | RMSNorm | BatchNorm | None]
) -> Architecture:
    """Return the model of an arm, whose name begins with that of its norm."""
    return small_model(
        setting,
        norm=norms[setting.arm.partition(",")[0]],
    )


def layer_norm(norm: Any, x: Tensor) -> Tensor:
    """Normalize operation by operation, as the paper's programs did."""
    centered = x - x.mean(-1, keepdim=True)
    scale = (centered.square().mean(-1, keepdim=True) + norm.eps).rsqrt()
    y: Tensor = centered * scale * norm.weight + norm.bias
    return y


def rms_norm(norm: Any, x: Tensor) -> Tensor:
    """Normalize without mean and bias, operation by operation."""
    y: Tensor = x * (x.square().mean(-1, keepdim=True) + norm.eps).rsqrt() * norm.weight
    return y


UNFUSED = {"layer": layer_norm, "rms": rms_norm}


def unfuse(setting: Setting, module: nn.Module) -> nn.Module:
    """Return *module* on the device, its norms operation by operation if the arm says so."""
    kind, _, how = setting.arm.partition(", ")
    for norm in module.modules():
        if how == "unfused" and isinstance(norm, Norm):
            norm.forward = partial(UNFUSED[kind], norm)
    return module.to(setting.device)


def difference(a: Tensor, b: Tensor) -> float:
    """Return the largest absolute difference."""
    return float((a - b).detach().abs().max())
