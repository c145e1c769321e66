"""What of a classifier matters: which token it reads, what is trained, and from what."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpt.adapt.wrapping import adapt
from gpt.data.example_messages import example_messages
from gpt.lab.apparatus.labeled import POOLS, classified, figures, labeled, pooling_error
from gpt.lab.apparatus.texts import shards_of
from gpt.lab.apparatus.training import Run
from gpt.lab.apparatus.tuning import base_run
from gpt.lab.checks import Below, Equal, Greater, NotWorse
from gpt.lab.experiment import (
    TUNING_SEEDS,
    Bars,
    Experiment,
    Figures,
    Part,
    Setting,
    Sizes,
    Source,
)
from gpt.model.shapes import without_memory
from gpt.spec import classifier
from gpt.spec.adapter import LoRA
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.classifier import Pooling
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm
from gpt.spec.position import Learned
from gpt.spec.presets import PRESETS

CONTEXT, VOCAB = 64, 512
GPT2 = Architecture(
    context=1024,
    layers=12,
    width=768,
    attention=GroupedQuery(heads=12, kv_heads=12),
    position=Learned(),
    mlp=MLP(activation="gelu_tanh"),
    norm=LayerNorm(),
    bias=True,
)
LAST_BLOCK: dict[str, Any] = {"train": "last-block"}
ROWS: Mapping[str, Mapping[str, Any]] = {
    "last block": LAST_BLOCK,
    "first token": LAST_BLOCK | {"token": "first"},
    "head only": {"train": "head"},
    "all weights": {"train": "all"},
    "all, random": {"train": "all", "pretrained": False},
    "LoRA": {"train": "lora"},
    "padded": LAST_BLOCK | {"pad_to": CONTEXT},
    "not causal": LAST_BLOCK | {"causal": False},
}
"""Arguments of `plan_classifier`; each row is the first with one change, or what it trains."""


def body(size: Mapping[str, Any]) -> Architecture:
    """Return the model of the base."""
    heads = size["width"] // 24
    attention = GroupedQuery(heads=heads, kv_heads=heads)
    model = PRESETS["llama"](size["layers"], CONTEXT)
    return dataclasses.replace(model, width=size["width"], attention=attention)


def base(size: Mapping[str, Any]) -> Path:
    """Return the base: trained on messages without labels."""
    texts = [each.text for each in example_messages(size["unlabeled"], seed=100)]
    shards = shards_of(f"messages-{size['unlabeled']}", texts, VOCAB)
    return base_run("messages", body(size), Run(steps=size["steps"], data=shards))


def row(setting: Setting) -> Figures:
    """Train and test a classifier; texts for both are of the seed."""
    assert setting.rate is not None
    size, seed = setting.size, setting.seed
    data = labeled(
        f"spam-{size['texts']}-{seed}",
        example_messages(size["texts"], seed=1000 + seed, spam=0.5),
        example_messages(size["tests"], seed=5000 + seed, spam=0.5),
    )
    planned = {"epochs": size["epochs"], "device": setting.device, **ROWS[setting.arm]}
    return figures(classified(base(size), data, rate=setting.rate, seed=seed, **planned))


def reading(setting: Setting) -> Figures:
    """Compare the logits of a token with their definition."""
    token: Pooling = setting.arm  # type: ignore[assignment]
    return {"error": pooling_error(body({"width": 48, "layers": 2}), token, setting.seed)}


def adapters(setting: Setting) -> Figures:
    """Count the parameters that LoRA of rank 16 trains in GPT-2 124M, without memory for it."""
    spec = classifier.Classifier.over(GPT2, classes=("ham", "spam"), head_bias=True)
    model = without_memory(spec.with_vocabulary(50_257))
    model.requires_grad_(False)
    adapt(model, LoRA(rank=16), 0)
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {"blocks": count, "with head": count + 16 * (768 + 2)}


NAMES = ("layers", "width", "steps", "unlabeled", "texts", "tests", "epochs")
SIZES: Sizes = {
    "smoke": dict(zip(NAMES, (1, 48, 3, 100, 64, 32, 1), strict=True)),
    "cpu": dict(zip(NAMES, (3, 96, 500, 6000, 1000, 500, 3), strict=True)),
    "gpu": dict(zip(NAMES, (8, 384, 5000, 100_000, 1494, 5000, 5), strict=True)),
}
NONE: Sizes = {name: {} for name in SIZES}


def better(arm: str, than: str, claim: str) -> Greater:
    """Return the check that an arm classifies more texts right than another."""
    return Greater(claim=claim, arm=arm, than=than, figure="accuracy")


EXPERIMENT = Experiment(
    id="spam",
    question="What of a classifier matters: its token, its weights, or where they come from?",
    source=Source(
        paper="Raschka 2024, Build a Large Language Model (From Scratch), chapter 6",
        link="https://github.com/rasbt/LLMs-from-scratch",
        where="ch06/02_bonus_additional-experiments, test accuracies of 19 rows, by GPT-2 124M; "
        "appendix E, 2,666,528 parameters of LoRA",
    ),
    claim="The last block, trained to read the last token, has 95.67%; the first token has 75.00%, "
    "the head alone 72.00%, all weights 96.67%, random at first 93.67%, LoRA 96.67%, without the "
    "causal mask 95.33%, padded to the context 78.33%.",
    parts=[
        Part(
            name="reading",
            kind="EXACT",
            arms=tuple(POOLS),
            measure=reading,
            sizes=NONE,
            checks=[
                Below(
                    claim=f"{token}: the head reads it of each text, whatever the padding",
                    arm=token,
                    figure="error",
                    bound=1e-6,
                )
                for token in POOLS
            ],
        ),
        Part(
            name="adapters",
            kind="EXACT",
            arms=["LoRA"],
            measure=adapters,
            sizes=NONE,
            checks=[
                Equal(claim=claim, arm="LoRA", figure=figure, value=value)
                for figure, value, claim in (
                    ("with head", 2_666_528, "rank 16 in blocks and head of GPT-2 124M: 2,666,528"),
                    ("blocks", 2_654_208, "the head, trained as a whole here, has 12,320 of them"),
                )
            ],
        ),
        Part(
            name="rows",
            kind="QUALITY",
            arms=list(ROWS),
            measure=row,
            sizes=SIZES,
            rates=(1e-3, 3e-3, 1e-2),
            chosen_by="loss",
            noise_of="accuracy",
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                better("last block", "first token", "the last token is better than the first"),
                better("last block", "head only", "the last block is better than the head alone"),
                better(
                    "all weights", "all, random", "a trained base is better than random weights"
                ),
                better("last block", "padded", "padding to the context, read as text, does harm"),
                NotWorse(
                    claim="LoRA is as good as all weights, within 2 points",
                    arm="LoRA",
                    than="all weights",
                    figure="error",
                    margin=0.02,
                ),
                NotWorse(
                    claim="without the causal mask it is as good, within 2 points",
                    arm="not causal",
                    than="last block",
                    figure="error",
                    margin=0.02,
                ),
            ],
        ),
    ],
    panels=[Bars(part="rows", figure="accuracy", label="accuracy on new texts")],
    bounds="The chapter has SMS, and GPT-2 124M trained on 40 GB of text; here messages are made "
    "up, of which single words say little, and the base of 3 layers has read 6,000 of them. Each "
    "row has its own best rate, where the chapter has 5e-5 for all. Its padding fills 120 tokens "
    "to 1,024, ours about 25 to 64.",
    expects="The first token and the head alone far worse, random weights worse by 10 points, LoRA "
    "within 2 points of all weights; padding does little at this length.",
)
