"""Training time to a target loss: from raw text to bits per byte on held-out text.

``python -m benches.time_to_loss --train FILE --val FILE --target BPB --out DIR``. The tokenizer is
trained on the training text only, and the complete validation text is measured. The learning rate
decays to zero at the end of a run, so each of `RUNGS` is a separate run; the shortest is tried
first, until one reaches the target. Seconds are those of all training steps, including the first,
without evaluation; nothing is compiled or warmed up before.
"""

import dataclasses
import math
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import click

import pytok
from gpt.data.shards import open_data, open_split
from gpt.evaluation.bits_per_byte import evaluate
from gpt.generation.ensemble import open_ensemble
from gpt.parallel.runtime import Runtime
from gpt.runs.metrics import Row, read_metrics, write_records
from gpt.runs.reading import read_checkpoint
from gpt.spec.architecture import Architecture
from gpt.spec.dropout import Dropout
from gpt.spec.embedding import TokenShift
from gpt.spec.optimizer import Muon
from gpt.spec.presets import fast
from gpt.spec.recipe import Recipe
from gpt.spec.schedule import Linear
from gpt.training.loop import train
from pytok import shards

SCORE = "bits_per_byte"
SUMS = ("step", "tokens", "bytes", "seconds")
"""Fields of a row that are sums since the start of training."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rung:
    """A run of about *seconds* on two cores with AVX512-BF16."""

    seconds: int
    vocab: int
    steps: int
    rows: int
    model: Architecture
    optimizer: Muon
    schedule: Linear
    average: float | None = None
    bpe_dropout: float = 0.0
    members: int = 1
    """Number of models, trained in sequence, that form an ensemble at the end."""


RUNGS = (
    Rung(
        seconds=1,
        vocab=1536,
        steps=33,
        rows=16,
        model=dataclasses.replace(fast(2, 64), value_embedding=None, shift=TokenShift()),
        optimizer=Muon(
            lr=0.006,
            momentum=0.75,
            iterations=3,
            embedding_lr=0.06,
            head_lr=0.016,
            betas=(0.6, 0.95),
        ),
        schedule=Linear(decay=0.6),
    ),
    Rung(
        seconds=8,
        vocab=2048,
        steps=200,
        rows=16,
        model=fast(3, 64),
        optimizer=Muon(iterations=3, embedding_lr=0.05),
        schedule=Linear(decay=0.8),
    ),
    Rung(
        seconds=70,
        vocab=2048,
        steps=430,
        rows=16,
        model=fast(4, 128),
        optimizer=Muon(iterations=3, weight_decay=0.2),
        schedule=Linear(decay=0.8),
    ),
    Rung(
        seconds=900,
        vocab=2048,
        steps=930,
        rows=8,
        model=dataclasses.replace(fast(6, 256), dropout=Dropout(rate=0.2), shift=TokenShift()),
        optimizer=Muon(iterations=3, weight_decay=0.3, embedding_lr=0.02, head_lr=0.006),
        schedule=Linear(decay=0.9),
        average=0.99,
        bpe_dropout=0.15,
        members=2,
    ),
)


def climb(out: Path, rungs: Sequence[Rung], target: float, seed: int) -> list[Row]:
    """Train *rungs* until one reaches *target* bits per byte; return the best row of each run.

    For a run that reaches the target, it is the first row that does. All rows of the last run are
    in *out*/metrics.jsonl.
    """
    ends: list[Row] = []
    for rung in rungs:
        rows = _rows(out, rung, seed)
        write_records(out / "metrics.jsonl", rows)
        measured = [row for row in rows if row.val is not None]
        reached = [row for row in measured if _loss(row) <= target]
        ends.append(reached[0] if reached else min(measured, key=_loss))
        if reached:
            break
    return ends


def _rows(out: Path, rung: Rung, seed: int) -> list[Row]:
    """Train the models of *rung*; if there are several, the last row is that of the ensemble."""
    folders = [out / f"seed-{seed}-{rung.seconds}s-{member}" for member in range(rung.members)]
    rows: list[Row] = []
    for member, folder in enumerate(folders):
        _train(out, rung, folder, seed * rung.members + member)
        before = rows[-1] if rows else Row(step=0, tokens=0, bytes=0, seconds=0.0, loss=0.0, lr=0.0)
        rows += [_after(before, row) for row in read_metrics(folder / "metrics.jsonl")]
    if rung.members > 1:
        bits = _ensemble_bits(folders)
        rows[-1] = dataclasses.replace(rows[-1], val={SCORE: bits})
    return rows


def _train(out: Path, rung: Rung, folder: Path, seed: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    train(
        Recipe(
            data=out / f"data-{rung.vocab}",
            out=folder,
            steps=rung.steps,
            batch_size=rung.rows,
            optimizer=rung.optimizer,
            schedule=rung.schedule,
            average=rung.average,
            bpe_dropout=rung.bpe_dropout,
            seed=seed,
            eval_every=max(rung.steps // 10, 20),
            checkpoint_every=rung.steps,
            dtype=Runtime.choose().name,
            compile=False,
            model=rung.model,
        )
    )


def _after(before: Row, row: Row) -> Row:
    """Return *row* with the sums of *before*, the last row of the model trained before it."""
    sums = {name: getattr(before, name) + getattr(row, name) for name in SUMS}
    return dataclasses.replace(row, **sums)


def _ensemble_bits(folders: Sequence[Path]) -> float:
    """Return the bits per byte of the ensemble of the last models of the runs *folders*."""
    first = read_checkpoint(folders[0])
    runtime = Runtime.choose()
    model = open_ensemble(first, folders[1:], runtime.device)
    split = open_split(open_data(first.state.recipe.data), "val")
    return evaluate(model, split, runtime=runtime).bits_per_byte


def _loss(row: Row) -> float:
    """Return the bits per byte of *row*, infinite if they are NaN or missing."""
    loss = (row.val or {}).get(SCORE, math.inf)
    return math.inf if math.isnan(loss) else loss


def prepare(train_file: Path, val_file: Path, vocab: int, out: Path) -> None:
    """Write a tokenizer and shards of the two files, for training and validation, to *out*."""
    tokenizer = pytok.train(train_file, vocab_size=vocab, special_tokens=("<|endoftext|>",))
    sizes = [file.stat().st_size for file in (train_file, val_file)]
    # Half a byte less, so that the boundary is between the files however the product is rounded.
    held_out = (sizes[1] - 0.5) / sum(sizes)
    shards.write([train_file, val_file], tokenizer, out, val=held_out, overwrite=True)


@click.command()
@click.option("--train", "train_file", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--val", "val_file", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--target", type=float, required=True, help="Bits per byte to reach.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--seeds", default=1, show_default=True, help="Repeat with seeds 0, 1, ...")
@click.option("--seconds", type=int, default=900, show_default=True, help="Longest run to try.")
@click.option("--only", is_flag=True, help="Try only the longest run.")
def main(
    train_file: Path, val_file: Path, target: float, out: Path, seeds: int, seconds: int, only: bool
) -> None:
    """Train on a text until TARGET bits per byte are reached on another."""
    out.mkdir(parents=True, exist_ok=True)
    rungs = [rung for rung in RUNGS if rung.seconds <= seconds][-1 if only else 0 :]
    for vocab in sorted({rung.vocab for rung in rungs}):
        start = time.perf_counter()
        prepare(train_file, val_file, vocab, out / f"data-{vocab}")
        elapsed = time.perf_counter() - start
        click.echo(f"tokenizer of {vocab:,} ids and shards: {elapsed:.2f} s")
    reached = []
    for seed in range(seeds):
        ends = climb(out, rungs, target, seed)
        row = ends[-1]
        hit = _loss(row) <= target
        tried = sum(end.seconds for end in ends)
        click.echo(
            f"seed {seed}: {_loss(row):.4f} bits per byte after {row.seconds:.2f} s of training, "
            f"{row.step} steps{'' if hit else ': target not reached'} "
            f"({tried:.2f} s including the shorter runs before it)"
        )
        reached.append(row.seconds if hit else math.inf)
    median = statistics.median(reached)
    span = f"{min(reached):.2f} to {max(reached):.2f}"
    click.echo(f"{median:.2f} s to {target} bits per byte: median of {seeds} seeds, {span}")
    if math.isinf(median):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
