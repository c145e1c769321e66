"""``python -m benches.gpu --out gpu.json``: what can be measured only on a GPU, within ten minutes.

Each stage is independent: one that fails is reported, and the others follow. The file is written
after every stage. ``--quick --device cpu`` runs all of it with a tiny model, to test the program
itself. The time of torch.compile is that of its first step. The loss and the gradients of the same
model and rows are compared with those on the CPU, in float32. Multiple GPUs are not measured.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benches import report
from benches.report import Record
from gpt.data.batch import Batch
from gpt.errors import TrainingError
from gpt.evaluation.bits_per_byte import evaluate_batches
from gpt.generation.decoder import Decoder, inference_copy
from gpt.generation.sampling import Sampling, read_ids, sample_tokens
from gpt.model.flops import training_flops
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE
from gpt.report.peak_flops import peak_flops
from gpt.spec.architecture import GPTConfig
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.presets import CAUSAL, PRESETS
from gpt.spec.recipe import Recipe
from gpt.training.step import TrainStep

TESTS = Path(__file__).parents[1] / "tests" / "gpt" / "cuda"
TEST_SECONDS = 180
"""Time limit of the tests."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes of the measurements."""

    depth: int
    context: int
    vocab_size: int
    rows: int
    """Rows per forward pass."""
    steps: int
    """Steps that are timed."""
    tokens: int
    """Tokens that are generated."""
    texts: int
    """Texts that are generated together."""


FULL = Sizes(depth=12, context=1024, vocab_size=50257, rows=32, steps=10, tokens=128, texts=64)
"""GPT-2's smallest model, of 124 million parameters."""
QUICK = Sizes(depth=1, context=16, vocab_size=300, rows=2, steps=1, tokens=4, texts=2)


@dataclass(frozen=True)
class RandomRows:
    """Rows of random ids; each is a function of its index."""

    sizes: Sizes

    def batch(self, first: int, count: int) -> Batch:
        """Return rows *first* to *first* + *count* - 1."""
        shape = (count, self.sizes.context + 1)
        ids = np.random.default_rng(first).integers(0, self.sizes.vocab_size, shape)
        return Batch(torch.from_numpy(ids[:, :-1]), torch.from_numpy(ids[:, 1:]))


