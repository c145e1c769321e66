"""The example of docs/many-machines.md, on one machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pytok
from tests.conftest import CORPUS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_counts_of_dask_workers_train_the_tokenizer_of_one_machine(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    folder = tmp_path / "corpus"
    # Two paths that differ only in the position of the slash.
    names = ["a-b/c.txt", "a/b-c.txt", *map(str, range(2, len(CORPUS)))]
    for name, text in zip(names, CORPUS, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    script = ROOT / "examples/count_with_dask.py"
    arguments = [folder, tmp_path / "counts", 600, tmp_path / "tokenizer.json"]

    subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        check=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )

    assert len(list((tmp_path / "counts").rglob("*.parquet"))) == len(CORPUS)
    trained = pytok.load(tmp_path / "tokenizer.json")
    assert trained.fingerprint == pytok.train(folder, 600).fingerprint
