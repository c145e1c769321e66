"""Query heads that share key and value heads, made from a model that has one for each."""

from __future__ import annotations

import dataclasses

import torch

from gpt.interop.shared import write_shared
from gpt.lab.apparatus.attentions import kept_bytes
from gpt.lab.apparatus.definitions import grouped
from gpt.lab.apparatus.probes import attention_in, leak, passed, random_ids, random_model
from gpt.lab.apparatus.texts import english_shards
from gpt.lab.apparatus.training import BITS, DIVERGED, LEAK, Run, Training, causality, held_out_bits
from gpt.lab.apparatus.tuning import base_run, tuned
from gpt.lab.checks import Below, Equal, Less, NotWorse
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Part, Setting, Source
from gpt.model.sharing import share_heads
from gpt.runs.reading import read_checkpoint
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.attention_base import Pool
from gpt.spec.schedule import Cosine

START = "converted"
WARM = Cosine(warmup=0.2, floor=0.1)
KV_HEADS = {"MHA": 8, "GQA-4": 4, "GQA-2": 2, "MQA": 1, "MQA, first": 1, "MQA, random": 1}
POOLS: dict[str, Pool] = {"MQA, first": "first", "MQA, random": "random"}  # others: the mean


def model(setting: Setting) -> Architecture:
    """Return the model of an arm, of 8 query heads."""
    sizes = {name: setting.size[name] for name in ("context", "layers", "width")}
    attention = GroupedQuery(heads=8, kv_heads=KV_HEADS[setting.arm])
    return Architecture(**sizes, attention=attention)


