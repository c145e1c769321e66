"""RMSNorm instead of LayerNorm: equal if the mean is 0, as good, and how much faster."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from gpt.lab.apparatus import norms
from gpt.lab.apparatus.training import BITS, Training, training_part
from gpt.lab.checks import Above, Below, NotWorse, Ratio
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Part, Setting, Sizes, Source
from gpt.model.gpt import GPT
from gpt.spec.architecture import GPTConfig
from gpt.spec.norm import LayerNorm, RMSNorm

VOCAB = 512
PARTIAL = RMSNorm(fraction=0.0625)
NORMS: dict[str, LayerNorm | RMSNorm] = {
    "layer": LayerNorm(),
    "rms": RMSNorm(),
    "partial rms": PARTIAL,
}
TIMED = ["layer, unfused", "rms, unfused", "layer", "rms"]
PAPER = (0.36, 0.93)
"""7% to 64% less time."""


def equalities(setting: Setting) -> Figures:
    """Compare RMSNorm with LayerNorm, of rows with and without a mean, and fused with unfused."""
    layer, rms = (norms.built(norms.SPECS[name]) for name in ("layer", "rms"))
    x = norms.random(64, norms.WIDTH)
    centered = x - x.mean(-1, keepdim=True)
    return {
        "centered": norms.difference(rms(centered), layer(centered)),
        "with a mean": norms.difference(rms(x), layer(x)),
        "layer, unfused": norms.difference(norms.UNFUSED["layer"](layer, x), layer(x)),
        "rms, unfused": norms.difference(norms.UNFUSED["rms"](rms, x), rms(x)),
    }


def timed(rounds: int, step: Callable[[], Tensor]) -> Figures:
    """Time *step* and its backward pass, after twice that do not count."""
    seconds = []
    for _ in range(rounds + 2):
        begin = time.perf_counter()
        total = step()
        torch.autograd.backward(total)
        total.item()  # waits for a GPU
        seconds.append(time.perf_counter() - begin)
    return {"seconds": seconds[2:], "milliseconds": 1000 * sorted(seconds[2:])[rounds // 2]}


def operation(setting: Setting) -> Figures:
    """Time the norm alone, forward and backward."""
    width = setting.size["width"]
    spec = NORMS[setting.arm.partition(",")[0]]
    norm = norms.unfuse(setting, norms.norm_of(spec, width))
    x = torch.randn(setting.size["rows"], width, device=setting.device, requires_grad=True)
    return timed(setting.size["rounds"], lambda: norm(x).sum())


def step(setting: Setting) -> Figures:
    """Time a whole model, forward and backward."""
    gpt = norms.unfuse(setting, GPT(GPTConfig.over(norms.model(setting, norms=NORMS), VOCAB)))
    ids = torch.zeros(8, setting.size["context"], dtype=torch.int64, device=setting.device)
    return timed(setting.size["rounds"], lambda: gpt(ids).sum())


def speeds(name: str, what: str, measure: Callable[[Setting], Figures], sizes: Sizes) -> Part:
    """Return the part that times *what*."""
    claim, figure = f"{what}, operation by operation: 7% to 64% less time", "seconds"
    unfused, layer = "rms, unfused", "layer, unfused"
    return Part(
        name=name,
        kind="SPEED",
        arms=TIMED,
        measure=measure,
        sizes=sizes,
        checks=[
            Ratio(claim=claim, arm=unfused, to=layer, figure=figure, between=PAPER),
            Ratio(claim=f"{what}, fused: less time", arm="rms", to="layer", figure=figure),
        ],
    )


EXPERIMENT = Experiment(
    id="rmsnorm",
    question="How much time does RMSNorm save, and against which LayerNorm?",
    source=Source(
        paper="Zhang and Sennrich 2019, Root Mean Square Layer Normalization",
        link="arXiv:1910.07467",
        where="abstract: 7% to 64% less running time; equation 4; section 4.2, partial RMSNorm of "
        "6.25% of the units",
    ),
    claim="Without the mean, LayerNorm is as good, and models run 7% to 64% faster.",
    parts=[
        norms.formula_part(["layer", "rms", "partial rms"]),
        Part(
            name="mean",
            kind="EXACT",
            arms=["rms"],
            measure=equalities,
            sizes=norms.EXACT,
            checks=[
                Below(
                    claim="LayerNorm, if the mean is 0", arm="rms", figure="centered", bound=1e-9
                ),
                Above(claim="another if it is not", arm="rms", figure="with a mean", bound=0.1),
                *(
                    Below(claim=f"{arm}: the same norm", arm="rms", figure=arm, bound=1e-9)
                    for arm in TIMED[:2]
                ),
            ],
        ),
        training_part(
            arms=list(NORMS),
            training=Training(model=partial(norms.model, norms=NORMS)),
            sizes={
                "smoke": {"context": 16, "layers": 1, "width": 32, "steps": 3},
                "cpu": {"context": 64, "layers": 2, "width": 64, "steps": 300},
                "gpu": {"context": 512, "layers": 12, "width": 768, "steps": 20_000},
            },
            rates=(3e-3, 1e-2, 3e-2),
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                NotWorse(claim="as good as layer", arm=arm, than="layer", figure=BITS, margin=0.02)
                for arm in ("rms", "partial rms")
            ],
        ),
        speeds(
            "operation",
            "the norm alone",
            operation,
            {
                "smoke": {"width": 64, "rows": 64, "rounds": 3},
                "cpu": {"width": 384, "rows": 2048, "rounds": 101},
                "gpu": {"width": 4096, "rows": 16_384, "rounds": 101},
            },
        ),
        speeds(
            "step",
            "a model",
            step,
            {
                "smoke": {"context": 16, "layers": 1, "width": 32, "rounds": 3},
                "cpu": {"context": 128, "layers": 4, "width": 128, "rounds": 31},
                "gpu": {"context": 1024, "layers": 12, "width": 768, "rounds": 31},
            },
        ),
    ],
    panels=[
        Bars(part="operation", figure="milliseconds", label="milliseconds of a norm"),
        Bars(part="step", figure="milliseconds", label="milliseconds of a model"),
        Bars(part="loss", figure=BITS, label="bits per byte, held out"),
    ],
    bounds="The paper's times are of recurrent models and a transformer in TensorFlow and Theano, "
    "whose LayerNorm was many operations. Torch has one kernel for it, on a CPU with a backward "
    "pass of its own, which the project's RMSNorm borrows. Times are of one thread. A sixteenth "
    "of 64 units are 4, whose root mean square is not that of all: partial RMSNorm learns at the "
    "smallest rate of the grid only, and less.",
    expects="Without fusion RMSNorm is 20% to 40% faster alone, and a model with it about 5%; "
    "fused, it is slower than LayerNorm, and a model with it no faster. As good, partial RMSNorm "
    "too.",
)
