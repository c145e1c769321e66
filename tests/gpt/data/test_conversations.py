"""Conversations as rows: every target once, after its own conversation only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pytok
from gpt.data.batch import IGNORED
from gpt.data.conversations import ConversationRows, Conversations, RenderedConversations
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.position import Learned
from pytok.chat.template import Conversation, write_conversations
from pytok.tokenizer import Tokenizer
from tests.gpt.conftest import TEXT
from tests.gpt.models import mean_loss, perturbed
from tests.gpt.training.tuning import TEMPLATE, conversation


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    """A tokenizer with the special tokens of the chat."""
    return TEMPLATE.extend(pytok.train([TEXT], 280, special_tokens=("<|endoftext|>",)))


def pack(
    tmp_path: Path, bpe: Tokenizer, many: list[Conversation], length: int, train_on: Any = "mine"
) -> Conversations:
    """Write *many* to a file and read it as rows of *length* tokens."""
    path = tmp_path / "some.jsonl"
    write_conversations(path, many)
    rendered = RenderedConversations.read(path, TEMPLATE, bpe, train_on=train_on)
    return Conversations(rendered, length)


@pytest.mark.parametrize("train_on", ["mine", "all", "last"])
@pytest.mark.parametrize("length", [6, 16, 64, 400])
def test_every_token_trained_on_is_a_target_once(
    tmp_path: Path, bpe: Tokenizer, train_on: Any, length: int
) -> None:
    """For conversations cut into windows or packed together; nothing else is a target."""
    many = [conversation(number, turns=1 + number % 7) for number in range(9)]
    rows = pack(tmp_path, bpe, many, length, train_on)
    rendered = [TEMPLATE.render(each, bpe, train_on=train_on) for each in many]
    expected = [id for each in rendered for id, counts in zip(*each, strict=True) if counts]
    batch = rows.batch(range(len(rows.rows)))

    assert sorted(batch.targets[batch.targets != IGNORED].tolist()) == sorted(expected)
    assert batch.num_targets == rows.num_targets == len(expected)


@pytest.mark.parametrize("length", [6, 16, 64])
def test_a_target_follows_its_input_in_the_same_conversation(
    tmp_path: Path, bpe: Tokenizer, length: int
) -> None:
    """It is predicted from the text before it: its conversation so far, or at least half a row."""
    many = [conversation(number, turns=6) for number in range(4)]
    rows = pack(tmp_path, bpe, many, length)
    texts = [TEMPLATE.render(each, bpe).ids for each in many]
    batch = rows.batch(range(len(rows.rows)))
    for inputs, targets, document_ids in zip(*map(np.asarray, batch[:3]), strict=True):
        assert (np.diff(document_ids) >= 0).all()
        for position in np.flatnonzero(targets != IGNORED):
            start = np.flatnonzero(document_ids == document_ids[position])[0]
            read = [*inputs[start : position + 1].tolist(), int(targets[position])]
            found = [
                text[offset : offset + len(read)] == read
                for text in texts
                for offset in range(len(text))
            ]
            assert any(found)
            assert len(read) - 1 >= length // 2 or any(text[: len(read)] == read for text in texts)


def test_rows_are_packed_tightly(tmp_path: Path, bpe: Tokenizer) -> None:
    """Best-fit decreasing needs at most 11/9 of the fewest rows, plus one (Johnson 1973)."""
    many = [conversation(number, turns=1 + number % 5) for number in range(60)]
    rows = pack(tmp_path, bpe, many, 100, "all")
    fewest = sum(size - 1 for size in rows.sizes) / 100

    assert len(rows.rows) <= 11 / 9 * fewest + 1


def test_bytes_are_those_of_the_turns_trained_on(tmp_path: Path, bpe: Tokenizer) -> None:
    """Special tokens have none."""
    rows = pack(tmp_path, bpe, [conversation(5, turns=4)], 64)

    assert rows.bytes == 2 * len("the barn, the barn.")


def test_rows_are_a_function_of_seed_and_number(tmp_path: Path, bpe: Tokenizer) -> None:
    """Each epoch has every row once, in another order."""
    many = [conversation(number, turns=4) for number in range(30)]
    rows = pack(tmp_path, bpe, many, 64)
    count = len(rows.rows)
    first, again, other = (ConversationRows(rows, seed) for seed in (0, 0, 1))
    epoch = first.batch(0, count).inputs
    order = {tuple(row) for row in epoch.tolist()}

    assert torch.equal(again.batch(3, 4).inputs, epoch[3:7])
    assert not torch.equal(other.batch(0, count).inputs, epoch)
    following = first.batch(count, count).inputs
    assert not torch.equal(following, epoch)
    assert {tuple(row) for row in following.tolist()} == order


@pytest.mark.parametrize("position", [Learned(), None], ids=["learned", "rope"])
def test_packed_conversations_do_not_see_each_other(
    tmp_path: Path, bpe: Tokenizer, position: Any
) -> None:
    """The loss of packed rows is that of the conversations one by one."""
    many = [conversation(number, turns=2) for number in range(5)]
    rows = pack(tmp_path, bpe, many, 128)
    spec = {} if position is None else {"position": position}
    config = GPTConfig(
        vocab_size=320,
        context=128,
        layers=2,
        width=16,
        **spec,
        attention=GroupedQuery(heads=2, kv_heads=2),
    )
    model = perturbed(config, 0.1)
    batch = rows.batch(range(len(rows.rows)))
    packed = mean_loss(model, batch.inputs, batch.targets, batch.document_ids) * batch.num_targets
    alone = 0.0
    for each in many:
        ids, mask = TEMPLATE.render(each, bpe)
        inputs, targets = torch.tensor([ids[:-1]]), torch.tensor([ids[1:]])
        targets[~torch.tensor([mask[1:]])] = IGNORED
        alone += mean_loss(model, inputs, targets) * sum(mask)

    assert len(rows.rows) < len(many)
    torch.testing.assert_close(packed, alone, rtol=1e-5, atol=1e-4)
