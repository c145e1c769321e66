"""The example of docs/many-machines.md, run on one machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pytok
from tests.conftest import CORPUS

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_what_dask_workers_count_trains_the_tokenizer_of_one_machine(tmp_path: Path) -> None:
    """Ids, pattern, special tokens: one fingerprint."""
    pytest.importorskip("distributed")
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number, text in enumerate(CORPUS):
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
    script = ROOT / "examples/count_with_dask.py"
    arguments = [folder, tmp_path / "counts", 600, tmp_path / "tokenizer.json"]

    subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        check=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )

    assert len(list((tmp_path / "counts").iterdir())) == len(CORPUS)
    trained = pytok.load(tmp_path / "tokenizer.json")
    assert trained.fingerprint == pytok.train(folder, 600).fingerprint
