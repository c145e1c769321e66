"""Dropout, stochastic depth, and their schedules."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from gpt.errors import ConfigError
from gpt.model.gpt import GPT
from gpt.nn.dropout import Dropout, DropPath, set_dropout
from gpt.optim.build import DROPOUT_SCHEDULES
from gpt.spec import dropout
from gpt.spec.schedule import EarlyDropout, LateDropout
from tests.gpt.models import mechanism, perturbed
from tests.gpt.nn.test_mechanisms import SMALL, random_ids


def dropout_of_ones(p: float, seed: int = 0) -> Tensor:
    """Dropout of a million ones."""
    torch.manual_seed(seed)
    return Dropout(p).train()(torch.ones(1000, 1001))


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.9])
def test_dropout_zeroes_with_its_probability_and_preserves_the_mean(p: float) -> None:
    """Within five standard deviations; all other elements have the same value, as in torch."""
    y, deviation = dropout_of_ones(p), math.sqrt(p * (1 - p) / 1_001_000)

    assert abs((y == 0).float().mean().item() - p) < 5 * deviation + 1 / 2**17
    torch.testing.assert_close(y[y != 0].unique(), torch.tensor([1 / (1 - p)]), rtol=1e-4, atol=0)


def test_dropout_is_independent_for_each_element() -> None:
    """Neighbors, and elements that use parts of one 64-bit random number, are uncorrelated."""
    zeroed = (dropout_of_ones(0.5).flatten() == 0).float() - 0.5

    for distance in (1, 2, 3, 4, 1000):
        assert abs((zeroed[distance:] * zeroed[:-distance]).mean()) < 5 * 0.25 / 1000


def test_dropout_is_a_function_of_the_seed() -> None:
    """A resumed run depends on it."""
    assert torch.equal(dropout_of_ones(0.3), dropout_of_ones(0.3))
    assert not torch.equal(dropout_of_ones(0.3), dropout_of_ones(0.3, seed=1))


def test_gradient_of_dropout_is_its_factor() -> None:
    """It is 0 for zeroed elements."""
    x = torch.ones(100, requires_grad=True)
    y = Dropout(0.5).train()(x)
    y.sum().backward()

    torch.testing.assert_close(x.grad, y.detach())


@pytest.mark.parametrize(("training", "p"), [(False, 0.5), (True, 0.0)])
def test_dropout_returns_its_input_in_evaluation_or_with_probability_0(
    training: bool, p: float
) -> None:
    """It is not copied."""
    x = torch.ones(10)

    assert Dropout(p).train(training)(x) is x


def test_drop_path_zeroes_whole_rows() -> None:
    """With its probability; all other rows have the value that preserves the mean."""
    torch.manual_seed(0)
    rows = DropPath(0.25).train()(torch.ones(20_000, 2, 3)).flatten(1)

    assert torch.equal(rows, rows[:, :1].expand_as(rows))
    assert abs((rows[:, 0] == 0).float().mean() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 20_000)
    torch.testing.assert_close(rows[rows != 0].unique(), torch.tensor([4 / 3]), rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (dropout.Dropout(path=0.3), [0.0, 0.1, 0.2, 0.3]),
        (dropout.Dropout(path=0.3, path_grows=False), [0.3] * 4),
    ],
    ids=str,
)
def test_stochastic_depth_grows_linearly(spec: dropout.Dropout, expected: list[float]) -> None:
    """torch.linspace, with which timm computes it, is the oracle."""
    config = dataclasses.replace(SMALL, layers=4, dropout=spec)
    found = [mechanism(config.wiring, config, layer).path.p for layer in range(4)]

    assert found == pytest.approx(expected)
    if spec.path_grows:
        assert found == pytest.approx(torch.linspace(0, 0.3, 4).tolist())


def test_probabilities_are_where_they_belong() -> None:
    """Each alone; one number is for the embedding and the branches."""
    spec = dropout.Dropout(
        embedding=0.1, branch=0.2, hidden=0.3, path=0.4, path_grows=False, attention=0.6
    )
    model = GPT(dataclasses.replace(SMALL, dropout=spec))
    found = {name: each.p for name, each in model.named_modules() if isinstance(each, Dropout)}

    assert {name: p for name, p in found.items() if not name.startswith("blocks.1") and p} == {
        "dropout": 0.1,
        "blocks.0.attention.pairwise.dropout": 0.6,
        "blocks.0.mlp.dropout": 0.3,
        "blocks.0.dropout": 0.2,
        "blocks.0.path": 0.4,
    }
    assert dropout.Dropout(rate=0.5) == dataclasses.replace(dropout.Dropout(), rate=0.5)
    assert (dropout.Dropout(rate=0.5).of_embedding, dropout.Dropout(rate=0.5).of_branches) == (
        0.5,
        0.5,
    )


@pytest.mark.parametrize("name", ["rate", "embedding", "branch", "attention", "hidden", "path"])
def test_a_probability_of_1_is_rejected(name: str) -> None:
    """Nothing would be left."""
    with pytest.raises(ConfigError, match=f"{name} must be at least 0 and below 1"):
        dropout.Dropout(**{name: 1.0})  # type: ignore[arg-type]


ALL = dropout.Dropout(rate=0.5, attention=0.5, hidden=0.5, path=0.5)


def test_evaluation_has_no_dropout() -> None:
    """Of any kind."""
    ids = random_ids(2, 16)

    torch.testing.assert_close(
        perturbed(dataclasses.replace(SMALL, dropout=ALL))(ids), perturbed(SMALL)(ids)
    )


def test_a_factor_of_0_turns_dropout_off() -> None:
    """And later factors turn it on again."""
    model, ids = perturbed(dataclasses.replace(SMALL, dropout=ALL)).train(), random_ids(2, 16)
    set_dropout(model, 0.0)
    off = model(ids)
    set_dropout(model, 1.0)
    on = model(ids)

    torch.testing.assert_close(off, model.eval()(ids))
    assert not torch.allclose(off, on)


def test_a_factor_multiplies_the_probability() -> None:
    """Here to 0.1."""
    torch.manual_seed(0)
    module = Dropout(0.4).train()
    module.set_factor(0.25)
    y = module(torch.ones(1000, 1000))

    assert abs((y == 0).float().mean().item() - 0.1) < 5 * 0.3 / 1000
    torch.testing.assert_close(y.max(), torch.tensor(1 / 0.9), rtol=1e-4, atol=0)


def test_compiled_code_is_the_same_for_every_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads the factor as a tensor, so a schedule does not compile it again at each step."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    module, x = Dropout(0.4).train(), torch.ones(300, 300)
    graphs: list[Any] = []
    for factor in (1.0, 0.5, 0.25):
        module.set_factor(factor)
        graphs.append(module(x))
        zeros = (graphs[-1] == 0).float().mean().item()

        assert abs(zeros - 0.4 * factor) < 5 * 0.5 / 300


def of_the_authors(rate: float, steps: int, cutoff: int, mode: str) -> list[float]:
    """The probabilities of the paper's repository: `drop_scheduler` of facebookresearch/dropout."""
    if mode == "early":
        return [*torch.linspace(rate, 0, cutoff).tolist(), *[0.0] * (steps - cutoff)]
    return [*[0.0] * cutoff, *[rate] * (steps - cutoff)]


@pytest.mark.parametrize(
    ("spec", "mode"), [(EarlyDropout(cutoff=0.25), "early"), (LateDropout(start=0.25), "late")]
)
def test_schedules_of_dropout_are_those_of_the_authors(spec: Any, mode: str) -> None:
    """Up to one step, since ours count the end of a step."""
    schedule = DROPOUT_SCHEDULES[type(spec)]
    ours = [0.3 * schedule(spec, (step + 1) / 400) for step in range(400)]

    assert ours == pytest.approx(of_the_authors(0.3, 400, 100, mode), abs=0.3 / 99)


def test_every_schedule_of_dropout_is_tested() -> None:
    """A row of the table cannot be added without a case."""
    assert set(DROPOUT_SCHEDULES) == {EarlyDropout, LateDropout}
