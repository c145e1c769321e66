"""What each kind of attention keeps while decoding, and how fast it then decodes."""

from __future__ import annotations

from typing import Any

import torch

from gpt.lab.apparatus.attentions import attentions, kept_bytes
from gpt.lab.apparatus.probes import cache_error, random_ids, random_model
from gpt.lab.apparatus.stopwatch import decoding_figures
from gpt.lab.checks import Below, Equal, Ratio
from gpt.lab.experiment import Bars, Experiment, Figures, Lines, Part, Setting, Sizes, Source
from gpt.spec.architecture import Architecture
from gpt.spec.attention import AnyAttention, GroupedQuery, Interleaved, Latent
from gpt.spec.pattern import Causal, Window


def wide(kv_heads: int, window: Window | None = None) -> GroupedQuery:
    """Return attention of 32 heads of 128."""
    return GroupedQuery(heads=32, kv_heads=kv_heads, head_width=128, pattern=window or Causal())


LOCAL = Window(size=1024)
MIXED = {heads: (*[wide(heads, LOCAL)] * 5, wide(heads)) for heads in (8, 32)}
"""Five layers with windows, then one with the full context, by their key and value heads."""
NARROW: dict[str, Any] = {"heads": 24, "head_width": 86}
MODELS: dict[str, tuple[AnyAttention | Interleaved, float, float]] = {
    "MHA": (wide(32), 17.18, 0.0),
    "GQA-8": (wide(8), 4.29, 75.0),
    "MHA, window 5:1": (Interleaved(layers=MIXED[32]), 3.14, 81.74),
    "GQA-8, window 5:1": (Interleaved(layers=MIXED[8]), 0.78, 95.43),
    "MHA, window 5:1, last full": (wide(32, Window(size=1024, long_every=6)), 3.66, 78.71),
    "MHA of 24": (GroupedQuery(**NARROW, kv_heads=24), 3.25, 0.0),
    "MLA of 24": (Latent(**NARROW, kv_rank=1024, rope_width=0), 0.81, 75.19),
    "MLA of 24, rotated key": (Latent(**NARROW, kv_rank=1024, rope_width=64), 0.86, 73.64),
}
"""Attention, gigabytes kept in bfloat16, percent less than MHA. Not printed: the "last full" and
"rotated key" of other readings."""


def totals(setting: Setting) -> Figures:
    """Count the bytes of a cache, and compare with multi-head attention of its shape."""
    narrow = "24" in setting.arm
    layers, width, tokens = (48, 2048, 8192) if narrow else (32, 4096, 32_768)
    ours, mha = (
        kept_bytes(
            Architecture(context=tokens, layers=layers, width=width, attention=each, position=None),
            tokens,
            torch.bfloat16,
        )
        for each in (MODELS[setting.arm][0], MODELS["MHA of 24" if narrow else "MHA"][0])
    )
    return {"GB": ours / 1e9, "less": 100 * (1 - ours / mha)}


