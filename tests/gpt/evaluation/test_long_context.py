"""Evaluation and generation with a longer context than in training."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import gpt
import pytok
from gpt.__main__ import main
from gpt.data.shards import open_data, open_split
from gpt.errors import ConfigError
from gpt.evaluation.bits_per_byte import evaluate
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery, Interleaved
from gpt.spec.pattern import Window
from gpt.spec.position import (
    T5,
    ALiBi,
    InterleavedPositions,
    Learned,
    Music,
    Rope,
    Shaw,
    Sinusoidal,
)
from gpt.spec.recipe import Recipe
from gpt.spec.scaling import NTK, DynamicNTK, YaRN
from gpt.spec.scoring import Location
from pytok import shards
from tests.gpt.models import perturbed
from tests.gpt.nn.test_mechanisms import SMALL, heads, random_ids

ALLOWED = [
    None,
    Sinusoidal(),
    Rope(),
    Rope(scaling=NTK(factor=2.0)),
    Rope(scaling=YaRN(factor=2.0)),
    ALiBi(),
    T5(buckets=8, distance=12),
    Shaw(distance=5),
    Music(distance=6),
    InterleavedPositions(layers=(Rope(), None)),
]
CPU = Runtime.choose("cpu", "float32")


def longer(config: GPTConfig, context: int) -> tuple[GPT, GPT]:
    """A model, and the same model with *context* tokens of context."""
    model = perturbed(config)
    extended = GPT(config.extended(context)).eval()
    extended.load_state_dict(model.state_dict())
    return model, extended


@pytest.mark.parametrize("position", ALLOWED, ids=str)
def test_a_longer_context_changes_no_short_text(position: Any) -> None:
    """The first 16 of 40 tokens have the logits that they had, and all can be cached."""
    model, extended = longer(dataclasses.replace(SMALL, position=position), 40)
    ids, cache = random_ids(1, 40), extended.new_cache(1)
    logits = extended(ids)
    cached = [extended(chunk, cache=cache) for chunk in ids.split((20, 1, 1, 18), dim=1)]

    torch.testing.assert_close(logits[:, :16], model(ids[:, :16]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.cat(cached, dim=1), logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position": Learned()}, "Learned has vectors for the 16 positions of training only"),
        ({"position": Music()}, "for distances below the context of training, 16"),
        (
            {"position": None, "attention": heads(score=Location())},
            "Location has weights for the 16 positions",
        ),
        (
            {"position": None, "attention": Interleaved(layers=(heads(score=Location()),))},
            "Location has weights for the 16 positions",
        ),
        (
            {"position": InterleavedPositions(layers=(None, Music()))},
            "for distances below the context of training, 16",
        ),
    ],
    ids=str,
)
def test_weights_of_positions_refuse_a_longer_context(
    changes: dict[str, Any], message: str
) -> None:
    """Whatever the layer; a shorter one is no change."""
    config = dataclasses.replace(SMALL, **changes)

    assert config.extended(8) is config
    with pytest.raises(ConfigError, match=message):
        config.extended(17)


def test_an_extended_model_knows_its_context_of_training() -> None:
    """Scaling depends on it; a window stays as it is."""
    attention = heads(pattern=Window(size=5))
    for scaling in (DynamicNTK(), YaRN(factor=2.0)):
        config = dataclasses.replace(SMALL, position=Rope(scaling=scaling), attention=attention)
        found = config.extended(64).extended(128)

        assert found.context == 128
        assert found.attention == attention
        assert found.position == Rope(scaling=dataclasses.replace(scaling, original_context=16))


def test_losses_by_position_equal_a_computation_by_hand(data: Path) -> None:
    """In eight slices of the window; together they are the loss."""
    config = GPTConfig(vocab_size=257, context=24, layers=1, width=32, attention=heads())
    model, split = perturbed(config), open_split(open_data(data), "val")
    ids = torch.tensor(split.read(0, len(split)).astype("int64"))
    sums, counts = torch.zeros(24), torch.zeros(24)
    for start in range(0, len(ids) - 1, 24):
        window = ids[start : start + 25]
        nats = F.cross_entropy(model(window[None, :-1])[0], window[1:], reduction="none")
        sums[: len(nats)] += nats.detach()
        counts[: len(nats)] += 1
    found = evaluate(model, split, runtime=CPU, rows=3).by_position

    assert [(each.first, each.last) for each in found] == [(n + 1, n + 3) for n in range(0, 24, 3)]
    expected = sums.view(8, 3).sum(1) / counts.view(8, 3).sum(1)
    assert [each.nats_per_token for each in found] == pytest.approx(expected.tolist())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of a context of 16: `rope`, and `learned`."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "text.txt").write_text("a house is a house, " * 100)
    tokenizer = pytok.train(folder / "text.txt", vocab_size=260, special_tokens=("<|endoftext|>",))
    shards.write(folder / "text.txt", tokenizer, folder / "data")
    for name, position in (("rope", Rope()), ("learned", Learned())):
        attention = GroupedQuery(heads=2, kv_heads=2)
        gpt.train(
            Recipe(
                data=folder / "data",
                out=folder / name,
                steps=1,
                device="cpu",
                dtype="float32",
                model=Architecture(
                    context=16, layers=1, width=16, attention=attention, position=position
                ),
            )
        )
    return folder


def test_commands_take_a_longer_context(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bits per byte, multiple choice and samples."""
    question = {"question": "a house " * 30, "choices": ["house", "is"], "answer": 0}
    (runs / "choices.jsonl").write_text(json.dumps(question))
    text, run = str(runs / "text.txt"), str(runs / "rope")
    assert main(["eval", run, "--data", text, "--context", "64", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)

    assert figures["by_position"][-1]["last"] == 64
    assert main(["eval", run, "--choices", str(runs / "choices.jsonl"), "--context", "64"]) == 0
    assert main(["sample", run, "--context", "64", "--tokens", "40", "--prompt", "a"]) == 0


@pytest.mark.parametrize("command", ["eval", "sample"])
def test_commands_say_why_a_context_is_too_long(
    runs: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line."""
    given = [command, str(runs / "learned"), "--context", "64"]

    assert main(given) == 1
    assert "choose a context of at most 16" in capsys.readouterr().err
