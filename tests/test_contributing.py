"""The example in CONTRIBUTING.md works as it is printed."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt.nn import build
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from tests.gpt.models import mean_loss, perturbed

PAGE = Path(__file__).parent.parent / "CONTRIBUTING.md"


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> GPTConfig:
    """A model with the example's position encoding."""
    monkeypatch.setattr(build, "MECHANISMS", dict(build.MECHANISMS))
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    names: dict[str, Any] = {}
    exec(compile(code, PAGE.name, "exec", dont_inherit=True), names)
    return dataclasses.replace(
        GPTConfig(
            vocab_size=50,
            context=16,
            layers=2,
            width=32,
            attention=GroupedQuery(heads=4, kv_heads=2),
        ),
        position=names["DistanceBias"](longest=5),
    )


def test_the_example_trains_and_decodes(config: GPTConfig) -> None:
    """It has gradients, and cached logits equal uncached ones."""
    model, ids = perturbed(config), torch.randint(50, (2, 16))
    mean_loss(model, ids, ids.roll(-1, 1)).backward()
    cache = model.new_cache(2)
    cached = [model(chunk, cache=cache) for chunk in ids.split((5, 1, 1, 9), dim=1)]

    assert model.position.bias.weight.grad.any()
    torch.testing.assert_close(torch.cat(cached, 1), model(ids))


def test_rows_of_different_lengths_decode_with_the_example(config: GPTConfig) -> None:
    """Each has its own distances."""
    model, ids = perturbed(config), torch.randint(50, (1, 12))
    caches = [model.new_cache(1), model.new_cache(1)]
    model(ids[:, :9], cache=caches[0])
    model(ids[:, :4], cache=caches[1])
    cache = caches[0].join(caches)
    logits = model(torch.stack((ids[0, 9:10], ids[0, 4:5])), cache=cache)

    torch.testing.assert_close(logits[0, 0], model(ids[:, :10])[0, -1])
    torch.testing.assert_close(logits[1, 0], model(ids[:, :5])[0, -1])
