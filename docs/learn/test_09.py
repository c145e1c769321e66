"""Tests of the exercises of chapter 9."""

from types import ModuleType

import pytest
import torch
from torch import Tensor

from gpt.model.reference import GPT, Config
from gpt.optim.schedules import linear
from gpt.spec.schedule import Linear

CONFIG = Config(vocab_size=50, context=8, layers=1, heads=2, kv_heads=2, width=32, hidden=64)


@pytest.fixture
def model() -> GPT:
    """A small model, the same each time."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return GPT(CONFIG)


@pytest.fixture
def rows() -> Tensor:
    """Two rows of ids."""
    return torch.randint(50, (2, 9), generator=torch.Generator().manual_seed(1))


def test_9a_the_rate_is_that_of_gpt(chapter: ModuleType) -> None:
    """At every step."""
    spec = Linear(warmup=0.25, decay=0.75)
    expected = [0.01 * linear(spec, step, (step + 1) / 20) for step in range(20)]

    found = [chapter.rate(step, steps=20, peak=0.01, warmup=5) for step in range(20)]

    assert found[0] > 0, "The first step must not have rate 0: it would change nothing."
    assert found[4] == pytest.approx(0.01), "The peak is at the end of the warm-up: step 4 of 5."
    assert found[-1] == pytest.approx(0.0), "The last step is number steps - 1."
    assert found == pytest.approx(expected)


def masked(rows: Tensor, hidden: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets of *rows*; the first *hidden* targets do not count."""
    targets = rows[:, 1:].clone()
    targets.view(-1)[:hidden] = -100
    return rows[:, :-1], targets


def gradients(model: GPT) -> Tensor:
    """The gradients of all parameters, one after another."""
    return torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None])


def test_9b_parts_are_as_good_as_the_whole(chapter: ModuleType, model: GPT, rows: Tensor) -> None:
    """Also if one part has fifteen targets and the other has two."""
    parts = [masked(rows, hidden=1), masked(rows + 0, hidden=14)]
    inputs, targets = (torch.cat(each) for each in zip(*parts, strict=True))
    whole = model.loss(inputs, targets)
    whole.backward()
    expected = gradients(model)
    model.zero_grad()

    loss = chapter.accumulate(model, parts)

    assert loss == pytest.approx(whole.item(), rel=1e-5), (
        "The mean of the batches' means is not the mean of the targets: divide each sum by the "
        "number of all targets."
    )
    assert torch.allclose(gradients(model), expected, atol=1e-6), (
        "The returned loss is right, but the gradients are not: divide before backward()."
    )


def test_9b_a_batch_without_targets(chapter: ModuleType, model: GPT, rows: Tensor) -> None:
    """It changes nothing, and is no reason for a NaN."""
    one = masked(rows, hidden=0)

    loss = chapter.accumulate(model, [one, masked(rows, hidden=16)])

    assert loss == pytest.approx(model.loss(*one).item(), rel=1e-5), (
        "A batch in which no target counts adds nothing; its mean would be 0 / 0."
    )


class Constant(GPT):
    """A model that does not read its input."""

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits of a row of zeros."""
        return super().forward(torch.zeros_like(ids))


class Frozen(GPT):
    """A model whose gradients reach the position embedding only."""

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits that the weights do not follow from."""
        return super().forward(ids).detach() + 0 * self.position.embedding.weight.sum()


def test_9c_a_good_model_memorizes(chapter: ModuleType, model: GPT, rows: Tensor) -> None:
    """Two rows in a hundred steps."""
    assert chapter.memorizes(model, rows, steps=100) is True, (
        "This model can memorize two rows: check the shift of the targets, the rate and zero_grad."
    )


@pytest.mark.parametrize("broken", [Constant, Frozen])
def test_9c_a_broken_model_does_not(chapter: ModuleType, broken: type[GPT], rows: Tensor) -> None:
    """Whatever its loss is at first."""
    torch.manual_seed(0)
    assert chapter.memorizes(broken(CONFIG), rows, steps=60) is False, (
        "This model cannot know what follows, so its loss stays high: return the last loss < 0.2."
    )


def test_9d_the_same_row_again(chapter: ModuleType) -> None:
    """Also after other rows, and whatever the global random state is."""
    first = [chapter.row_start(3, row, tokens=1000, context=16) for row in range(50)]
    torch.manual_seed(7)
    again = [chapter.row_start(3, row, tokens=1000, context=16) for row in reversed(range(50))]

    assert first == again[::-1], "Do not use a generator that is shared between calls."


def test_9d_rows_and_seeds_differ(chapter: ModuleType) -> None:
    """A thousand positions, so fifty rows repeat few."""
    starts = {
        seed: [chapter.row_start(seed, row, tokens=1000, context=16) for row in range(50)]
        for seed in (0, 1)
    }

    assert len(set(starts[0])) > 35, "Rows begin at many positions: use the number of the row."
    assert starts[0] != starts[1], "Another seed gives other rows."
    assert starts[0][1:] != starts[1][:-1], "seed + row gives row 1 of seed 0 again as row 0 of 1."


def test_9d_every_window_fits(chapter: ModuleType) -> None:
    """From the first position to the last that leaves context + 1 tokens."""
    found = {chapter.row_start(0, row, tokens=12, context=8) for row in range(200)}

    assert found == {0, 1, 2, 3}, "12 tokens have four windows of 9: at 0, 1, 2 and 3."
