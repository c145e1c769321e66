"""Tests of the exercises of chapter 12."""

from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import pytok
from gpt.adapt.lora import LoRALinear
from gpt.spec.adapter import LoRA
from pytok.chat.template import Conversation, Template, Turn

TURNS = (Turn("Jonas", "are you there?"), Turn("Mara", "yes"), Turn("Jonas", "ok"))


@pytest.fixture(autouse=True)
def _seed() -> None:
    """The same random numbers each time."""
    torch.manual_seed(0)


@pytest.mark.parametrize("me", ["Mara", "Jonas"])
def test_12a_the_mask_is_that_of_the_template(chapter: ModuleType, me: str) -> None:
    """Of either speaker."""
    template = Template(speakers=("Mara", "Jonas"), me=me)
    tokenizer = template.extend(pytok.train(["are you there? yes"], 260, pattern="gpt2"))
    expected = template.render(Conversation(TURNS), tokenizer).loss_mask
    turns = [(turn.speaker, tokenizer.encode_ordinary(turn.text)) for turn in TURNS]

    found = chapter.loss_mask(turns, me)

    assert len(found) == len(expected), "One token first; each turn has two more than its text."
    assert found == expected, "The end of a turn of me counts; the token of the speaker does not."


def test_12a_an_empty_turn_still_ends(chapter: ModuleType) -> None:
    """Saying nothing is something to learn."""
    assert chapter.loss_mask([("Mara", [])], "Mara") == [False, False, True]


def test_12b_the_loss_of_the_targets_that_count(chapter: ModuleType) -> None:
    """As torch computes it with -100."""
    logits, ids = torch.randn(6, 11), torch.randint(11, (6,))
    mask = torch.tensor([True, False, True, True, False, True])
    targets = torch.where(mask, ids, -100)
    expected = F.cross_entropy(logits[:-1], targets[1:])
    unshifted = F.cross_entropy(logits, targets)
    mask_unshifted = F.cross_entropy(logits[:-1][mask[:-1]], ids[1:][mask[:-1]])

    found = chapter.masked_loss(logits, ids, mask)

    assert not torch.allclose(found, unshifted), "The logits at t predict the id at t + 1."
    assert not torch.allclose(found, mask_unshifted), (
        "The mask says of each id whether it counts, so it is shifted together with the ids."
    )
    assert torch.allclose(found, expected), "The mean is over the targets that count."


def test_12c_the_layer_is_that_of_gpt(chapter: ModuleType) -> None:
    """Of any shape before the features."""
    linear = nn.Linear(12, 7, bias=False)
    layer = LoRALinear(linear, LoRA(rank=3, alpha=6.0), torch.Generator().manual_seed(0))
    nn.init.normal_(layer.up)
    x = torch.randn(2, 5, 12)

    found = chapter.adapted(x, linear.weight, layer.down, layer.up, layer.scale)

    assert torch.allclose(found, layer(x), atol=1e-5), "W x + s · B (A x): transpose each matrix."


def test_12c_nothing_changes_while_up_is_zero(chapter: ModuleType) -> None:
    """That is where training starts."""
    x, weight, down = torch.randn(4, 6), torch.randn(5, 6), torch.randn(2, 6)

    found = chapter.adapted(x, weight, down, torch.zeros(5, 2), 2.0)

    assert torch.allclose(found, x @ weight.T, atol=1e-6)


def test_12d_two_matrices(chapter: ModuleType) -> None:
    """Each has its own pair."""
    assert chapter.adapter_weights([(64, 64), (256, 64)], rank=8) == 8 * (128 + 320)


def test_12d_an_adapter_as_large_as_its_matrix_is_refused(chapter: ModuleType) -> None:
    """It would save nothing."""
    with pytest.raises(ValueError, match=r"."):
        chapter.adapter_weights([(64, 64)], rank=32)
    assert chapter.adapter_weights([(64, 64)], rank=31) == 31 * 128
