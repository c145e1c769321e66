"""Training time until a model predicts held-out text as well as other software's models.

Each contestant trains on the first 90% of the text and is measured on the rest, in a fresh process
with one thread per core. The other contestants train with fixed settings; the best bits per byte of
them is the target of pytok. Seconds are those of training, without evaluation, imports, and the
training of pytok's tokenizer. Other model sizes and CUDA are not measured.
"""

import statistics
import tempfile
from pathlib import Path
from typing import Any

from benches import process, report, texts
from benches.command import Settings, command
from benches.learners import LEARNERS
from benches.report import Record

STEPS, QUICK_STEPS = 2000, 200
"""Optimizer steps of nanoGPT and Hugging Face's GPT-2; 2000 is the value in nanoGPT's README."""

SEEDS = 3

TIMEOUT = 1800
"""Maximum seconds of one training."""

MAX_SECONDS, QUICK_MAX_SECONDS = 70, 1
"""Seconds of the longest run that pytok tries."""


def run(settings: Settings) -> list[Record]:
    """Measure and print; return a record for every contestant and text."""
    sources = settings.files or {"English": texts.english()}
    return [record for name, text in sources.items() for record in _contest(name, text, settings)]


def _contest(name: str, text: str, settings: Settings) -> list[Record]:
    task = f"learn to predict {name}, {len(text.encode()) / 1e6:.1f} MB"
    seeds = range(1 if settings.quick else SEEDS)
    results: dict[str, list[dict[str, Any]]] = {}
    failures: dict[str, tuple[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        cut = int(len(text) * 0.9)
        parts = {"train": Path(folder, "train.txt"), "val": Path(folder, "val.txt")}
        for path, part in zip(parts.values(), (text[:cut], text[cut:]), strict=True):
            path.write_text(part, encoding="utf-8", newline="")
        for seed in seeds:
            target = float("inf")
            for learner in LEARNERS:
                arguments = {
                    "name": learner,
                    "seed": seed,
                    "steps": QUICK_STEPS if settings.quick else STEPS,
                    "seconds": QUICK_MAX_SECONDS if settings.quick else MAX_SECONDS,
                    "nanogpt": settings.nanogpt and str(settings.nanogpt),
                    "target": target,
                    "out": folder,
                    **{part: str(path) for part, path in parts.items()},
                }
                try:
                    result = _learn(arguments)
                    target = min(target, result["bits_per_byte"])
                    results.setdefault(learner, []).append(result)
                except LookupError:
                    failures[learner] = ("absent", "not given")
                except RuntimeError as error:
                    failures[learner] = ("failed", str(error))
    records: list[Record] = []
    for learner in LEARNERS:
        record: Record = {"question": task, "name": learner}
        if learner in failures:
            state, reason = failures[learner]
            records.append(record | {"state": state, "reason": reason})
        else:
            records.append(record | {"state": "timed", "reason": "", "runs": results[learner]})
    _show(task, records)
    return records


def _learn(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the result of the process of `learners`. Raises LookupError for an absent learner."""
    name = arguments["name"]
    if name == "nanoGPT" and arguments["nanogpt"] is None:
        raise LookupError(name)
    if name.startswith("transformers") and report.version("transformers") is None:
        raise LookupError(name)
    with report.status(f"{name}, seed {arguments['seed']}"):
        result: dict[str, Any] = process.call(
            "benches.learners", arguments, process.all_threads(), TIMEOUT
        )
    return result


def _show(task: str, records: list[Record]) -> None:
    timed = [record for record in records if record["state"] == "timed"]
    own = next((_median(record, "seconds") for record in timed if record["name"] == "pytok"), None)
    lines = []
    for record in records:
        if record["state"] == "failed":
            lines.append([record["name"], "failed", "", "", record["reason"]])
        elif record["state"] == "timed":
            seconds = [run["seconds"] for run in record["runs"]]
            ratio = f" ({_median(record, 'seconds') / own:.1f}×)" if own else ""
            bits = [run["bits_per_byte"] for run in record["runs"]]
            speed = statistics.median(run["tokens"] / run["seconds"] for run in record["runs"])
            lines.append(
                [
                    record["name"],
                    f"{_median(record, 'seconds'):.2f}{ratio}",
                    f"{min(seconds):.2f} to {max(seconds):.2f}",
                    f"{_median(record, 'bits_per_byte'):.4f} ({min(bits):.3f} to {max(bits):.3f})",
                    f"{speed:,.0f}",
                    f"{max(run['peak_bytes'] for run in record['runs']) / 1e6:,.0f}",
                ]
            )
    columns = ["learner", "seconds", "range", "bits per byte", "tokens/s", "peak MB"]
    note = (
        "Medians over the seeds, and the ratio to pytok. A token is about three characters in "
        "pytok, one character in the other learners."
    )
    report.show(task[0].upper() + task[1:], columns, lines, note)


def _median(record: Record, figure: str) -> float:
    return statistics.median(run[figure] for run in record["runs"])


if __name__ == "__main__":
    command(run)()
