"""Quantized bases: their error, their memory, and what LoRA on them reaches.

``python -m benches.quantization RUN --data DATA``: RUN is a trained run, and DATA what `gpt tune`
takes, with a validation split. Weights are those of the linear layers that `gpt tune --quantize`
quantizes, in blocks of 64, with double quantization. LoRA makes the same steps on each base, and
seeds are those of adapters and of the order of the data. Memory is that of a process with a model
of 124 million random weights, ready to be trained; each is measured in a process of its own.
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from benches import report
from gpt.adapt.wrapping import adapt
from gpt.model.gpt import GPT
from gpt.nn.quantized.linear import quantizable, quantize
from gpt.nn.quantized.weight import quantized
from gpt.runs.reading import read_checkpoint
from gpt.runs.store import Memory
from gpt.spec.adapter import LoRA
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.quantization import FP4, NF4, Int4, Int8, Quantization
from gpt.training.tuning.planning import plan_tuning
from gpt.training.tuning.run import tune

SPECS: dict[str, Quantization | None] = {
    "float32": None,
    "int8": Int8(),
    "nf4": NF4(),
    "fp4": FP4(),
    "int4": Int4(),
}
"""The bases by name; the first is not quantized."""
SIZES = GPTConfig(
    vocab_size=50_257, layers=12, width=768, attention=GroupedQuery(heads=12, kv_heads=12)
)
"""The model whose memory is measured: that of GPT-2."""


def errors(run: Path) -> list[list[str]]:
    """Return name, bits per weight and relative error of the quantized weights of *run*."""
    checkpoint = read_checkpoint(run)
    names = quantizable(checkpoint.model())
    rows = []
    for name, spec in SPECS.items():
        if spec is None:
            continue
        error = power = bits = weights = 0.0
        for each in names:
            weight = checkpoint.weights[each]
            rounded = quantized(weight, spec)
            error += (rounded.dense() - weight).double().square().sum().item()
            power += weight.double().square().sum().item()
            bits += 8 * sum(part.numel() * part.itemsize for part in rounded.parameters())
            weights += weight.numel()
        rows.append([name, f"{bits / weights:.3f}", f"{error / power:.2e}"])
    return rows


def losses(run: Path, data: Path, steps: int, seeds: int) -> list[list[str]]:
    """Return name and validation losses of LoRA on each base: trained, and merged in three ways."""
    rows = []
    for name, spec in SPECS.items():
        found = []
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                plan = plan_tuning(run, data=data, out=Path(folder), seed=seed, quantize=spec)
                plan = plan.replace(
                    steps=steps, eval_every=steps, checkpoint_every=steps, patience=None, out=None
                )
                tuned = tune(plan, store=Memory())
            state, merging = tuned.outcome.state, tuned.merging
            assert state.first_score is not None
            assert state.score is not None
            merged = (
                []
                if merging is None
                else [merging.dequantized, merging.original, merging.requantized]
            )
            found.append([state.first_score, state.score, *merged])
        rows.append([name, *(_interval(each) for each in zip(*found, strict=True))])
        click.echo("  ".join(rows[-1]))
    return rows


def _interval(values: tuple[float, ...]) -> str:
    """Return the mean of *values*, and their range."""
    return f"{statistics.mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def memory(name: str) -> str:
    """Return the megabytes of the tensors of a model, and those that the process has grown by.

    On Linux, for a process that has done nothing else.
    """
    before, model = _resident(), GPT(SIZES, None)
    model.requires_grad_(False)
    for parameter in model.parameters():
        parameter.normal_(std=0.02)
    if (spec := SPECS[name]) is not None:
        quantize(model, spec)
    adapt(model, LoRA(), 0)
    tensors = sum(part.numel() * part.itemsize for part in model.parameters())
    return f"{tensors / 1e6:.0f} {(_resident() - before) / 1e6:.0f}"


def _resident() -> int:
    """Return the bytes of this process that are in memory and in no file."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--steps", default=200, show_default=True, help="Optimizer steps of LoRA.")
@click.option("--seeds", default=3, show_default=True, help="Runs on each base.")
def main(run: Path, data: Path, steps: int, seeds: int) -> None:
    """Measure the error, the memory and LoRA's losses of quantized bases."""
    report.show("Error of the weights", ["base", "bits", "squared error"], errors(run))
    program = "import sys; from benches.quantization import memory; print(memory(sys.argv[1]))"
    rows = []
    for name in SPECS:
        command = [sys.executable, "-c", program, name]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append([name, *found.stdout.split()])
    report.show("Megabytes of a model of 124 million", ["base", "tensors", "process"], rows)
    columns = ["base", "before", "trained", "into dequantized", "into original", "quantized again"]
    report.show("Bits per byte", columns, losses(run, data, steps, seeds))


if __name__ == "__main__":
    main()
