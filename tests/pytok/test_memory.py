"""Bounded memory: files that ask for more than they have, read under a limit of address space."""

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

import pytok
from tests.pytok.archives import tar_of, zip_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of processes of Linux")

LIMITED = """
import resource, sys
from pathlib import Path
import pyarrow.parquet, pytok.__main__, pytok.blocks
pytok.blocks.MAX_HELD = 1 << 20
limit = int(sys.argv.pop(1))
import pytok.shards, pytok.streams.characters  # what is imported has its own address space
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + limit, used + limit))
pytok.__main__.main()
"""

SIZE = 1 << 25
"""Bytes of a text that cannot be cut; encoding it would take some ten times that."""

UNCUT = b"a" * SIZE
ON_ONE_LINE = json.dumps({"text": "a" * SIZE}).encode()
BOMBS = {
    "a.txt.gz": gzip.compress(UNCUT),
    "a.txt.bz2": bz2.compress(UNCUT),
    "a.txt.xz": lzma.compress(UNCUT, preset=0),
    "a.txt.zst": zstandard.ZstdCompressor().compress(UNCUT),
    "a.jsonl.gz": gzip.compress(ON_ONE_LINE),
    "a.zip": zip_of({"a.txt": UNCUT}),
    "a.tgz": gzip.compress(tar_of({"a.jsonl": ON_ONE_LINE})),
}


def run(folder: Path, megabytes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(pytok.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(megabytes << 20), *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": root, "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_of_a_large_text_without_a_cut_is_rejected(name: str, tmp_path: Path) -> None:
    """Before the text is whole in memory."""
    (tmp_path / name).write_bytes(BOMBS[name])
    ended = run(tmp_path, 100, "train", name, "--vocab", "300", "-o", "out.json", "--threads", "1")

    assert ended.returncode == 1
    assert f"pytok: {name}" in ended.stderr
    assert "no text compresses so well" in ended.stderr


def test_a_text_on_one_line_is_sharded_in_parts(trained: pytok.Tokenizer, tmp_path: Path) -> None:
    """As text8 is, cut between words."""
    trained.save(tmp_path / "t.json")
    (tmp_path / "text8").write_bytes(b"she sells sea shells by the sea shore " * 700_000)
    ended = run(tmp_path, 220, "shard", "text8", "-t", "t.json", "-o", "out", "--threads", "1")

    assert ended.returncode == 0, ended.stderr


COMMANDS = (
    "count-pieces a.txt -o out.parquet",
    "train a.txt --vocab 300 -o out.json",
    "shard a.txt -t t.json -o out",
    "count a.txt -t t.json",
    "encode a.txt -t t.json",
)


@pytest.mark.parametrize("megabytes", [24, 60, 120, 240])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_text_without_a_cut_that_exceeds_memory_is_an_error(
    command: str, megabytes: int, trained: pytok.Tokenizer, tmp_path: Path
) -> None:
    """Wherever memory ends: in the text, in its pieces, or while it is merged."""
    trained.save(tmp_path / "t.json")
    (tmp_path / "a.txt").write_bytes(b"sheshells" * 4_000_000)
    ended = run(tmp_path, megabytes, *command.split())

    assert (ended.returncode, ended.stdout) in ((0, ""), (1, ""))
    assert ("out of memory" in ended.stderr) == (ended.returncode == 1)
    if ended.returncode:
        assert ended.stderr.count("\n") == 1
        assert not list(tmp_path.glob("out*"))
