"""How many steps Muon saves: AdamW's, at its best rate, until it is where Muon is after some.

``python -m benches.optimizers --train FILE --val FILE --out DIR``. One model, one order of the
data, one schedule that falls to nothing at the last step; embeddings, head and scales move by AdamW
at the same rates in both. Only what moves the blocks' matrices differs, and each gets the best rate
of a grid of its own. As a rate falls over all steps of a run, each number of steps is a run.
"""

import dataclasses
import shutil
from pathlib import Path

import click

from benches.time_to_loss import prepare
from gpt.parallel.runtime import Runtime
from gpt.runs.metrics import read_metrics
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.presets import fast
from gpt.spec.recipe import Recipe
from gpt.spec.schedule import Linear
from gpt.training.loop import train

MUON_RATES = (0.01, 0.02, 0.04, 0.08)
ADAMW_RATES = (0.00075, 0.0015, 0.003, 0.006)
"""Of the matrices; each grid has its best within."""

RATIOS = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5)
"""How many times Muon's steps AdamW gets."""

EMBEDDING_RATE, HEAD_RATE, BETAS = 0.05, 0.012, (0.8, 0.95)


def _muon(rate: float) -> Muon:
    return Muon(
        lr=rate, iterations=5, embedding_lr=EMBEDDING_RATE, head_lr=HEAD_RATE, scale_lr=rate
    )


def _adamw(rate: float) -> AdamW:
    return AdamW(
        lr=rate, weight_decay=0.0, embedding_lr=EMBEDDING_RATE, head_lr=HEAD_RATE, betas=BETAS
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Setting:
    """What is equal for both."""

    out: Path
    depth: int
    rows: int
    seed: int


def _loss(setting: _Setting, optimizer: AdamW | Muon, steps: int) -> float:
    """Bits per byte on the validation text after *steps*."""
    out = setting.out
    folder = out / "run"
    shutil.rmtree(folder, ignore_errors=True)
    train(
        Recipe(
            data=out / "data",
            out=folder,
            steps=steps,
            batch_size=setting.rows,
            optimizer=optimizer,
            schedule=Linear(decay=0.7),
            seed=setting.seed,
            eval_every=steps,
            checkpoint_every=steps,
            dtype=Runtime.choose().name,
            compile=False,
            model=fast(setting.depth, 64),
        )
    )
    loss = read_metrics(folder / "metrics.jsonl")[-1].val_bpb
    assert loss is not None
    return loss


@click.command()
@click.option("--train", "train_file", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--val", "val_file", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--steps", default=150, show_default=True, help="Steps that Muon gets.")
@click.option("--depth", default=2, show_default=True, help="Layers of the model.")
@click.option("--rows", default=16, show_default=True, help="Rows of 64 tokens in a step.")
@click.option("--seed", default=0, show_default=True, help="Of weights and order of the data.")
def main(
    train_file: Path, val_file: Path, out: Path, steps: int, depth: int, rows: int, seed: int
) -> None:
    """Find how many steps AdamW needs for what Muon reaches in STEPS."""
    out.mkdir(parents=True, exist_ok=True)
    prepare(train_file, val_file, 2048, out / "data")
    setting = _Setting(out=out, depth=depth, rows=rows, seed=seed)
    losses = {rate: _loss(setting, _muon(rate), steps) for rate in MUON_RATES}
    for rate, loss in losses.items():
        click.echo(f"Muon, rate {rate:g}: {loss:.4f} bits per byte after {steps} steps")
    target = min(losses.values())
    for ratio in RATIOS:
        longer = round(steps * ratio)
        found = {rate: _loss(setting, _adamw(rate), longer) for rate in ADAMW_RATES}
        told = ", ".join(f"{loss:.4f} at {rate:g}" for rate, loss in found.items())
        click.echo(f"AdamW, {longer} steps: {told}")
        if min(found.values()) <= target:
            click.echo(f"AdamW takes about {ratio:g} times the steps of Muon to {target:.4f}")
            return
    click.echo(f"AdamW takes more than {RATIOS[-1]:g} times the steps of Muon to {target:.4f}")


if __name__ == "__main__":
    main()
