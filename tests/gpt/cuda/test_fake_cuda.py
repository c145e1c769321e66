"""Training, evaluation and generation on a fake CUDA device: tensors, waits and copies.

No kernel runs, so neither numbers nor speed are tested here; `benches/gpu.py` does that on a GPU.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.gpt.cuda.cases import TOKENS, Cases

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
CASES = Cases(Path(), Path())
STEPS = [name for name in CASES.table if name.startswith("step")]
GENERATIONS = [n for n in CASES.table if n.startswith("generation") and "past" not in n]
GENERATIONS.remove("generation of texts that end")
EVALUATIONS = [name for name in CASES.table if name.startswith("evaluation")]
WAITS = ("item", "tolist", "cpu", "bool", "nonzero")

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the fake driver is preloaded"),
    pytest.mark.skipif(torch.version.cuda is None, reason="needs a build of torch with CUDA"),
    pytest.mark.skipif(torch.cuda.is_available(), reason="the real driver would answer"),
    pytest.mark.skipif(COMPILER is None, reason="the fake driver needs a C compiler"),
]


@pytest.fixture(scope="module")
def observed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The error of each case, if any, and what it made the device do; all in one process."""
    folder = tmp_path_factory.mktemp("cuda")
    driver = folder / "libcuda.so.1"
    options = ["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(driver)]
    subprocess.run([str(COMPILER), *options, str(HERE / "driver.c")], check=True)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.gpt.cuda.cases", str(data), str(folder)],
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": str(driver), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", CASES.table)
def test_every_tensor_is_on_the_device(observed: dict[str, Any], name: str) -> None:
    """An operation on tensors of two devices is an error, and so is one that only the CPU has."""
    assert observed[name]["error"] is None, observed[name]["error"]


def test_two_devices_are_noticed(observed: dict[str, Any]) -> None:
    """Or the test above could not fail."""
    assert "at least two devices" in (observed["two devices"]["error"] or "")


@pytest.mark.parametrize("name", STEPS)
def test_a_step_waits_once(observed: dict[str, Any], name: str) -> None:
    """For the loss and the gradient norm, whatever the number of its forward passes."""
    assert sum(observed[name]["waits"].values()) == 1, observed[name]["waits"]


@pytest.mark.parametrize("name", STEPS)
def test_rows_are_copied_beside_the_computation(observed: dict[str, Any], name: str) -> None:
    """As int32, from pinned memory."""
    assert observed[name]["blocking"] == {}
    assert set(observed[name]["asynchronous"]) == {"torch.int32"}


@pytest.mark.parametrize("name", STEPS)
def test_attention_has_a_fused_kernel(observed: dict[str, Any], name: str) -> None:
    """In bfloat16 and in float32, also with masks, windows and grouped heads."""
    assert observed[name]["attention"]
    assert "_scaled_dot_product_attention_math" not in observed[name]["attention"]


@pytest.mark.parametrize("name", GENERATIONS)
def test_generation_waits_once_a_token(observed: dict[str, Any], name: str) -> None:
    """For the ids of all texts together."""
    assert sum(observed[name]["waits"].values()) == TOKENS, observed[name]["waits"]


@pytest.mark.parametrize("name", EVALUATIONS)
def test_an_evaluation_waits_at_its_end(observed: dict[str, Any], name: str) -> None:
    """For two figures, not for each batch."""
    assert sum(observed[name]["waits"].values()) <= 2, observed[name]["waits"]
    assert observed[name]["blocking"] == {}


@pytest.mark.parametrize("name", WAITS)
def test_a_wait_is_noticed(observed: dict[str, Any], name: str) -> None:
    """Or the tests above could not fail."""
    assert sum(observed[name]["waits"].values()) == 1


@pytest.mark.parametrize("name", ["pageable copy", "blocking copy"])
def test_a_blocking_copy_is_noticed(observed: dict[str, Any], name: str) -> None:
    """It is asynchronous only if it is both asked for and from pinned memory."""
    assert sum(observed[name]["blocking"].values()) == 1
