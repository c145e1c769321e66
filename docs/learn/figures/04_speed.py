"""Chapter 4: seconds of training, version by version. `--measure` runs the chapter's functions."""

import contextlib
import io
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from style import BLUE, save

MEASURED = Path(__file__).with_suffix(".json")
CHAPTER = Path(__file__).parent.parent / "04-from-forty-lines-to-a-second.md"
CHARACTERS, SIZE = 200_000, 512


def versions() -> dict[str, Callable[[list[str]], object]]:
    """What is measured, by the label of its bar: each trains on pieces."""
    os.chdir(CHAPTER.parents[2])
    code = re.findall(r"^```python\n(.*?)^```", CHAPTER.read_text(encoding="utf-8"), re.M | re.S)
    page: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        for block in code:
            exec(compile(block, CHAPTER.name, "exec", dont_inherit=True), page)

    def engine(name: str) -> Callable[[list[str]], object]:
        def train(pieces: list[str]) -> object:
            text = "".join(pieces)
            return page["pytok"].train(
                [text], SIZE, pattern="gpt2", special_tokens=(), engine=name, num_threads=1
            )

        return train

    return {
        "every pair, every merge": lambda pieces: page["train_plainly"](pieces, SIZE),
        "equal pieces counted once": lambda pieces: page["train_counted"](pieces, SIZE),
        "pair counts kept": lambda pieces: page["train_kept"](pieces, SIZE),
        "a heap": lambda pieces: page["train_with_heap"](pieces, SIZE),
        "reference/train.py, splitting included": engine("reference"),
        "Rust, splitting included": engine("native"),
    }


def measure() -> None:
    """Write the seconds of each version: the least processor time of three runs."""
    from pydoc_data.topics import topics

    from pytok.reference.pretokenize import Pattern

    text = "\n".join(topics[name] for name in sorted(topics))[:CHARACTERS]
    pieces = Pattern("gpt2").split(text)
    seconds = {}
    for name, train in versions().items():
        times = []
        for _ in range(3):
            start = time.process_time()
            train(pieces)
            times.append(time.process_time() - start)
        seconds[name] = round(min(times), 5)
    python = f"Python {platform.python_version()}"
    MEASURED.write_text(json.dumps({"python": python, "seconds": seconds}, indent=2) + "\n")


def draw() -> Figure:
    """A bar for each version, on a logarithmic axis."""
    measured = json.loads(MEASURED.read_text())
    names, seconds = zip(*measured["seconds"].items(), strict=True)
    figure = Figure(figsize=(8, 3.2))
    axes = figure.add_subplot()
    axes.barh(range(len(names)), seconds, color=BLUE, height=0.6)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(
        title=f"Training 512 ids on 200 kB, {measured['python']}",
        xlabel="seconds of processor time",
        xscale="log",
        xlim=(min(seconds) / 3, max(seconds) * 6),
    )
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(axis="y", visible=False)
    for row, value in enumerate(seconds):
        axes.annotate(
            f"{value:.2g} s", (value, row), (4, 0), textcoords="offset points", va="center"
        )
    return figure


if __name__ == "__main__":
    if "--measure" in sys.argv:
        measure()
    save(draw(), __file__)