H, D, T, W = 8, 4, 256, 8
FORMULAS = {
    "MHA": 2 * H * D * T * 2,
    "GQA": 2 * (H // 4) * D * T * 2,
    "MQA": 2 * D * T * 2,
    "MLA": (4 * D + D // 2) * T * 2,
    "MLA, absorbed": (4 * D + D // 2) * T * 2,
    "window": 2 * H * D * W * 2,
    "window, sinks": 2 * H * D * (W + 4) * 2,
    "window 1:1": 2 * H * D * (W + T),
    "linear": H * (D * D + D) * 2,
}
"""Elements that two layers of H heads of width D keep of T tokens, W being the window."""


def small(setting: Setting) -> Figures:
    """Compare a cache in memory with the formula, and decoding with reading."""
    attention = attentions(heads=H, head_width=D, window=W)[setting.arm]
    architecture = Architecture(context=T, layers=2, width=H * D, attention=attention)
    gpt = random_model(architecture, 64, setting.seed)
    cache = gpt.new_cache(1, torch.float64)
    with torch.inference_mode():
        gpt(random_ids(gpt, 1, T), cache=cache)
    bytes_of_formula = FORMULAS[setting.arm] * torch.float64.itemsize
    counted, allocated = cache.bytes_at(T), cache.nbytes
    return {
        "deviation": float(max(abs(each - bytes_of_formula) for each in (counted, allocated))),
        "error": cache_error(gpt, 4 * W),
    }


def speeds(setting: Setting) -> Figures:
    """Decode after texts of several lengths."""
    attention = attentions(heads=setting.size["heads"], window=256)[setting.arm]
    return decoding_figures(attention, setting)


SMOKE = {"width": 64, "heads": 8, "rows": 2, "lengths": (64, 128), "rounds": 2, "layers": 1}
CPU = {"width": 512, "heads": 16, "rows": 4, "lengths": (256, 1024, 4096), "rounds": 9, "layers": 2}
GPU = CPU | {"width": 4096, "heads": 32, "rows": 8, "lengths": (1024, 8192, 32_768)}
SIZES: Sizes = {"smoke": SMOKE, "cpu": CPU, "gpu": GPU}
FASTER = {"GQA": "MHA", "MQA": "MHA", "window": "MHA", "MLA, absorbed": "MLA"}
"""Which attention is to decode faster than which, after the longest text."""
TOTALS = [
    Equal(claim=f"{arm}: {value}{unit}", arm=arm, figure=figure, value=value, tolerance=0.005)
    for arm, (_, kept, less) in MODELS.items()
    for figure, value, unit in (("GB", kept, " GB"), ("less", less, "% less than MHA"))
]
FORMULA = [
    check
    for arm in FORMULAS
    for check in (
        Equal(claim=f"{arm} has the bytes of its formula", arm=arm, figure="deviation", value=0),
        Below(claim=f"{arm}: cached as uncached", arm=arm, figure="error", bound=1e-10),
    )
]

EXPERIMENT = Experiment(
    id="kv",
    question="How many bytes does each attention keep of a text, and does decoding profit?",
    source=Source(
        paper="Raschka 2025, Build a Large Language Model: grouped, latent and windowed attention",
        link="https://github.com/rasbt/LLMs-from-scratch/tree/main/ch04",
        where="04_gqa, 05_mla and 06_swa, totals that the estimators print; on the same kinds IBM, "
        "What is grouped query attention, and VerticalServe, MQA vs GQA vs MHA vs MLA",
    ),
    claim="Of 32,768 tokens 32 layers of MHA keep 17.18 GB, 8 groups 4.29, windows in five of six "
    "layers 3.14, both 0.78; MLA keeps 75.19% less than MHA. So less is read for each token.",
    parts=[
        Part(
            name="totals",
            kind="EXACT",
            arms=list(MODELS),
            measure=totals,
            sizes=SIZES,
            checks=TOTALS,
        ),
        Part(
            name="formulas",
            kind="EXACT",
            arms=list(FORMULAS),
            measure=small,
            sizes=SIZES,
            checks=FORMULA,
        ),
        Part(
            name="decoding",
            kind="SPEED",
            arms=["MHA", "GQA", "MQA", "MLA", "MLA, absorbed", "window", "linear"],
            measure=speeds,
            sizes=SIZES,
            checks=[
                Ratio(claim=f"{arm} decodes faster than {to}", arm=arm, to=to, figure="longest")
                for arm, to in FASTER.items()
            ],
        ),
    ],
    panels=[
        Bars(part="totals", figure="GB", label="gigabytes kept, in bfloat16", log=("x",)),
        Lines(
            part="decoding",
            x="tokens",
            y="speed",
            x_label="tokens before",
            y_label="tokens decoded per second",
            log=("x", "y"),
        ),
    ],
    bounds="In the source the last two of 32 layers have windows; if the last is full, as in Gemma "
    "2, 3.66 GB are kept. Its MLA has no key for RoPE; with one it saves 73.64%. Speeds are of two "
    "layers in float32 on one thread; the source itself measured 63 tokens per second with GQA, 72 "
    "without.",
    expects="All bytes to the last digit. After long texts GQA and MQA faster, MLA slowest.",
)
