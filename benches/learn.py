"""How soon a model predicts unseen text as well as others do: bits per byte against seconds.

Each contestant learns from the first nine tenths of the text and predicts the last tenth, in a
fresh process with a thread for each core. The others train at their own setting; what the better of
them reaches is what pytok then has to reach. Seconds are those of training, without evaluation and
imports; pytok's tokenizer is not in them. Not measured here: other sizes of model, CUDA.
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
"""Of nanoGPT and Hugging Face's; the former is what nanoGPT's README says."""

SEEDS = 3

PATIENCE = 1800
"""Seconds that one training may take."""

LONGEST, QUICK_LONGEST = 70, 1
"""Seconds of the longest run that pytok tries."""


def run(settings: Settings) -> list[Record]:
    """Measure and show; a record for every contestant and text."""
    sources = settings.files or {"English": texts.english()}
    return [record for name, text in sources.items() for record in _contest(name, text, settings)]


def _contest(name: str, text: str, settings: Settings) -> list[Record]:
    question = f"learn to predict {name}, {len(text.encode()) / 1e6:.1f} MB"
    seeds = range(1 if settings.quick else SEEDS)
    answers: dict[str, list[dict[str, Any]]] = {}
    failures: dict[str, tuple[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        cut = int(len(text) * 0.9)
        parts = {"train": Path(folder, "train.txt"), "val": Path(folder, "val.txt")}
        for path, part in zip(parts.values(), (text[:cut], text[cut:]), strict=True):
            path.write_text(part, encoding="utf-8", newline="")
        for seed in seeds:
            target = float("inf")
            for who in LEARNERS:
                order = {
                    "name": who,
                    "seed": seed,
                    "steps": QUICK_STEPS if settings.quick else STEPS,
                    "seconds": QUICK_LONGEST if settings.quick else LONGEST,
                    "nanogpt": settings.nanogpt and str(settings.nanogpt),
                    "target": target,
                    "out": folder,
                    **{part: str(path) for part, path in parts.items()},
                }
                try:
                    answer = _learn(order)
                    target = min(target, answer["bits_per_byte"])
                    answers.setdefault(who, []).append(answer)
                except LookupError:
                    failures[who] = ("absent", "not given")
                except RuntimeError as error:
                    failures[who] = ("failed", str(error))
    records: list[Record] = []
    for who in LEARNERS:
        record: Record = {"question": question, "name": who}
        if who in failures:
            state, reason = failures[who]
            records.append(record | {"state": state, "reason": reason})
        else:
            records.append(record | {"state": "timed", "reason": "", "runs": answers[who]})
    _show(question, records)
    return records


def _learn(order: dict[str, Any]) -> dict[str, Any]:
    """What the process of `learners` answers; LookupError for a contestant that is not there."""
    if order["name"] == "nanoGPT" and order["nanogpt"] is None:
        raise LookupError(order["name"])
    if order["name"].startswith("transformers") and report.version("transformers") is None:
        raise LookupError(order["name"])
    with report.waiting(f"{order['name']}, seed {order['seed']}"):
        answer: dict[str, Any] = process.ask(
            "benches.learners", order, process.all_threads(), PATIENCE
        )
    return answer


def _show(question: str, records: list[Record]) -> None:
    timed = [record for record in records if record["state"] == "timed"]
    own = next((_middle(record, "seconds") for record in timed if record["name"] == "pytok"), None)
    lines = []
    for record in records:
        if record["state"] == "failed":
            lines.append([record["name"], "failed", "", "", record["reason"]])
        elif record["state"] == "timed":
            seconds = [run["seconds"] for run in record["runs"]]
            ratio = f" ({_middle(record, 'seconds') / own:.1f}×)" if own else ""
            bits = [run["bits_per_byte"] for run in record["runs"]]
            speed = statistics.median(run["tokens"] / run["seconds"] for run in record["runs"])
            lines.append(
                [
                    record["name"],
                    f"{_middle(record, 'seconds'):.2f}{ratio}",
                    f"{min(seconds):.2f} to {max(seconds):.2f}",
                    f"{_middle(record, 'bits_per_byte'):.4f} ({min(bits):.3f} to {max(bits):.3f})",
                    f"{speed:,.0f}",
                    f"{max(run['peak_bytes'] for run in record['runs']) / 1e6:,.0f}",
                ]
            )
    columns = ["learner", "seconds", "of all seeds", "bits per byte", "tokens/s", "peak MB"]
    note = (
        "Medians over the seeds, and the ratio to pytok. The others' tokens are characters, "
        "pytok's some three characters each."
    )
    report.show(question[0].upper() + question[1:], columns, lines, note)


def _middle(record: Record, figure: str) -> float:
    return statistics.median(run[figure] for run in record["runs"])


if __name__ == "__main__":
    command(run)()
