"""Chapter 10: one change at a time, over eight seeds: what each change does to bits per byte."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from style import BLUE, GRAY, ORANGE, save

from gpt.spec.architecture import Architecture
from gpt.spec.mlp import MLP
from gpt.spec.norm import RMSNorm
from gpt.spec.position import ALiBi, Rope
from gpt.spec.presets import PRESETS

MEASURED = Path(__file__).with_suffix(".json")
SEEDS = range(8)
STEPS = 200
CONTEXT = 32
BASE = replace(PRESETS["gpt2"](2, CONTEXT), width=64)
CHANGES = {
    "nothing: other seeds": BASE,
    "norm=RMSNorm": replace(BASE, norm=RMSNorm()),
    "mlp.activation=relu2": replace(BASE, mlp=MLP(activation="relu2")),
    "mlp.gated=true": replace(BASE, mlp=MLP(activation="silu", gated=True)),
    "position=ALiBi": replace(BASE, position=ALiBi()),
    "position=Rope": replace(BASE, position=Rope()),
}
"""Models by the setting that differs from `BASE`."""


def measure() -> dict[str, list[float]]:
    """Bits per byte on the held-out text by model and seed; takes minutes."""
    import torch
    import torch.nn.functional as F

    import pytok
    from gpt.model.gpt import GPT
    from gpt.spec.architecture import GPTConfig
    from pytok.chat.example import example_chat

    torch.set_num_threads(1)
    chat = example_chat(4000)
    lines = [f"{m.text}\n" for m in chat if m.sender == "Jonas" and m.kind == "text"]
    cut = len(lines) * 9 // 10
    train, val = "".join(lines[:cut]), "".join(lines[cut:])
    tokenizer = pytok.train([train], 512, pattern="gpt2", special_tokens=())
    ids = torch.tensor(tokenizer.encode_ordinary(train))
    held_out = torch.tensor(tokenizer.encode_ordinary(val)).unfold(0, CONTEXT + 1, CONTEXT)
    size = len(tokenizer.decode_bytes(held_out[:, 1:].flatten().tolist()))

    def bits_per_byte(architecture: Architecture, seed: int) -> float:
        model = GPT(GPTConfig.over(architecture, 512), seed)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.004)
        rows = torch.Generator().manual_seed(seed)
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = 0.004 * min(1, (step + 1) / 20, 2 - 2 * step / STEPS)
            starts = torch.randint(len(ids) - CONTEXT, (16,), generator=rows)
            batch = torch.stack([ids[start : start + CONTEXT + 1] for start in starts])
            loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        with torch.no_grad():
            logits = model(held_out[:, :-1]).flatten(0, 1)
            nats = F.cross_entropy(logits, held_out[:, 1:].flatten(), reduction="sum")
        return round(nats.item() / math.log(2) / size, 4)

    results = {"base": [bits_per_byte(BASE, seed) for seed in SEEDS]}
    for name, architecture in CHANGES.items():
        shift = 100 if architecture is BASE else 0
        results[name] = [bits_per_byte(architecture, seed + shift) for seed in SEEDS]
        print(name, results[name], file=sys.stderr)
    return results


def draw() -> Figure:
    """A row for each change: a dot for each seed, the mean, and its 95% interval."""
    results = json.loads(MEASURED.read_text())
    base = np.array(results.pop("base"))
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots()
    for row, values in enumerate(results.values()):
        differences = np.array(values) - base
        mean, error = differences.mean(), differences.std(ddof=1) / math.sqrt(len(differences))
        axes.plot(differences, np.full(len(base), row), "o", color=BLUE, alpha=0.35, ms=5)
        axes.errorbar(mean, row, xerr=2.36 * error, fmt="D", color=ORANGE, capsize=4, ms=6)
        axes.text(
            1.01, row, f"z = {mean / error:+.1f}", transform=axes.get_yaxis_transform(), va="center"
        )
    axes.axvline(0, color=GRAY, lw=1)
    axes.set_yticks(range(len(results)), list(results))
    axes.invert_yaxis()
    axes.set_xlabel("bits per byte, minus those of the base with the same seed (left is better)")
    return figure


if __name__ == "__main__":
    if "--measure" in sys.argv:
        MEASURED.write_text(json.dumps(measure(), indent=1) + "\n")
    save(draw(), __file__)
