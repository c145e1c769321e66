"""Count a corpus on many machines with Dask, and train one tokenizer on all counts.

python examples/count_with_dask.py corpus/ counts/ 50257 tokenizer.json [tcp://scheduler:8786]

Each file of the corpus gets a file of counts, in the same subfolders of the folder of counts.
Without a scheduler, all cores of this machine count, one process per core. Files of counts that
exist are not counted again, so an interrupted run can be continued. All workers must have pytok
installed and see both folders under the same paths. See docs/many-machines.md.
"""

import sys
from pathlib import Path

from distributed import Client, as_completed

import pytok
from pytok import corpus


def count(source: Path, target: Path) -> None:
    """Count the pieces of one file, on one thread: each worker has one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    pytok.count_pieces([source], num_threads=1, max_memory=4 << 30).save(target)


def main(sources: str, folder: str, vocab_size: str, out: str, scheduler: str | None) -> None:
    """Count the missing files on the workers of *scheduler*, then train in this process."""
    targets = {
        source: Path(folder, *source.absolute().parts[1:-1], source.name + ".parquet")
        for source in corpus.resolve(sources)
    }
    local = {"threads_per_worker": 1, "dashboard_address": None}
    with Client(scheduler) if scheduler else Client(**local) as client:
        futures = [
            client.submit(count, source, target)
            for source, target in targets.items()
            if not target.exists()
        ]
        for future in as_completed(futures):
            future.result()  # raises the error of the worker, if any
    counts = pytok.PieceCounts.load(list(targets.values()))
    pytok.train(counts, int(vocab_size)).save(out)


if __name__ == "__main__":
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    main(*sys.argv[1:5], scheduler=sys.argv[5] if len(sys.argv) == 6 else None)
