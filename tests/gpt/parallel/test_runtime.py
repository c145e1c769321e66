"""The device of a run, and the dtype of its matrix products."""

from __future__ import annotations

import pytest
import torch

from gpt.errors import ConfigError
from gpt.parallel.runtime import Runtime


@pytest.mark.parametrize(
    ("avx512", "amx", "expected"),
    [
        (True, False, torch.bfloat16),
        (False, True, torch.bfloat16),
        (False, False, torch.float32),
        (None, None, torch.float32),
    ],
)
def test_auto_dtype_is_bfloat16_if_the_processor_supports_it(
    monkeypatch: pytest.MonkeyPatch, avx512: bool | None, amx: bool | None, expected: torch.dtype
) -> None:
    """With either instruction set; a torch without the probes uses float32."""
    probes = {"_is_avx512_bf16_supported": avx512, "_is_amx_tile_supported": amx}
    for name, answer in probes.items():
        if answer is None:
            monkeypatch.delattr(torch.cpu, name, raising=False)
        else:
            monkeypatch.setattr(torch.cpu, name, lambda answer=answer: answer, raising=False)

    assert Runtime.choose("cpu").dtype is expected


@pytest.mark.parametrize(
    ("dtype", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_products_are_computed_in_the_given_dtype(dtype: str, expected: torch.dtype) -> None:
    """Whatever the processor supports."""
    x = torch.ones(2, 2)
    with Runtime.choose("cpu", dtype).autocast():
        product = x @ x

    assert product.dtype is expected


@pytest.mark.parametrize("device", ["gpu", "meta", "cpu:x"])
def test_unsupported_device_is_rejected(device: str) -> None:
    """The message lists the supported ones."""
    with pytest.raises(ConfigError, match="use auto, cpu or cuda"):
        Runtime.choose(device)


def test_missing_cuda_device_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the runtime is chosen, before torch fails elsewhere."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="use --device cpu"):
        Runtime.choose("cuda")


@pytest.mark.parametrize(
    ("capability", "dtype", "expected", "remark"),
    [
        ((9, 0), "auto", torch.bfloat16, None),
        ((8, 0), "float32", torch.float32, None),
        ((7, 5), "auto", torch.float32, "NVIDIA T4 does not multiply bfloat16, and float16"),
        ((7, 0), "bfloat16", torch.bfloat16, "use --dtype float32"),
    ],
)
def test_a_gpu_without_bfloat16_computes_in_float32_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
    capability: tuple[int, int],
    dtype: str,
    expected: torch.dtype,
    remark: str | None,
) -> None:
    """A V100 and a T4 have float16 only, which would need a scaled loss."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *device: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *device: "NVIDIA T4")
    runtime = Runtime.choose("cuda", dtype)

    assert runtime.dtype is expected
    assert (runtime.remark is None) if remark is None else (remark in (runtime.remark or ""))


def test_compilation_pays_earlier_on_cuda() -> None:
    """A run of the default length is compiled there, and not on the CPU."""
    cpu, cuda = (Runtime(device=torch.device(d), dtype=torch.float32) for d in ("cpu", "cuda"))

    assert cuda.compile_pays(600)
    assert not cuda.compile_pays(60)
    assert not cpu.compile_pays(600)
    assert cpu.compile_pays(3600)


def test_unknown_dtype_is_rejected() -> None:
    """The message lists the known ones."""
    with pytest.raises(ConfigError, match="auto, float32 or bfloat16; got 'float16'"):
        Runtime.choose("cpu", "float16")
