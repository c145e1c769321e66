"""Count a corpus on many machines with Dask, and train one tokenizer on all that they counted.

python examples/count_with_dask.py corpus/ counts/ 50257 tokenizer.json [tcp://scheduler:8786]

Each file of the corpus becomes a file of counts, in the same folders below that of the counts;
without a scheduler this machine does it all, a process a core. What is there already is not counted
again, so an interrupted run goes on. The workers must see both folders under the same names, and
have pytok. See docs/many-machines.md.
"""

import sys
from pathlib import Path

from distributed import Client, as_completed

import pytok
from pytok import corpus


def count(source: Path, target: Path) -> None:
    """Count the pieces of one file; a worker has one thread for it, and others have the others."""
    target.parent.mkdir(parents=True, exist_ok=True)
    pytok.count_pieces([source], num_threads=1, max_memory=4 << 30).save(target)


def main(sources: str, folder: str, vocab_size: str, out: str, scheduler: str | None) -> None:
    """Count what has not been counted, wherever *scheduler* has workers, and train here."""
    targets = {
        source: Path(folder, *source.absolute().parts[1:-1], source.name + ".parquet")
        for source in corpus.resolve(sources)
    }
    here = {"threads_per_worker": 1, "dashboard_address": None}
    with Client(scheduler) if scheduler else Client(**here) as client:
        waiting = [
            client.submit(count, source, target)
            for source, target in targets.items()
            if not target.exists()
        ]
        for done in as_completed(waiting):
            done.result()  # raises what the worker raised
    counts = pytok.PieceCounts.load(list(targets.values()))
    pytok.train(counts, int(vocab_size)).save(out)


if __name__ == "__main__":
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    main(*sys.argv[1:5], scheduler=sys.argv[5] if len(sys.argv) == 6 else None)
