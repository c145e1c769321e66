"""Latent attention decoded in two ways: from keys and values, or from the latents themselves."""

from __future__ import annotations

import torch

from gpt.lab.apparatus.definitions import latent
from gpt.lab.apparatus.probes import attention_in, cache_error, passed, random_model
from gpt.lab.apparatus.stopwatch import decoding_figures, filling_figures
from gpt.lab.checks import Below, Equal, Ratio
from gpt.lab.experiment import Bars, Experiment, Figures, Lines, Part, Setting, Sizes, Source
from gpt.model.shapes import without_memory
from gpt.nn.mechanism import weight_flops
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import AnyAttention, GroupedQuery, Latent
from gpt.spec.norm import LayerNorm

DECODED = {
    "expanded": Latent(heads=4, kv_rank=12),
    "absorbed": Latent(heads=4, kv_rank=12, decode="absorbed"),
    "query latent": Latent(heads=4, kv_rank=12, query_rank=10, decode="absorbed"),
    "LayerNorm": Latent(heads=4, kv_rank=12, latent_norm=LayerNorm(), decode="absorbed"),
}


@torch.no_grad()
def equalities(setting: Setting) -> Figures:
    """Compare reading with the definition, and decoding with reading."""
    architecture = Architecture(context=16, layers=2, width=32, attention=DECODED[setting.arm])
    gpt = random_model(architecture, 64, setting.seed)
    x, y = passed(gpt, attention_in(gpt), 16)
    definition = latent(attention_in(gpt), x)
    return {"definition": float((definition - y).abs().max()), "decoding": cache_error(gpt, 16)}


V3 = Latent(heads=128, head_width=128, kv_rank=512, query_rank=1536, rope_width=64)
PROJECTED = {
    f"r = {r}": (32 * r, Latent(heads=r, head_width=32, kv_rank=32, query_rank=32, rope_width=0))
    for r in (1, 2, 32)
} | {"DeepSeek-V3": (7168, V3)}
"""Width and attention; r is the width of all heads to that of the latent."""


def projections(setting: Setting) -> Figures:
    """Count FLOPs of queries, keys and values, relative to multi-head attention."""
    width, ours = PROJECTED[setting.arm]
    theirs = GroupedQuery(heads=ours.heads, kv_heads=ours.heads, head_width=ours.head_width)
    mla, mha = (
        attention_in(without_memory(GPTConfig.over(architecture, 64)))
        for architecture in (
            Architecture(context=8, layers=1, width=width, attention=each, position=None)
            for each in (ours, theirs)
        )
    )
    one = weight_flops(mha.key)
    kv, queries = (
        sum(map(weight_flops, layers))
        for layers in ((mla.kv, mla.kv_up), (mla.query, mla.query_up))
    )
    return {"keys and values": kv / (2 * one), "all": (queries + kv) / (3 * one)}


