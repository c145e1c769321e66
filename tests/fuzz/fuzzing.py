"""Fuzzing of one door: inputs by number, each of which can be made again.

    python -m tests.fuzz.fuzzing telegram 0 1000

runs the inputs 0 to 999 and prints those that fail.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.fuzz.doors import DOORS, Door
from tests.fuzz.mutations import mutated
from tests.fuzz.running import fault, run, working_in


def faults(
    name: str,
    numbers: range,
    folder: Path,
    begin: Callable[[int], object] = lambda number: None,
) -> Iterator[tuple[int, str]]:
    """Yield the numbers of the inputs of the door *name* that fail, and what is wrong.

    They are made in *folder*, which must be empty. *begin* is called with each number before.
    """
    door = DOORS[name]
    door.seed(folder)
    files = sorted(path for path in folder.glob(door.files) if path.is_file())
    door.finish(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with working_in(folder):
        sound = fault(run(door.command, door.stdin, limited=False), door.names)
        if sound:
            yield -1, f"the seed: {sound}"
        _restore(folder, before)
        for number in numbers:
            begin(number)
            found = _fault(door, files, before, Random(f"{name} {number}"))
            if found:
                yield number, found
            _restore(folder, before)


def _fault(door: Door, files: list[Path], before: dict[Path, bytes], random: Random) -> str | None:
    target = random.choice(files)
    target.write_bytes(mutated(before[target], random))
    door.finish(Path())
    names = _names()
    outcome = run(door.command, door.stdin)
    found = fault(outcome, (target.name, *door.names))
    if found is None and outcome.code and (left := _names() - names):
        found = f"it left {left}"
    return found and f"{target.name}: {found}"


def _names() -> set[str]:
    return {path.name for path in Path().iterdir()}


def _restore(folder: Path, before: dict[Path, bytes]) -> None:
    """Write what was mutated again, and remove the outputs."""
    kept = {path.relative_to(folder).parts[0] for path in before}
    for path in folder.iterdir():
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path, data in before.items():
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)


def main(name: str, start: str, stop: str, progress: str = "") -> None:
    """Print the inputs of a door that fail; write the number of each to *progress* before it."""

    def begin(number: int) -> None:
        if progress:
            Path(progress).write_text(str(number))

    with TemporaryDirectory() as folder:
        for number, found in faults(name, range(int(start), int(stop)), Path(folder), begin):
            print(number, found, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
