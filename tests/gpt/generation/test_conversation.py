"""Conversations with a model: what it reads, who speaks, which turns are kept."""

from __future__ import annotations

import itertools
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import pytok
from gpt.errors import ConfigError
from gpt.generation.conversation import (
    GROUP_TURNS,
    ChatSession,
    Roles,
    recent_turns,
    template_of,
)
from gpt.generation.decoder import Reader
from gpt.generation.sampling import Sampling
from gpt.model.gpt import GPT
from gpt.runs.reading import read_checkpoint
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import TokenShift
from gpt.spec.mlp import MLP
from gpt.spec.pattern import Window
from gpt.spec.position import Learned
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from pytok.chat.jinja_template import JinjaTemplate
from pytok.chat.template import Conversation, Template, Turn
from pytok.chat.templates import KNOWN
from pytok.errors import ChatError
from tests.gpt.talks import (
    GREEDY,
    GROUP,
    TWO,
    chat_tokenizer,
    group_of,
    leaning,
    lively,
    said,
    talk_of,
)


@pytest.fixture(scope="module")
def bpe() -> pytok.Tokenizer:
    """The tokenizer of `chat_tokenizer`."""
    return chat_tokenizer()


@pytest.fixture(scope="module")
def model(bpe: pytok.Tokenizer) -> GPT:
    """Rotary positions, no window."""
    return lively(bpe.n_vocab)


# Reading.

MODELS = {
    "rope": lively(260),
    "learned": lively(260, position=Learned()),
    "window": lively(260, attention=GroupedQuery(heads=2, kv_heads=1, pattern=Window(size=5))),
    "swiglu": lively(260, mlp=MLP(activation="silu", gated=True), bias=True),
    "shift": lively(260, shift=TokenShift()),
}
rows = st.lists(st.integers(0, 3), min_size=1, max_size=20)


@pytest.mark.parametrize("name", MODELS)
@given(inputs=st.lists(rows, min_size=1, max_size=6))
def test_reading_with_a_cached_prefix_equals_reading_without(
    name: str, inputs: list[list[int]]
) -> None:
    """The rows share prefixes of any length."""
    reader = Reader(MODELS[name])
    for ids in inputs:
        expected = MODELS[name](torch.tensor([ids]))[0, -1]

        torch.testing.assert_close(reader.read(ids), expected, rtol=1e-4, atol=1e-4)


def tokens_read(monkeypatch: pytest.MonkeyPatch, model: GPT) -> list[int]:
    """Count the tokens of each forward pass of *model* from now on."""
    counts: list[int] = []
    forward = model.forward

    def counted(ids: torch.Tensor, **more: Any) -> Any:
        counts.append(ids.shape[1])
        return forward(ids, **more)

    monkeypatch.setattr(model, "forward", counted)
    return counts