def uptraining(setting: Setting) -> Run:
    """Return how a model of shared heads is trained: for another 5% of the steps of its base."""
    return Run(steps=max(1, setting.size["steps"] // 20), device=setting.device)


@torch.no_grad()
def equalities(setting: Setting) -> Figures:
    """Compare shared heads with the mean and the first, and attention with its definition."""
    kv_heads, context = KV_HEADS[setting.arm], setting.size["context"]
    mha = dataclasses.replace(model(Setting(arm="MHA", size=setting.size)), position=None)
    gpt = random_model(mha, 512, setting.seed, dtype=torch.float32)
    groups = attention_in(gpt).key.weight.unflatten(0, (kv_heads, 8 // kv_heads, -1))
    means, firsts = (share_heads(gpt, kv_heads, pool) for pool in ("mean", "first"))
    pairs = ((means, groups.mean(1)), (firsts, groups[:, 0]))
    errors = [
        (attention_in(gpt).key.weight - each.flatten(0, 1)).abs().max() for gpt, each in pairs
    ]
    ids = random_ids(gpt, 2, context)
    changed = float((means(ids) - gpt(ids)).abs().max())
    x, y = passed(means.double(), attention_in(means), context)
    return {
        "definition": float((grouped(attention_in(means), x) - y).abs().max()),
        "pooling": float(max(errors)),
        "changed": changed,
        "kept": kept_bytes(model(setting), context) / kept_bytes(mha, context),
    }


def converted(setting: Setting) -> Figures:
    """Pretrain, share heads, measure, train for another 5% of the steps, and measure again."""
    assert setting.rate is not None  # the part has a grid of them
    mha, how = model(Setting(arm="MHA", size=setting.size)), uptraining(setting)
    longer = dataclasses.replace(how, steps=setting.size["steps"])
    base = base_run(f"gqa-{mha.width}", mha, longer, seed=setting.seed)
    shared, pool = base.parent / setting.arm, POOLS.get(setting.arm, "mean")
    if not shared.exists():
        write_shared(shared, read_checkpoint(base), KV_HEADS[setting.arm], pool, setting.seed)
    after = tuned(
        shared,
        english_shards(512),
        rate=setting.rate,
        seed=setting.seed,
        device=setting.device,
        changes={"steps": how.steps, "batch_size": how.rows, "schedule": WARM, "patience": None},
        adapter=None,
        row_length=mha.context,
    )
    start = held_out_bits(read_checkpoint(shared).model(), english_shards(512))
    if after is None:
        return {START: start, BITS: DIVERGED, LEAK: 0.0}
    gpt = after.model()
    return {START: start, BITS: held_out_bits(gpt, english_shards(512)), LEAK: leak(gpt)}


SMOKE = {"context": 16, "layers": 1, "width": 64, "steps": 4}
CPU = {"context": 64, "layers": 3, "width": 96, "steps": 300}
GPU = {"context": 1024, "layers": 12, "width": 768, "steps": 20_000}
SHARING = [
    check
    for arm, kv_heads in list(KV_HEADS.items())[:4]
    for check in (
        Below(claim=f"{arm} equals its definition", arm=arm, figure="definition", bound=1e-12),
        Below(claim=f"{arm}: the mean, or first, head", arm=arm, figure="pooling", bound=1e-6),
        Equal(claim=f"{arm} keeps {kv_heads}/8", arm=arm, figure="kept", value=kv_heads / 8),
    )
]
ORDER = {
    "the mean is better than the first head, at once": ("MQA", "MQA, first", START),
    "the first head is better than new weights, at once": ("MQA, first", "MQA, random", START),
    "the mean is better than the first head, after 5%": ("MQA", "MQA, first", BITS),
    "the first head is better than new weights, after 5%": ("MQA, first", "MQA, random", BITS),
    "GQA with 2 of 8 heads is better than MQA, after 5%": ("GQA-2", "MQA", BITS),
}

EXPERIMENT = Experiment(
    id="gqa",
    question="Can a trained model share its key and value heads, and what does it cost?",
    source=Source(
        paper="Ainslie 2023, GQA: Training Generalized Multi-Query Transformer Models",
        link="arXiv:2305.13245",
        where="table 1, T5-XXL: MHA 47.2, GQA-8 47.1, MQA 46.6; figure 4, ways to pool",
    ),
    claim="After another 5% of the steps GQA is nearly as good as multi-head attention, 47.1 to "
    "47.2, and better than MQA with 46.6. The mean of heads is the best start, then the first "
    "head, then new weights.",
    parts=[
        Part(
            name="sharing",
            kind="EXACT",
            arms=list(KV_HEADS)[:4],
            measure=equalities,
            sizes={"smoke": SMOKE, "cpu": SMOKE, "gpu": SMOKE},
            checks=[
                *SHARING,
                Equal(claim="8 of 8 is the same model", arm="MHA", figure="changed", value=0),
            ],
        ),
        Part(
            name="uptraining",
            kind="QUALITY",
            arms=list(KV_HEADS),
            measure=converted,
            sizes={"smoke": SMOKE, "cpu": CPU, "gpu": GPU},
            checks=[
                *(
                    Less(claim=claim, arm=arm, than=than, figure=figure)
                    for claim, (arm, than, figure) in ORDER.items()
                ),
                NotWorse(
                    claim="GQA with 4 of 8 heads is within 0.02 of MHA, after 5%",
                    arm="GQA-4",
                    than="MHA",
                    figure=BITS,
                    margin=0.02,
                ),
                *causality([""]),
            ],
            rates=(1e-4, 3e-4, 1e-3, 3e-3),
            chosen_by=BITS,
            cost=Training(model=model, how=uptraining).cost,
            tuning_seeds=TUNING_SEEDS[:1],
        ),
    ],
    panels=[
        Bars(part="uptraining", figure=START, label="bits per byte, right after conversion"),
        Bars(part="uptraining", figure=BITS, label="bits per byte, after 5% more steps"),
    ],
    bounds="The paper converts T5 of 11 billion parameters after a million steps; here 5% are 15 "
    "steps of a model whose 8 heads have 12 features each. Each seed has a base of its own. How "
    "fast grouped heads decode is measured by `kv`.",
    expects="At once the mean is the best, new weights by far the worst. After 5% GQA is close to "
    "MHA, MQA a little behind.",
)