class Stages:
    """The measurements, on the device of *runtime*; each returns its figures by name."""

    def __init__(self, sizes: Sizes, runtime: Runtime, quick: bool) -> None:
        self.sizes, self.runtime, self.quick = sizes, runtime, quick
        self.eager_rate: dict[str, float] = {}
        """Tokens per second without torch.compile, by preset."""

    def table(self) -> dict[str, Callable[[], Record]]:
        """Return all stages, the most important first."""
        train = {
            f"train {preset}{', compiled' if compiled else ''}": lambda p=preset, c=compiled: (
                self.training(p, compiled=c)
            )
            for compiled in (False, True)
            for preset in ("gpt2", "fast")
        }
        return {
            "tests": self.tests,
            **{f"equality {preset}": lambda p=preset: self.equality(p) for preset in CAUSAL},
            **train,
            "train gpt2, AdamW": lambda: self.training("gpt2", optimizer=AdamW()),
            "train gpt2, recompute": lambda: self.training("gpt2", recompute=True),
            "launches": self.launches,
            "evaluation": self.evaluation,
            "generation, 1 text": lambda: self.generation(1),
            f"generation, {self.sizes.texts} texts": lambda: self.generation(self.sizes.texts),
            "repeatability": self.repeatability,
        }

    def tests(self) -> Record:
        """Run the tests that need a GPU; with --quick only collect them."""
        options = ["--collect-only"] if self.quick else []
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-m", "gpu", *options, str(TESTS)],
            cwd=TESTS.parents[2],
            capture_output=True,
            text=True,
            timeout=TEST_SECONDS,
            check=False,
        )
        lines = done.stdout.splitlines()
        failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        return {"summary": lines[-1] if lines else done.stderr[-500:], "failed": failed}

    def equality(self, preset: str) -> Record:
        """Compare loss and gradients with the CPU's, in float32 for a small model."""
        small = replace(QUICK, depth=2, context=64)
        found = []
        for device in (self.runtime.device.type, "cpu"):
            runtime = Runtime.choose(device, "float32")
            step = self._step(preset, small, runtime)
            loss = step.gradients(0)
            gradients = [p.grad.cpu() for p in step.model.parameters() if p.grad is not None]
            found.append((loss, torch.cat([each.flatten() for each in gradients])))
        (loss, ours), (expected, theirs) = found
        return {
            "loss difference": abs(loss - expected) / expected,
            "gradient difference": ((ours - theirs).norm() / theirs.norm()).item(),
        }

    def training(self, preset: str, *, compiled: bool = False, **fields: Any) -> Record:
        """Time steps of 124 million parameters, with as many rows as fit in memory."""
        rows = self.sizes.rows
        while True:
            try:
                sizes = replace(self.sizes, rows=rows)
                return {"rows": rows} | self._training(preset, sizes, compiled, fields)
            except TrainingError:
                if rows == 1:
                    raise
                rows //= 2

    def _training(
        self, preset: str, sizes: Sizes, compiled: bool, fields: dict[str, Any]
    ) -> Record:
        self._reset_memory()
        step = self._step(preset, sizes, self.runtime, **fields)
        first = 0.0
        if compiled:
            step.compile()
            start = time.perf_counter()
            step.time(0)
            first = time.perf_counter() - start
        seconds = float(np.median(step.time(sizes.steps)))
        tokens = sizes.rows * sizes.context
        peak = peak_flops(self.runtime)
        flops = training_flops(step.model) * tokens / seconds
        figures: Record = {
            "parameters": sum(parameter.numel() for parameter in step.model.parameters()),
            "seconds a step": seconds,
            "tokens/s": tokens / seconds,
            "FLOP/s": flops,
            "MFU": None if peak is None else flops / peak,
            "peak GB": self._peak_gigabytes(),
        }
        if not compiled and not fields:
            self.eager_rate[preset] = tokens / seconds
        if compiled and preset in self.eager_rate:
            saved = 1 - self.eager_rate[preset] * seconds / tokens
            figures |= {"first step": first, "saved": saved}
            # A run of s seconds takes (1 - saved) s + first.
            figures["pays from"] = first / saved if saved > 0 else None
        return figures

    def launches(self) -> Record:
        """Count the kernels of a step, and the part of its time in which one runs."""
        step = self._step("gpt2", self.sizes, self.runtime)
        step.time(1)
        if self.runtime.device.type != "cuda":
            return {"kernels": None, "busy": None}
        activities = [torch.profiler.ProfilerActivity.CUDA]
        with torch.profiler.profile(activities=activities) as profile:
            (seconds,) = step.time(1)
        kernels = [event for event in profile.events() if event.device_time_total > 0]
        # The profile has two steps: the first is a warm-up.
        microseconds = sum(event.device_time_total for event in kernels) / 2
        return {"kernels": len(kernels) / 2, "busy": microseconds / 1e6 / seconds}

    def evaluation(self) -> Record:
        """Time the evaluation of some batches."""
        sizes, rows = self.sizes, RandomRows(self.sizes)
        model = self._model("gpt2", sizes).to(self.runtime.device)
        batches = [rows.batch(index * sizes.rows, sizes.rows) for index in range(1 + sizes.steps)]
        targets = sizes.rows * sizes.context
        evaluate_batches(model, batches[:1], targets=targets, bytes=1, runtime=self.runtime)
        start = time.perf_counter()
        found = evaluate_batches(
            model, batches[1:], targets=targets * sizes.steps, bytes=1, runtime=self.runtime
        )
        return {"tokens/s": found.tokens / (time.perf_counter() - start)}

    @torch.inference_mode()
    def generation(self, texts: int) -> Record:
        """Time the sampling of *texts* texts together, with linear layers in bfloat16."""
        self._reset_memory()
        device = self.runtime.device
        model = self._model("gpt2", self.sizes).to(device).eval()
        light = inference_copy(model, self.runtime.dtype)
        decoder = Decoder(light, [[1, 2, 3]] * texts)
        generators = [torch.Generator(device).manual_seed(row) for row in range(texts)]
        seconds = []
        for _ in range(self.sizes.tokens):
            start = time.perf_counter()
            decoder.append(read_ids(sample_tokens(decoder.logits, Sampling(top_k=50), generators)))
            seconds.append(time.perf_counter() - start)
        # The first tokens warm up.
        return {
            "tokens/s": texts / float(np.median(seconds[len(seconds) // 4 :])),
            "peak GB": self._peak_gigabytes(),
        }

    def repeatability(self) -> Record:
        """Make the same steps twice: kernels of CUDA add in any order, so losses may differ."""
        losses = []
        for _ in range(2):
            step = self._step("fast", self.sizes, self.runtime)
            step.time(1)
            losses.append(step.gradients(0))
        return {"loss difference": abs(losses[0] - losses[1])}

    def _step(self, preset: str, sizes: Sizes, runtime: Runtime, **fields: Any) -> TrainStep:
        architecture = PRESETS[preset](sizes.depth, sizes.context)
        common: dict[str, Any] = {"data": Path("data"), "out": Path("out"), "optimizer": Muon()}
        common |= {"batch_size": sizes.rows, "clip": 1.0, "model": architecture}
        recipe = Recipe(**(common | fields))
        model = self._model(preset, sizes)
        return TrainStep(model, recipe, RandomRows(sizes), runtime, ALONE)

    def _model(self, preset: str, sizes: Sizes) -> GPT:
        architecture = PRESETS[preset](sizes.depth, sizes.context)
        return GPT(GPTConfig.over(architecture, sizes.vocab_size))

    def _reset_memory(self) -> None:
        if self.runtime.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.runtime.device)

    def _peak_gigabytes(self) -> float | None:
        if self.runtime.device.type != "cuda":
            return None
        return torch.cuda.max_memory_allocated(self.runtime.device) / 1e9


def machine(runtime: Runtime) -> Record:
    """Describe the device and the versions."""
    found = report.machine(["torch", "numpy"]) | {"dtype": runtime.name}
    if runtime.device.type == "cuda":
        properties = torch.cuda.get_device_properties(runtime.device)
        found |= {
            "gpu": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "gpu_bytes": properties.total_memory,
            "cuda": torch.version.cuda,
        }
    return found


@click.command(help=__doc__.partition("\n\n")[0] if __doc__ else None)
@click.option("--out", type=click.Path(path_type=Path), default=Path("gpu.json"), show_default=True)
@click.option("--device", default="cuda", show_default=True, help="cuda or cpu.")
@click.option("--quick", is_flag=True, help="A tiny model, to test this program.")
@click.option("--seconds", default=540.0, show_default=True, help="Start no stage after these.")
@click.option("--only", multiple=True, help="Stages whose names start so; can be repeated.")
def main(out: Path, device: str, quick: bool, seconds: float, only: tuple[str, ...]) -> None:
    """Run the stages."""
    start, runtime = time.perf_counter(), Runtime.choose(device)
    records: list[Record] = []
    for name, stage in Stages(QUICK if quick else FULL, runtime, quick).table().items():
        if only and not name.startswith(only):
            continue
        begun = time.perf_counter() - start
        record: Record = {"name": name}
        if begun > seconds:
            record |= {"state": "skipped", "reason": f"{begun:.0f} seconds are over"}
        else:
            try:
                record |= {"state": "measured", "figures": stage()}
            except Exception as error:  # the other stages are still worth their time
                record |= {"state": "failed", "reason": report.reason(error)}
        record["seconds"] = time.perf_counter() - start - begun
        records.append(record)
        report.save(out, machine(runtime), records)
        click.echo(f"{name}: {_line(record)}")
    lines = [[record["name"], _line(record)] for record in records]
    report.show(
        f"Measured on {runtime.device}, {runtime.name}", ["stage", "figures"], lines, names=2
    )
    if any(record["state"] == "failed" for record in records):
        sys.exit(1)


def _line(record: Record) -> str:
    """Return the figures of *record*, or why there are none."""
    if "figures" not in record:
        return f"{record['state']}: {record['reason']}"
    shown = (
        f"{name} {value:,.4g}" if isinstance(value, (int, float)) else f"{name} {value}"
        for name, value in record["figures"].items()
    )
    return ", ".join(shown)


if __name__ == "__main__":
    main()
