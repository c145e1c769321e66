"""Latent attention: what it keeps of a text, and how good it is for its bytes."""

from __future__ import annotations

import dataclasses

import torch

from gpt.lab.apparatus.attentions import kept_bytes
from gpt.lab.apparatus.training import BITS, Training, training_part
from gpt.lab.checks import Below, Equal, Less
from gpt.lab.experiment import (
    TUNING_SEEDS,
    Bars,
    Experiment,
    Figures,
    Part,
    Points,
    Setting,
    Sizes,
    Source,
)
from gpt.spec.architecture import Architecture
from gpt.spec.attention import AnyAttention, GroupedQuery, Latent
from gpt.spec.mlp import MLP

SHAPES: dict[str, tuple[int, int, AnyAttention]] = {
    # DeepSeek 67B (DeepSeek-AI 2024, arXiv:2401.02954), table 2.
    "DeepSeek 67B": (95, 8192, GroupedQuery(heads=64, kv_heads=8, head_width=128)),
    # DeepSeek-V2, section 3.1.2.
    "DeepSeek-V2": (60, 5120, Latent(heads=128, head_width=128, kv_rank=512, rope_width=64)),
    # github.com/ambisinister/mla-experiments, mla.py, of planetbanatt's article.
    "mla-experiments": (8, 512, Latent(heads=16, kv_rank=341, nope_width=16, rope_width=16)),
}
"""Layers, width and attention."""
BITS_OF_V2 = 6  # of each element in the deployed V2, on average: section 3.2.3


def kept(arm: str) -> float:
    """Return the elements that a cache of the arm keeps for a token, by its own account."""
    layers, width, attention = SHAPES[arm]
    architecture = Architecture(context=8, layers=layers, width=width, attention=attention)
    return kept_bytes(architecture, 1, torch.float16) / torch.float16.itemsize


def elements(setting: Setting) -> Figures:
    """Count elements, and compare with DeepSeek 67B and with multi-head attention."""
    layers, width, attention = SHAPES[setting.arm]
    ours, reference = kept(setting.arm), kept("DeepSeek 67B")
    head = 2 * layers * attention.output_width(width)
    return {
        "elements": ours,
        "less": 100 * (1 - ours / reference),
        "less, 6 bits": 100 * (1 - ours * BITS_OF_V2 / (reference * 16)),
        "of MHA": 100 * ours / (attention.heads * head),
        "groups": ours / head,
    }


def model(setting: Setting) -> Architecture:
    """Return the model of an arm: the smaller its attention, the wider its MLP."""
    width = setting.size["width"]
    arms: dict[str, tuple[AnyAttention, int]] = {
        "MHA": (GroupedQuery(heads=8, kv_heads=8), 64),
        "GQA": (GroupedQuery(heads=8, kv_heads=2), 76),
        "MQA": (GroupedQuery(heads=8, kv_heads=1), 78),
        "MLA": (Latent(heads=8, kv_rank=7 * width // 16), 65),
    }
    attention, sixteenths = arms[setting.arm]
    mlp = MLP(hidden=sixteenths * width // 16)
    sizes = {name: setting.size[name] for name in ("context", "layers", "width")}
    return Architecture(**sizes, attention=attention, mlp=mlp)


TRAINING = Training(model=model)


def costs(setting: Setting) -> Figures:
    """Compare the parameters of an arm with those of MHA, and its bytes with those of GQA."""
    mha, gqa = (Setting(arm=arm, size=setting.size) for arm in ("MHA", "GQA"))
    ours, theirs = (TRAINING.cost(each).parameters for each in (setting, mha))
    ratio = kept_bytes(model(setting), 1) / kept_bytes(model(gqa), 1)
    return {"deviation": abs(ours / theirs - 1), "of GQA": ratio}


def trained(setting: Setting) -> Figures:
    """Train an arm, and count the elements that it keeps of a token in each layer."""
    return {**TRAINING(setting), "kept": kept_bytes(model(setting), 1) / 4 / setting.size["layers"]}


ARMS = ["MHA", "GQA", "MQA", "MLA"]
SMOKE = {"layers": 1, "width": 96, "context": 16, "steps": 3}
CPU = {"layers": 3, "width": 96, "context": 64, "steps": 200}
GPU = {"layers": 12, "width": 768, "context": 512, "steps": 20_000}
SIZES: Sizes = {"smoke": SMOKE, "cpu": CPU, "gpu": GPU}
COUNTS = [
    Equal(claim=claim, arm=arm, figure=figure, value=value, tolerance=0.05)
    for claim, arm, figure, value in (
        ("93.3% less, with V2's 6-bit cache", "DeepSeek-V2", "less, 6 bits", 93.3),
        ("82.2% less at equal precision: MLA and fewer layers", "DeepSeek-V2", "less", 82.2),
        ("as much as 2.25 groups", "DeepSeek-V2", "groups", 2.25),
        ("1.8% of what MHA of V2's shape keeps", "DeepSeek-V2", "of MHA", 1.8),
        ("34.9% of what MHA keeps, 357 of 1,024", "mla-experiments", "of MHA", 34.9),
    )
]
BETTER = {"MLA": ("MHA", "GQA"), "MHA": ("GQA",), "GQA": ("MQA",)}
QUALITY = training_part(
    arms=ARMS,
    training=TRAINING,
    sizes=SIZES,
    checks=[
        Less(claim=f"{arm} is better than {than}", arm=arm, than=than, figure=BITS)
        for arm, others in BETTER.items()
        for than in others
    ],
    tuning_seeds=TUNING_SEEDS[:1],
)


EXPERIMENT = Experiment(
    id="mla",
    question="Does the cache of DeepSeek-V2 shrink by 93.3%, and does quality suffer?",
    source=Source(
        paper="DeepSeek-AI 2024, DeepSeek-V2",
        link="arXiv:2405.04434",
        where="abstract; table 1; section 3.2.3; table 9, MMLU 59.0 with MLA, 57.5 with MHA; also "
        "Planetbanatt, Understanding Multi-Head Latent Attention, and its mla.py",
    ),
    claim="Compared with DeepSeek 67B, the KV cache is 93.3% smaller, as with 2.25 groups, and MLA "
    "is better than MHA, which is better than GQA and MQA.",
    parts=[
        Part(
            name="bytes",
            kind="EXACT",
            arms=list(SHAPES),
            measure=elements,
            sizes=SIZES,
            checks=COUNTS,
        ),
        Part(
            name="costs",
            kind="EXACT",
            arms=ARMS,
            measure=costs,
            sizes=SIZES,
            checks=[
                Equal(claim="MLA keeps as much as GQA", arm="MLA", figure="of GQA", value=1),
                *(
                    Below(claim=f"{arm}: as large as MHA", arm=arm, figure="deviation", bound=0.01)
                    for arm in ARMS
                ),
            ],
        ),
        dataclasses.replace(QUALITY, measure=trained),
    ],
    panels=[
        Bars(part="bytes", figure="elements", label="elements kept for a token", log=("x",)),
        Points(
            part="loss",
            x="kept",
            y=BITS,
            x_label="elements kept for a token, per layer",
            y_label="bits per byte, held out",
        ),
    ],
    bounds="The headline counts three things at once: latent attention, fewer layers, and 6 bits "
    "instead of 16; no cache of 6 bits is built here. Quality is of models of 380,000 parameters "
    "with heads of 12 features, after 200 steps; the paper's have 16 and 250 billion parameters.",
    expects="MLA, MHA and GQA within noise of each other, MQA perhaps behind.",
)
