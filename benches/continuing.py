"""Continued pretraining: what is gained on a new domain, and what is forgotten of the old one.

``python -m benches.continuing RUN --data TEXT --out DIR``: tunes the run on the text, for each arm
with the same number of epochs, and prints bits per byte on both validation splits, before and
after. Bits per byte compare vocabularies, which tokens cannot. Results are appended to
DIR/results.jsonl, and those in it are not made again.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from gpt.data.shards import open_data, open_split
from gpt.data.sources import prepare
from gpt.evaluation.bits_per_byte import evaluate
from gpt.parallel.runtime import Runtime
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.runs.store import Memory
from gpt.spec.adapter import LoRA
from gpt.training.tuning.planning import plan_tuning
from gpt.training.tuning.run import tune
from pytok import shards
from pytok.tokenizer import Tokenizer

REPLAY = (0.0, 0.1, 0.3)
RESULTS = "results.jsonl"


@dataclass(frozen=True)
class Arm:
    """A way to continue the pretraining."""

    extension: int = 0
    """New tokens."""
    full: bool = True
    """Whether all weights are trained, or adapters."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the task."""

    @property
    def name(self) -> str:
        """What is printed of it."""
        parts = ["all weights" if self.full else "LoRA", f"{self.extension} new tokens"]
        return ", ".join([*parts, *(f"{name} {value}" for name, value in self.fields.items())])


def arms(extension: int) -> Iterator[Arm]:
    """Yield the arms: replay with and without new tokens, their rows, and the rows trained."""
    for tokens in (0, extension):
        for replay in REPLAY:
            yield Arm(tokens, fields={"replay": replay})
    for rows in ("ends", "average", "random"):
        yield Arm(extension, fields={"replay": 0.0, "new_rows": rows})
    for rows in ("new", "all"):
        yield Arm(extension, full=False, fields={"replay": 0.0, "train_rows": rows})


def measure(
    base: Path, data: Path, out: Path, arm: Arm, epochs: float, seed: int
) -> dict[str, Any]:
    """Tune *base* by *arm* on the text *data*; return bits per byte."""
    checkpoint = read_checkpoint(base)
    folder = prepared(checkpoint, data, out, arm.extension)
    plan = plan_tuning(
        base,
        data=folder,
        out=out / "run",
        adapter=None if arm.full else LoRA(),
        epochs=epochs,
        seed=seed,
        **arm.fields,
    )
    steps = plan.recipe.steps or 1
    plan = plan.replace(out=None, eval_every=steps, checkpoint_every=steps, patience=None)
    store = Memory()
    tuned = tune(plan, store=store)
    assert tuned.val is not None
    assert tuned.base is not None
    runtime = Runtime.choose(plan.recipe.device, plan.recipe.dtype)
    old_text = open_split(open_data(retokenized(checkpoint, folder, out, arm.extension)), "train")
    return {
        "arm": arm.name,
        "seed": seed,
        "epochs": epochs,
        "steps": steps,
        "val": tuned.val.after,
        "val_start": tuned.val.before,
        "old": tuned.base.after,
        "old_before": tuned.base.before,
        "old_retokenized": evaluate(store.read().model(), old_text, runtime=runtime).bits_per_byte,
    }


def prepared(checkpoint: Checkpoint, data: Path, out: Path, extension: int) -> Path:
    """Return the shards of the text *data* with *extension* new tokens."""
    folder = out / f"extended-{extension}"
    tokenizer = str(checkpoint.folder / "tokenizer.json")
    return prepare(data, folder, tokenizer=tokenizer, extend=extension)


def retokenized(checkpoint: Checkpoint, folder: Path, out: Path, extension: int) -> Path:
    """Return shards of the held-out text of the base, by the tokenizer of *folder*."""
    target = out / f"old-{extension}"
    if not target.exists():
        split = open_split(open_data(checkpoint.state.recipe.data), "val")
        text = checkpoint.tokenizer().decode_bytes(split.read(0, len(split)).tolist())
        file = out / "old.txt"
        file.write_bytes(text.replace(b"<|endoftext|>", b""))
        shards.write(file, Tokenizer.load(folder / "tokenizer.json"), target, val=0)
    return target


@click.command()
@click.argument("base", type=click.Path(path_type=Path, exists=True))
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--extension", default=512, show_default=True, help="New tokens.")
@click.option("--epochs", default=2.0, show_default=True)
@click.option("--seeds", default=1, show_default=True, help="Repeat with seeds 0, 1, ...")
def main(base: Path, data: Path, out: Path, extension: int, epochs: float, seeds: int) -> None:
    """Continue the pretraining of BASE on a text, in several ways."""
    out.mkdir(parents=True, exist_ok=True)
    results = out / RESULTS
    lines = results.read_text().splitlines() if results.exists() else []
    known = [json.loads(line) for line in lines]
    before = read_checkpoint(base)
    shown = prepared(before, data, out, 0)
    runtime = Runtime.choose()
    split = open_split(open_data(shown), "val")
    bits = evaluate(before.model(), split, runtime=runtime).bits_per_byte
    click.echo(f"{base}: {bits:.4f} bits per byte on {data}")
    for seed in range(seeds):
        for arm in arms(extension):
            key = {"arm": arm.name, "seed": seed, "epochs": epochs}
            found = [each for each in known if key.items() <= each.items()]
            row = found[0] if found else measure(base, data, out, arm, epochs, seed)
            if not found:
                with results.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            assert math.isfinite(row["val"])
            click.echo(
                f"{arm.name}, seed {seed}: new {row['val_start']:.4f} -> {row['val']:.4f}, old "
                f"{row['old_before']:.4f} -> {row['old']:.4f} ({row['old_retokenized']:.4f} as the "
                f"tokenizer of the run encodes it), {row['steps']} steps"
            )


if __name__ == "__main__":
    main()