def attention(arm: str, heads: int) -> AnyAttention:
    """Return what the arm attends with; MLA keeps little more than GQA with two heads."""
    of_arm: dict[str, AnyAttention] = {
        "MHA": GroupedQuery(heads=heads, kv_heads=heads),
        "GQA": GroupedQuery(heads=heads, kv_heads=max(1, heads // 8)),
        "MLA, expanded": Latent(heads=heads),
        "MLA, absorbed": Latent(heads=heads, decode="absorbed"),
    }
    return of_arm[arm]


def decoding(setting: Setting) -> Figures:
    """Time a token after texts of several lengths, and of all rows that fixed bytes keep."""
    spec = attention(setting.arm, setting.size["heads"])
    return {**decoding_figures(spec, setting), **filling_figures(spec, setting)}


ARMS = ["MHA", "GQA", "MLA, expanded", "MLA, absorbed"]
SMOKE = {"width": 64, "heads": 8, "layers": 1, "lengths": (32, 64), "rounds": 2, "rows": 1}
SMOKE |= {"length": 32, "bytes": 1 << 15}
CPU = SMOKE | {"width": 512, "heads": 16, "layers": 2, "rounds": 9, "length": 1024}
CPU |= {"lengths": (128, 512, 1024, 2048, 4096), "bytes": 1 << 26}
GPU = CPU | {"width": 5120, "heads": 128, "length": 8192, "bytes": 1 << 34}
SIZES: Sizes = {"smoke": SMOKE, "cpu": CPU, "gpu": GPU}
EQUALITIES = [
    Below(claim=f"{arm}: {claim}", arm=arm, figure=figure, bound=bound)
    for arm in DECODED
    for claim, figure, bound in (
        ("equals its definition", "definition", 1e-8),
        ("cached as uncached", "decoding", 1e-10),
    )
]
COUNTS = [
    Equal(claim=f"{arm}: {name}, {text}", arm=arm, figure=name, value=value, tolerance=tolerance)
    for arm, name, text, value, tolerance in (
        *((f"r = {r}", "keys and values", "3 / 2r of MHA", 3 / (2 * r), 1e-9) for r in (1, 2, 32)),
        *((f"r = {r}", "all", "5 / 3r of MHA", 5 / (3 * r), 1e-9) for r in (1, 2, 32)),
        ("DeepSeek-V3", "all", "a fifth of MHA, not a twentieth", 0.2, 0.005),
    )
]

SPEED = [
    Ratio(claim=claim, arm="MLA, absorbed", to=to, figure=figure, between=between)
    for claim, to, figure, between in (
        ("latents are faster than what is made of them", "MLA, expanded", "longest", None),
        ("with all rows that fit, faster than MHA", "MHA", "per token", None),
        ("and than GQA: 1/5.76 in the paper, of other models", "GQA", "per token", (0.14, 0.21)),
    )
]

EXPERIMENT = Experiment(
    id="mlaspeed",
    question="Is it faster to attend to latents than to expand them, and to keep fewer bytes?",
    source=Source(
        paper="Sinai 2025, DeepSeek's Multi-Head Latent Attention",
        link="https://liorsinai.github.io/machine-learning/2025/02/22/mla.html",
        where="operations, 3/2r and 5/3r of MHA, r = 32 in V3; speed, up to 4 times slower on a "
        "CPU; DeepSeek-V2, arXiv:2405.04434, section 3.2.3, 5.76 times the throughput",
    ),
    claim="Operations shrink to 3/2r of MHA's, or 5/3r with latents of queries, 20 times in V3. "
    "Decoding can attend to latents, which was slower on a CPU. More rows fit in memory, so that "
    "DeepSeek-V2 generates 5.76 times as many tokens.",
    parts=[
        Part(
            name="equality",
            kind="EXACT",
            arms=list(DECODED),
            measure=equalities,
            sizes=SIZES,
            checks=EQUALITIES,
        ),
        Part(
            name="operations",
            kind="EXACT",
            arms=list(PROJECTED),
            measure=projections,
            sizes=SIZES,
            checks=COUNTS,
        ),
        Part(
            name="decoding",
            kind="SPEED",
            arms=ARMS,
            measure=decoding,
            sizes=SIZES,
            checks=SPEED,
        ),
    ],
    panels=[
        Lines(
            part="decoding",
            x="tokens",
            y="seconds",
            x_label="tokens before",
            y_label="seconds for a token",
            log=("x", "y"),
        ),
        Bars(part="decoding", figure="rows", label="rows whose caches fit", log=("x",)),
    ],
    bounds="V3's query latent is three times as wide as the other, and its heads wider than the "
    "model: projections are a fifth of MHA's, not a twentieth. The 5.76 is of two models on GPUs, "
    "where reading the cache bounds the speed; here products do, and absorbed heads have more.",
    expects="Absorbed much faster than expanded after long texts; with all rows that fit, perhaps "
    "faster than MHA, not than GQA.",
)