def test_only_new_tokens_are_read(model: GPT, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first difference on, and always the last token, which gives the logits."""
    counts = tokens_read(monkeypatch, model)
    reader = Reader(model)
    for ids in ([1, 2, 3, 4], [1, 2, 3, 4, 5], [1, 2, 9], [1, 2, 9], [7]):
        reader.read(ids)

    assert counts == [4, 1, 1, 1, 1]


def test_an_interrupted_read_invalidates_the_cache(model: GPT) -> None:
    """Its first layer has cached tokens that the second has not."""
    reader = Reader(model)
    reader.read([1, 2, 3])

    def interrupt(*_: object) -> None:
        raise RuntimeError("interrupted")

    hook = model.blocks[1].register_forward_pre_hook(interrupt)
    with pytest.raises(RuntimeError, match="interrupted"):
        reader.read([1, 2, 3, 4])
    hook.remove()

    expected = model(torch.tensor([[1, 2, 3, 4, 5]]))[0, -1]
    torch.testing.assert_close(reader.read([1, 2, 3, 4, 5]), expected, rtol=1e-4, atol=1e-4)


def test_an_answer_reads_only_the_turns_since_the_last_one(
    model: GPT, bpe: pytok.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The KV cache is kept between turns."""
    session = talk_of(model, bpe, max_tokens=2)
    said(session.reply("the cat"))
    before = TWO.render(session.conversation, bpe, train_on="all").ids
    counts = tokens_read(monkeypatch, model)
    said(session.reply("the"))

    after = TWO.render(session.conversation, bpe, train_on="all").ids
    assert counts[0] <= len(after) - len(before)
    assert all(count == 1 for count in counts[1:])


def test_answers_do_not_depend_on_removed_turns(model: GPT, bpe: pytok.Tokenizer) -> None:
    """A new session gives the same answers."""
    session = talk_of(model, bpe)
    for text in ("the cat", "did not", "owl"):
        said(session.reply(text))
    session.undo()
    session.undo()
    said(session.retry())
    said(session.reply("mat"))
    fresh = talk_of(model, bpe)

    assert [said(fresh.reply(text)) for text in ("the cat", "mat")] == [
        turn.text for turn in session.conversation.turns if turn.speaker == "Ada"
    ]


# Turns.


def test_an_answer_is_streamed_and_added(model: GPT, bpe: pytok.Tokenizer) -> None:
    """The conversation then has both turns, with their speakers."""
    session = talk_of(model, bpe)
    deltas = list(session.reply("Hello!"))

    assert {(delta.turn, delta.speaker) for delta in deltas} == {(1, "Ada")}
    text = "".join(delta.text for delta in deltas)
    assert session.conversation.turns == (Turn("Bo", "Hello!"), Turn("Ada", text))


def test_a_turn_has_no_special_tokens_and_is_not_empty(bpe: pytok.Tokenizer) -> None:
    """Even if these are the likeliest tokens."""
    special = ["<|endoftext|>", "<|system|>", "<|speaker_0|>", "<|speaker_3|>", "<|end|>"]
    session = talk_of(leaning(bpe, *special), bpe)
    text = said(session.reply("Hello!"))

    assert text
    assert len(bpe.encode_ordinary(text)) == 1
    assert "<|" not in text


def test_repetition_penalty_does_not_apply_to_the_end_of_a_turn(bpe: pytok.Tokenizer) -> None:
    """Every turn has that token."""
    sampling = Sampling(temperature=0, repetition_penalty=100.0)
    session = talk_of(leaning(bpe, "<|end|>"), bpe, sampling=sampling)

    assert len(said(session.reply("Hello!"))) == 1


def test_a_turn_has_at_most_max_tokens(bpe: pytok.Tokenizer) -> None:
    """Even if the model never ends it."""
    session = talk_of(leaning(bpe), bpe, max_tokens=5)

    assert len(said(session.reply("Hello!"))) == 5


def test_an_interrupted_turn_is_kept(model: GPT, bpe: pytok.Tokenizer) -> None:
    """Closing the stream, as on Ctrl-C, keeps the text so far."""
    session = talk_of(model, bpe)
    with closing(session.reply("Hello!")) as deltas:  # type: ignore[type-var]
        first = next(deltas)

    assert session.conversation.turns[1:] == (Turn("Ada", first.text),)
    assert said(session.reply("Continue."))


def test_answers_are_a_function_of_the_seed(model: GPT, bpe: pytok.Tokenizer) -> None:
    """A retry uses new random numbers."""
    sessions = [talk_of(model, bpe, sampling=Sampling(seed=seed)) for seed in (1, 1, 2)]
    one, same, other = (said(session.reply("Hello!")) for session in sessions)

    assert one == same != other
    assert said(sessions[0].retry()) != one


# Undo, the system text, loading.


def test_an_empty_conversation_has_nothing_to_undo(model: GPT, bpe: pytok.Tokenizer) -> None:
    """Nor to retry."""
    session = talk_of(model, bpe)

    with pytest.raises(ChatError, match="could be removed"):
        session.undo()
    with pytest.raises(ChatError, match="could be answered again"):
        session.retry()


def test_undo_removes_your_last_turn_and_its_answers(bpe: pytok.Tokenizer) -> None:
    """A call of `reply` without a text counts as well."""
    session = group_of(leaning(bpe, "<|end|>", "<|speaker_0|>"), bpe)
    said(session.reply("Hello!"))
    before = session.conversation
    said(session.reply(to="Cy"))
    assert len(session.conversation.turns) == 3
    session.undo()

    assert session.conversation == before


def test_retry_has_the_same_speaker(bpe: pytok.Tokenizer) -> None:
    """Your turn is kept."""
    session = group_of(leaning(bpe, "<|end|>", "<|speaker_0|>"), bpe)
    said(session.reply("Hello!", "Di"))
    deltas = list(session.retry())

    assert [turn.speaker for turn in session.conversation.turns] == ["Ada", "Di"]
    assert deltas[0].speaker == "Di"


def test_the_system_text_can_be_set_and_removed(model: GPT, bpe: pytok.Tokenizer) -> None:
    """At any time; an empty one removes it."""
    session = talk_of(model, bpe)
    said(session.reply("Hello!"))
    session.instruct("Be brief.")
    assert session.conversation.system == "Be brief."
    session.instruct("")

    assert session.conversation.system is None


def test_a_text_that_does_not_fit_changes_nothing(model: GPT, bpe: pytok.Tokenizer) -> None:
    """A turn, a system text, a loaded turn, and one of an unknown speaker."""
    session = talk_of(model, bpe)
    said(session.reply("Hello!"))
    before = session.conversation

    with pytest.raises(ChatError, match="split the message"):
        session.reply("x" * 100)
    with pytest.raises(ChatError, match="these instructions are too long"):
        session.instruct("x" * 60)
    with pytest.raises(ChatError, match="split the message"):
        session.load(Conversation((Turn("Bo", "x" * 100),)))
    with pytest.raises(ChatError, match="'Eve' is not one of the speakers"):
        session.load(Conversation((Turn("Eve", "x"),)))
    assert session.conversation == before


def test_a_loaded_conversation_continues(model: GPT, bpe: pytok.Tokenizer) -> None:
    """Its turns can be undone."""
    session = talk_of(model, bpe)
    said(session.reply("Hello!"))
    other = talk_of(model, bpe)
    other.load(session.conversation)
    assert other.conversation == session.conversation
    other.undo()

    assert other.conversation.turns == ()


# Speakers.


@pytest.mark.parametrize(
    ("tokens", "speakers"),
    [
        (["<|speaker_2|>", "<|speaker_0|>"], ["Cy"] * GROUP_TURNS),
        (["<|speaker_0|>", "<|speaker_1|>"], ["Bo"]),
        (["<|endoftext|>", "<|speaker_3|>"], ["Di"]),
    ],
)
def test_the_model_predicts_who_speaks_next(
    bpe: pytok.Tokenizer, tokens: list[str], speakers: list[str]
) -> None:
    """You never answer yourself; the model stops at your turn, and at the end of the text."""
    session = group_of(leaning(bpe, "<|end|>", *tokens), bpe)
    deltas = session.reply("Hello!")

    assert [speaker for (_, speaker), _ in itertools.groupby(deltas, lambda d: d[:2])] == speakers


def test_reply_can_name_the_speaker_of_the_answer(bpe: pytok.Tokenizer) -> None:
    """Only one that the model plays."""
    session = group_of(leaning(bpe, "<|end|>", "<|speaker_0|>"), bpe)

    assert {delta.speaker for delta in session.reply("Hello!", "Di")} == {"Di"}
    with pytest.raises(ChatError, match="'Ada' is not played by the model"):
        session.reply("Hello!", "Ada")


@pytest.mark.parametrize(
    ("template", "you", "played", "roles"),
    [
        (TWO, None, [], ("Bo", ("Ada",))),
        (TWO, "ada", [], ("Ada", ("Bo",))),
        (TWO, None, ["bo"], ("Ada", ("Bo",))),
        (GROUP, "d", [], ("Di", ("Ada", "Bo", "Cy"))),
        (GROUP, "Ada", ["cy", "bo", "CY"], ("Ada", ("Cy", "Bo"))),
        (GROUP, None, [], ("Ada", ("Bo", "Cy", "Di"))),
        (GROUP, None, ["Ada", "Cy"], ("Bo", ("Ada", "Cy"))),
        (Template(GROUP.speakers, me="Ada"), None, [], ("Bo", ("Ada",))),
        (Template(GROUP.speakers, me="Cy"), "Ada", [], ("Ada", ("Cy",))),
    ],
)
def test_roles_follow_from_names_and_the_template(
    template: Template, you: str | None, played: list[str], roles: tuple[str, tuple[str, ...]]
) -> None:
    """The model plays the speaker that it was trained on, and you the one with most turns."""
    assert Roles.of(template, you, played) == roles


@pytest.mark.parametrize(
    ("template", "you", "played", "why"),
    [
        (TWO, None, ["Ada", "Bo"], "the model plays everybody"),
        (GROUP, "Eve", [], "'Eve' is not one of"),
        (GROUP, "Bo", ["Bo"], "makes you 'Bo', whom the model plays"),
        (Template(("Ada",)), "Ada", [], "only 'Ada' writes"),
        (Template(("Ada",)), None, [], "only 'Ada' writes"),
    ],
)
def test_impossible_roles_are_rejected(
    template: Template, you: str | None, played: list[str], why: str
) -> None:
    """The message says why, and what to choose instead."""
    with pytest.raises(ChatError, match=why):
        Roles.of(template, you, played)


# The context.


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=12), limit=st.integers(40, 80))
def test_the_oldest_turns_are_dropped_in_groups(
    bpe: pytok.Tokenizer, lengths: list[int], limit: int
) -> None:
    """The rest fits, and starts at the same turn as before the last one, or is half empty."""
    turns = tuple(Turn("Ada", "x" * length) for length in lengths)
    conversation = Conversation(turns, "Be brief.")
    kept = recent_turns(GROUP, bpe, conversation, limit)
    before = recent_turns(GROUP, bpe, Conversation(turns[:-1], "Be brief."), limit)

    assert kept.system == "Be brief."
    assert kept.turns == turns[len(turns) - len(kept.turns) :] != ()
    size = len(GROUP.prompt(kept, bpe, "Bo"))
    assert size <= limit or len(kept.turns) == 1
    same_start = len(kept.turns) == len(before.turns) + 1
    assert same_start or size <= limit // 2 + 8 or len(kept.turns) == 1


