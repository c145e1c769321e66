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


def test_unknown_dtype_is_rejected() -> None:
    """The message lists the known ones."""
    with pytest.raises(ConfigError, match="auto, float32 or bfloat16; got 'float16'"):
        Runtime.choose("cpu", "float16")
