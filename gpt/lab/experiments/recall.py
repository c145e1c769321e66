"""What each kind of attention can learn of six synthetic tasks, and what recall needs in bytes."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.data.batch import IGNORED
from gpt.lab.apparatus.attentions import attentions, kept_bytes
from gpt.lab.apparatus.probes import cache_error, leak, random_model
from gpt.lab.apparatus.synthetic import TASKS, VOCAB, Decoder
from gpt.lab.checks import Below, Greater, Ranked
from gpt.lab.experiment import Cost, Experiment, Figures, Grid, Part, Points, Setting, Sizes, Source
from gpt.model.flops import parts_of, training_flops
from gpt.model.gpt import GPT
from gpt.model.shapes import without_memory
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.embedding import TokenShift
from gpt.spec.linear_attention import LinearAttention
from gpt.spec.mlp import MLP

ARMS = ["MHA", "MQA", "MLA", "window", "window 1:1", "linear", "linear, 1 head"]


def model(setting: Setting) -> Architecture:
    """Return the model of an arm. Its token shift lets a key know the token before it."""
    one_head = {"linear, 1 head": LinearAttention(heads=1)}
    return Architecture(
        context=setting.size["tokens"],
        layers=2,
        width=setting.size["width"],
        attention=(attentions(heads=8, window=8) | one_head)[setting.arm],
        shift=TokenShift(),
        mlp=MLP(hidden=2 * setting.size["width"]),
    )


def accuracy(setting: Setting, task: str) -> float:
    """Train a model on new rows of *task* in each step; return its accuracy on others."""
    size, device = setting.size, setting.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setting.seed)
        gpt = GPT(GPTConfig.over(model(setting), VOCAB), setting.seed).to(device)
        decoder = Decoder(size["width"], size["tokens"]).to(device)

    def predicted(ids: Tensor) -> Tensor:
        logits: Tensor = decoder(gpt.hidden(ids)[0]) if task == "compression" else gpt(ids)
        return logits

    rng, steps = np.random.default_rng(setting.seed), size["steps"]
    parameters = [*gpt.parameters(), *decoder.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=size["rate"], weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, size["rate"], steps, pct_start=0.1)
    for _ in range(steps):
        ids, targets = (each.to(device) for each in TASKS[task](rng, size["rows"], size["tokens"]))
        logits = predicted(ids)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    ids, targets = (each.to(device) for each in TASKS[task](rng, 256, size["tokens"]))
    with torch.inference_mode():
        right = predicted(ids).argmax(-1) == targets
    return float(right.sum() / (targets != IGNORED).sum())


def learned(setting: Setting) -> Figures:
    """Return the accuracy of an arm in each task, and the bytes that it keeps of a row."""
    found = {task: accuracy(setting, task) for task in TASKS}
    kept = kept_bytes(model(setting), setting.size["tokens"])
    return {**found, "mean": sum(found.values()) / len(found), "kept": float(kept)}


def guards(setting: Setting) -> Figures:
    """Return what a model with random weights sees of later tokens, and loses by its cache."""
    gpt = random_model(model(setting), VOCAB, setting.seed)
    return {"leak": leak(gpt), "decoding": cache_error(gpt, setting.size["tokens"])}


def cost(setting: Setting) -> Cost:
    """Return the parameters of a model, and the FLOPs of training it for all tasks."""
    size, gpt = setting.size, without_memory(GPTConfig.over(model(setting), VOCAB))
    tokens = len(TASKS) * size["steps"] * size["rows"] * size["tokens"]
    parameters = sum(part.parameters for part in parts_of(gpt).values())
    return Cost(parameters=parameters, flops=float(training_flops(gpt)) * tokens)


KEPT = {
    arm: kept_bytes(model(Setting(arm=arm, size={"tokens": 48, "width": 64})), 48) for arm in ARMS
}
SMOKE = {"tokens": 16, "width": 64, "rows": 4, "steps": 2, "rate": 3e-3}
CPU = {"tokens": 48, "width": 64, "rows": 16, "steps": 200, "rate": 3e-3}
GPU = {"tokens": 128, "width": 128, "rows": 128, "steps": 20_000, "rate": 1e-3}
SIZES: Sizes = {"smoke": SMOKE, "cpu": CPU, "gpu": GPU}
HEADS = ("recall", "noisy", "fuzzy", "copy", "memory", "code")
BETTER = {
    "attention recalls better than sums of constant size": ("MHA", "linear", "recall"),
    "and better than a window": ("MHA", "window", "recall"),
    "also among noise": ("MHA", "linear", "noisy recall"),
    "and by fuzzy keys": ("MHA", "linear", "fuzzy recall"),
    "a larger state of linear attention recalls better": ("linear, 1 head", "linear", "recall"),
    "attention copies better than a window": ("MHA", "window", "selective copying"),
}
GUARDS = [
    Below(claim=f"{arm} {claim}", arm=arm, figure=figure, bound=1e-10)
    for arm in ARMS
    for claim, figure in (("sees no later tokens", "leak"), ("decodes as it reads", "decoding"))
]

EXPERIMENT = Experiment(
    id="recall",
    question="Which attention learns which skill, and is recall a matter of bytes?",
    source=Source(
        paper="Poli 2024, Mechanistic Design and Scaling of Hybrid Architectures (MAD)",
        link="arXiv:2403.17844",
        where="six tasks; Arora 2023, Zoology, arXiv:2312.04927: recall against the state's size",
    ),
    claim="Attention recalls and copies what mixers with a state of constant size do not; the more "
    "bytes a mixer keeps, the better it recalls.",
    parts=[
        Part(
            name="guards",
            kind="EXACT",
            arms=ARMS,
            measure=guards,
            sizes={"smoke": SMOKE, "cpu": SMOKE, "gpu": SMOKE},
            checks=GUARDS,
        ),
        Part(
            name="skills",
            kind="QUALITY",
            arms=ARMS,
            measure=learned,
            sizes=SIZES,
            checks=[
                *(
                    Greater(claim=claim, arm=arm, than=than, figure=figure)
                    for claim, (arm, than, figure) in BETTER.items()
                ),
                Ranked(
                    claim="the more bytes are kept, the better is recall",
                    figure="recall",
                    paper=KEPT,
                    least=0.6,
                ),
            ],
            cost=cost,
        ),
    ],
    panels=[
        Grid(part="skills", figures=dict(zip(HEADS, TASKS, strict=True)), label="accuracy"),
        Points(
            part="skills",
            x="kept",
            y="recall",
            x_label="bytes kept of 48 tokens",
            y_label="accuracy of recall",
            log=("x",),
        ),
    ],
    bounds="MAD has 12,800 rows of 128 tokens, sizes and rates; here 3,200 rows of 48 at one, and "
    "a token shift in every arm. Its compression has an encoder; here a decoder's last state is "
    "read. Bytes are after 48 tokens; MQA keeps few of each, so they rank only arms of a kind.",
    expects="Attention is best at recall and copying, windows worst; all memorize.",
    seeds={"smoke": 1, "cpu": 3, "gpu": 5},
)
