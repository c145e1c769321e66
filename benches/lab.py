"""What the project says of the results in docs/lab: the table of all, and how long trials take.

``gpt lab run ID --out docs/lab`` makes results; ``python -m benches.lab`` then writes the table in
docs/lab/README.md, and `gpt.lab.timing.TIMINGS`.
"""

import json
import re
from pathlib import Path

from gpt.lab.catalog import experiments
from gpt.lab.page import index, read_results
from gpt.lab.record import Record
from gpt.lab.timing import TIMINGS, seconds_of
from pytok.atomic import replace_file

FOLDER = Path(__file__).resolve().parents[1] / "docs/lab"
README = FOLDER / "README.md"
TABLE = re.compile(r"(?<=<!-- results -->\n\n).*?(?=\n<!-- end of results -->)", re.S)
"""The table, between two comments."""


def readme() -> str:
    """Return docs/lab/README.md with the table of the results beside it."""
    text, table = README.read_text(encoding="utf-8"), index(FOLDER, experiments())
    return TABLE.sub(lambda _: table, text)


def timings() -> str:
    """Return the content of `TIMINGS`, a line for each experiment."""
    lines = []
    for experiment in experiments():
        path = FOLDER / f"{experiment.id}.json"
        if path.exists():
            speed = read_results(path)["environment"]["speed"]
            trials = Record(FOLDER, experiment, "cpu").trials.values()
            row = json.dumps({"speed": speed, "seconds": seconds_of(trials)})
            lines.append(f' "{experiment.id}": {row}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    replace_file(README, readme().encode())
    replace_file(TIMINGS, timings().encode())