def test_a_conversation_can_exceed_the_context(model: GPT, bpe: pytok.Tokenizer) -> None:
    """All turns are kept, and a new session gives the same answer."""
    session = talk_of(model, bpe)
    for number in range(20):
        said(session.reply(f"the cat {number}"))
    conversation = session.conversation
    assert len(conversation.turns) == 40
    session.undo()
    fresh = talk_of(model, bpe)
    fresh.load(session.conversation)

    assert said(fresh.reply("the cat 19")) == conversation.turns[-1].text


def test_a_run_on_no_chat_is_rejected(recipe: Recipe, tmp_path: Path) -> None:
    """The message names the command to fine-tune it on one."""
    train(recipe)

    with pytest.raises(ConfigError, match=r"was not trained on a chat.*gpt tune"):
        template_of(read_checkpoint(recipe.out))


ALTERNATING = """{% for m in messages %}
{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('not in turn') }}{% endif %}
{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' }}{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
"""A template that begins with the user, as those of Mistral and Gemma."""


@pytest.mark.parametrize("name", ["chatml", "llama3", "alternating"])
def test_a_conversation_with_roles_can_be_longer_than_the_context(name: str) -> None:
    """The oldest turns are no longer read, and what is left begins with yours."""
    marks = KNOWN["chatml"].special_tokens
    template = {**KNOWN, "alternating": JinjaTemplate(ALTERNATING, marks)}[name]  # type: ignore[index]
    bpe = template.extend(chat_tokenizer())
    roles = Roles.of(template)
    session = ChatSession(
        lively(bpe.n_vocab, context=128), bpe, template, roles, sampling=GREEDY, max_tokens=6
    )
    for _ in range(9):
        said(session.reply("the cat sat on it"))
        before = Conversation(session.conversation.turns[:-1])  # what the last answer has read
        latest = recent_turns(template, bpe, before, 96)
        assert latest.turns[0].speaker == "user"
        assert len(template.prompt(latest, bpe, "assistant")) <= 96

    assert roles == Roles("user", ("assistant",))
    assert [turn.speaker for turn in session.conversation.turns] == ["user", "assistant"] * 9
    assert len(latest.turns) < 17


def test_a_saved_conversation_with_tools_is_continued() -> None:
    """Whose turns a template of roles has, though nobody plays them."""
    template = KNOWN["chatml"]
    bpe = template.extend(chat_tokenizer())
    session = ChatSession(
        lively(bpe.n_vocab, context=128), bpe, template, Roles.of(template), sampling=GREEDY
    )
    turns = (Turn("user", "a"), Turn("assistant", "b"), Turn("tool", "c"), Turn("system", "d"))
    session.load(Conversation(turns, "rules"))

    assert session.conversation == Conversation(turns, "rules")
    assert said(session.reply("the cat"))
