"""The optimizer steps that Muon saves: how many AdamW needs to reach the loss of Muon.

``python -m benches.optimizers --train FILE --val FILE --out DIR``. Both train the same model on the
same order of the data, with a schedule that decays to zero at the last step, and both optimize
embeddings, head and scales with AdamW at the same rates. Only the optimizer of the blocks' matrices
differs, each at the best learning rate of its own grid. Since the schedule depends on the number of
steps, each number is a separate run.
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
"""Learning rates of the matrices; the best of each grid is not at its end."""

RATIOS = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5)
"""Steps of AdamW, relative to those of Muon."""

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
class _Shared:
    """The settings of both optimizers."""

    out: Path
    depth: int
    rows: int
    seed: int


def _loss(shared: _Shared, optimizer: AdamW | Muon, steps: int) -> float:
    """Train for *steps*; return the bits per byte of the validation text."""
    out = shared.out
    folder = out / "run"
    shutil.rmtree(folder, ignore_errors=True)
    train(
        Recipe(
            data=out / "data",
            out=folder,
            steps=steps,
            batch_size=shared.rows,
            optimizer=optimizer,
            schedule=Linear(decay=0.7),
            seed=shared.seed,
            eval_every=steps,
            checkpoint_every=steps,
            dtype=Runtime.choose().name,
            compile=False,
            model=fast(shared.depth, 64),
        )
    )
    figures = read_metrics(folder / "metrics.jsonl")[-1].val
    assert figures is not None
    return figures["bits_per_byte"]


@click.command()
@click.option("--train", "train_file", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--val", "val_file", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--steps", default=150, show_default=True, help="Optimizer steps of Muon.")
@click.option("--depth", default=2, show_default=True, help="Layers of the model.")
@click.option("--rows", default=16, show_default=True, help="Rows of 64 tokens per step.")
@click.option("--seed", default=0, show_default=True, help="Seed of weights and order of data.")
def main(
    train_file: Path, val_file: Path, out: Path, steps: int, depth: int, rows: int, seed: int
) -> None:
    """Find how many steps AdamW needs to reach the loss of Muon after STEPS."""
    out.mkdir(parents=True, exist_ok=True)
    prepare(train_file, val_file, 2048, out / "data")
    shared = _Shared(out=out, depth=depth, rows=rows, seed=seed)
    losses = {rate: _loss(shared, _muon(rate), steps) for rate in MUON_RATES}
    for rate, loss in losses.items():
        click.echo(f"Muon, rate {rate:g}: {loss:.4f} bits per byte after {steps} steps")
    target = min(losses.values())
    for ratio in RATIOS:
        longer = round(steps * ratio)
        found = {rate: _loss(shared, _adamw(rate), longer) for rate in ADAMW_RATES}
        figures = ", ".join(f"{loss:.4f} at {rate:g}" for rate, loss in found.items())
        click.echo(f"AdamW, {longer} steps: {figures}")
        if min(found.values()) <= target:
            click.echo(f"AdamW takes about {ratio:g} times the steps of Muon to {target:.4f}")
            return
    click.echo(f"AdamW takes more than {RATIOS[-1]:g} times the steps of Muon to {target:.4f}")


if __name__ == "__main__":
    main()
