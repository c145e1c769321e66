"""Talking with a model: what it reads, who speaks, what stays said."""

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
from gpt.generation.conversation import TURNS, Roles, recent, template_of
from gpt.generation.decoder import Reader
from gpt.generation.sampling import Sampling
from gpt.model.gpt import GPT
from gpt.runs.reading import read_checkpoint
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import TokenShift
from gpt.spec.mlp import SwiGLU
from gpt.spec.position import Learned
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from pytok.chat.template import Conversation, Template, Turn
from pytok.errors import ChatError
from tests.gpt.talks import (
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


# What is read.

MODELS = {
    "rope": lively(260),
    "learned": lively(260, position=Learned()),
    "window": lively(260, attention=GroupedQuery(heads=2, kv_heads=1, window=5)),
    "swiglu": lively(260, mlp=SwiGLU(), bias=True),
    "shift": lively(260, shift=TokenShift()),
}
rows = st.lists(st.integers(0, 3), min_size=1, max_size=20)


@pytest.mark.parametrize("name", MODELS)
@given(read=st.lists(rows, min_size=1, max_size=6))
def test_reading_on_equals_reading_afresh(name: str, read: list[list[int]]) -> None:
    """Rows that share any beginning, longer, shorter, or none."""
    reader = Reader(MODELS[name])
    for ids in read:
        fresh = MODELS[name](torch.tensor([ids])).logits[0, -1]

        torch.testing.assert_close(reader.read(ids), fresh, rtol=1e-4, atol=1e-4)


def tokens_read(monkeypatch: pytest.MonkeyPatch, model: GPT) -> list[int]:
    """How many tokens each forward pass of *model* is given from now on."""
    counts: list[int] = []
    forward = model.forward

    def counted(ids: torch.Tensor, **more: Any) -> Any:
        counts.append(ids.shape[1])
        return forward(ids, **more)

    monkeypatch.setattr(model, "forward", counted)
    return counts


def test_only_what_is_new_is_read(model: GPT, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rows part, and the last token, whose prediction is asked for."""
    counts = tokens_read(monkeypatch, model)
    reader = Reader(model)
    for ids in ([1, 2, 3, 4], [1, 2, 3, 4, 5], [1, 2, 9], [1, 2, 9], [7]):
        reader.read(ids)

    assert counts == [4, 1, 1, 1, 1]


def test_a_read_that_is_cut_off_leaves_nothing_to_trust(model: GPT) -> None:
    """Its first layer has tokens that the second has not."""
    reader = Reader(model)
    reader.read([1, 2, 3])

    def cut_off(*_: object) -> None:
        raise RuntimeError("cut off")

    hook = model.blocks[1].register_forward_pre_hook(cut_off)
    with pytest.raises(RuntimeError, match="cut off"):
        reader.read([1, 2, 3, 4])
    hook.remove()

    fresh = model(torch.tensor([[1, 2, 3, 4, 5]])).logits[0, -1]
    torch.testing.assert_close(reader.read([1, 2, 3, 4, 5]), fresh, rtol=1e-4, atol=1e-4)


def test_an_answer_reads_what_was_said_since_the_last_one(
    model: GPT, bpe: pytok.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The KV cache is kept between turns."""
    talk = talk_of(model, bpe, max_tokens=2)
    said(talk.reply("the cat"))
    counts = tokens_read(monkeypatch, model)
    said(talk.reply("the"))

    prompt = TWO.render(talk.conversation, bpe, train_on="all").ids
    assert counts[0] < len(prompt) - 10
    assert all(count == 1 for count in counts[1:])


def test_answers_are_those_of_a_talk_that_reads_afresh(model: GPT, bpe: pytok.Tokenizer) -> None:
    """Whatever was said, taken back and said again before."""
    talk = talk_of(model, bpe)
    for text in ("the cat", "did not", "owl"):
        said(talk.reply(text))
    talk.undo()
    talk.undo()
    said(talk.retry())
    said(talk.reply("mat"))
    fresh = talk_of(model, bpe)

    assert [said(fresh.reply(text)) for text in ("the cat", "mat")] == [
        turn.text for turn in talk.conversation.turns if turn.speaker == "Ada"
    ]


# A turn.


def test_an_answer_streams_and_is_said(model: GPT, bpe: pytok.Tokenizer) -> None:
    """Both turns are in the conversation then, under their names."""
    talk = talk_of(model, bpe)
    pieces = list(talk.reply("Hello!"))

    assert {(piece.turn, piece.speaker) for piece in pieces} == {(1, "Ada")}
    text = "".join(piece.text for piece in pieces)
    assert talk.conversation.turns == (Turn("Bo", "Hello!"), Turn("Ada", text))


def test_a_turn_has_no_special_tokens_whatever_the_model_wants(bpe: pytok.Tokenizer) -> None:
    """Nor is it empty: one token is drawn before it may end."""
    wanted = ["<|endoftext|>", "<|system|>", "<|speaker_0|>", "<|speaker_3|>", "<|end|>"]
    talk = talk_of(leaning(bpe, *wanted), bpe)
    text = said(talk.reply("Hello!"))

    assert text
    assert len(bpe.encode_ordinary(text)) == 1
    assert "<|" not in text


def test_a_penalty_for_repetition_spares_the_end_of_a_turn(bpe: pytok.Tokenizer) -> None:
    """Every turn before has it, and it is not what is repeated."""
    sampling = Sampling(temperature=0, repetition_penalty=100.0)
    talk = talk_of(leaning(bpe, "<|end|>"), bpe, sampling=sampling)

    assert len(said(talk.reply("Hello!"))) == 1


def test_a_turn_has_no_more_than_its_tokens(bpe: pytok.Tokenizer) -> None:
    """Here one that never ends by itself."""
    talk = talk_of(leaning(bpe), bpe, max_tokens=5)

    assert len(said(talk.reply("Hello!"))) == 5


def test_what_was_written_when_the_stream_is_closed_stays(model: GPT, bpe: pytok.Tokenizer) -> None:
    """As by Ctrl-C; the conversation goes on from it."""
    talk = talk_of(model, bpe)
    with closing(talk.reply("Hello!")) as pieces:  # type: ignore[type-var]
        first = next(pieces)

    assert talk.conversation.turns[1:] == (Turn("Ada", first.text),)
    assert said(talk.reply("Go on."))


def test_the_seed_decides_what_is_said(model: GPT, bpe: pytok.Tokenizer) -> None:
    """And /retry draws anew."""
    talks = [talk_of(model, bpe, sampling=Sampling(seed=seed)) for seed in (1, 1, 2)]
    one, same, other = (said(talk.reply("Hello!")) for talk in talks)

    assert one == same != other
    assert said(talks[0].retry()) != one


# Taking back, the system's text, other conversations.


def test_nothing_said_cannot_be_taken_back(model: GPT, bpe: pytok.Tokenizer) -> None:
    """Nor answered again."""
    talk = talk_of(model, bpe)

    with pytest.raises(ChatError, match="could be taken back"):
        talk.undo()
    with pytest.raises(ChatError, match="could be answered again"):
        talk.retry()


def test_undo_takes_back_what_you_said_and_the_answers(bpe: pytok.Tokenizer) -> None:
    """A line that only asked somebody to speak is one, too."""
    talk = group_of(leaning(bpe, "<|end|>", "<|speaker_0|>"), bpe)
    said(talk.reply("Hello!"))
    before = talk.conversation
    said(talk.reply(to="Cy"))
    assert len(talk.conversation.turns) == 3
    talk.undo()

    assert talk.conversation == before


def test_retry_asks_the_same_one_again(bpe: pytok.Tokenizer) -> None:
    """And keeps what you said."""
    talk = group_of(leaning(bpe, "<|end|>", "<|speaker_0|>"), bpe)
    said(talk.reply("Hello!", "Di"))
    pieces = list(talk.retry())

    assert [turn.speaker for turn in talk.conversation.turns] == ["Ada", "Di"]
    assert pieces[0].speaker == "Di"


def test_the_system_text_stands_first(model: GPT, bpe: pytok.Tokenizer) -> None:
    """Also where it is said in the middle; an empty one takes it away."""
    talk = talk_of(model, bpe)
    said(talk.reply("Hello!"))
    talk.instruct("Be brief.")
    assert talk.conversation.system == "Be brief."
    talk.instruct("")

    assert talk.conversation.system is None


def test_a_text_that_does_not_fit_changes_nothing(model: GPT, bpe: pytok.Tokenizer) -> None:
    """One said, one of the system, one that is loaded, one among strangers."""
    talk = talk_of(model, bpe)
    said(talk.reply("Hello!"))
    before = talk.conversation

    with pytest.raises(ChatError, match="say it in roles"):
        talk.reply("x" * 100)
    with pytest.raises(ChatError, match="more than half of the 64"):
        talk.instruct("x" * 60)
    with pytest.raises(ChatError, match="say it in roles"):
        talk.load(Conversation((Turn("Bo", "x" * 100),)))
    with pytest.raises(ChatError, match="'Eve' is not one of the speakers"):
        talk.load(Conversation((Turn("Eve", "x"),)))
    assert talk.conversation == before


def test_a_loaded_conversation_goes_on(model: GPT, bpe: pytok.Tokenizer) -> None:
    """As if it had been said here: it can be taken back."""
    talk = talk_of(model, bpe)
    said(talk.reply("Hello!"))
    other = talk_of(model, bpe)
    other.load(talk.conversation)
    assert other.conversation == talk.conversation
    other.undo()

    assert other.conversation.turns == ()


# Who speaks.


@pytest.mark.parametrize(
    ("tokens", "speakers"),
    [
        (["<|speaker_2|>", "<|speaker_0|>"], ["Cy"] * TURNS),
        (["<|speaker_0|>", "<|speaker_1|>"], ["Bo"]),
        (["<|endoftext|>", "<|speaker_3|>"], ["Di"]),
    ],
)
def test_the_model_says_who_speaks_next(
    bpe: pytok.Tokenizer, tokens: list[str], speakers: list[str]
) -> None:
    """You never answer yourself, and have the floor where it is your turn, or the end."""
    talk = group_of(leaning(bpe, "<|end|>", *tokens), bpe)
    pieces = talk.reply("Hello!")

    assert [speaker for (_, speaker), _ in itertools.groupby(pieces, lambda p: p[:2])] == speakers


def test_one_is_asked_by_name(bpe: pytok.Tokenizer) -> None:
    """Whoever is likelier; nobody else can be."""
    talk = group_of(leaning(bpe, "<|end|>", "<|speaker_0|>"), bpe)

    assert {piece.speaker for piece in talk.reply("Hello!", "Di")} == {"Di"}
    with pytest.raises(ChatError, match="'Ada' is not played by the model"):
        talk.reply("Hello!", "Ada")


@pytest.mark.parametrize(
    ("template", "you", "played", "roles"),
    [
        (TWO, None, [], ("Bo", ("Ada",))),
        (TWO, "ada", [], ("Ada", ("Bo",))),
        (TWO, None, ["bo"], ("Ada", ("Bo",))),
        (GROUP, "d", [], ("Di", ("Ada", "Bo", "Cy"))),
        (GROUP, "Ada", ["cy", "bo", "CY"], ("Ada", ("Cy", "Bo"))),
        (Template(GROUP.speakers, me="Cy"), "Ada", [], ("Ada", ("Cy",))),
    ],
)
def test_parts_are_given_by_names_and_by_what_was_learnt(
    template: Template, you: str | None, played: list[str], roles: tuple[str, tuple[str, ...]]
) -> None:
    """The model plays whom it has learnt, unless that is you."""
    assert Roles.of(template, you, played) == roles


@pytest.mark.parametrize(
    ("template", "you", "played", "why"),
    [
        (GROUP, None, [], "who are you.*'Ada', 'Bo', 'Cy', 'Di'"),
        (GROUP, None, ["Bo"], "who are you.*'Ada', 'Cy', 'Di'"),
        (GROUP, "Eve", [], "'Eve' is not one of"),
        (GROUP, "Bo", ["Bo"], "'Bo' is you"),
        (Template(("Ada",)), "Ada", [], "'Ada' is the only speaker"),
    ],
)
def test_parts_that_cannot_be_are_refused(
    template: Template, you: str | None, played: list[str], why: str
) -> None:
    """With the names there are."""
    with pytest.raises(ChatError, match=why):
        Roles.of(template, you, played)


# The context.


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=12), limit=st.integers(40, 80))
def test_the_oldest_turns_leave_at_turn_borders(
    bpe: pytok.Tokenizer, lengths: list[int], limit: int
) -> None:
    """What is left fits, ends with the last, and began there before the last came, or is short."""
    turns = tuple(Turn("Ada", "x" * length) for length in lengths)
    whole = Conversation(turns, "Be brief.")
    kept = recent(GROUP, bpe, whole, limit)
    before = recent(GROUP, bpe, Conversation(turns[:-1], "Be brief."), limit)

    assert kept.system == "Be brief."
    assert kept.turns == turns[len(turns) - len(kept.turns) :] != ()
    size = len(GROUP.prompt(kept, bpe, "Bo"))
    assert size <= limit or len(kept.turns) == 1
    began_alike = len(kept.turns) == len(before.turns) + 1
    assert began_alike or size <= limit // 2 + 8 or len(kept.turns) == 1


def test_a_long_talk_goes_on(model: GPT, bpe: pytok.Tokenizer) -> None:
    """Many times the context; all of it stays said, and is what a fresh reader would answer."""
    talk = talk_of(model, bpe)
    for number in range(20):
        said(talk.reply(f"the cat {number}"))
    conversation = talk.conversation
    assert len(conversation.turns) == 40
    talk.undo()
    fresh = talk_of(model, bpe)
    fresh.load(talk.conversation)

    assert said(fresh.reply("the cat 19")) == conversation.turns[-1].text


def test_a_run_that_has_learnt_no_chat_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    """With the command that teaches it one."""
    train(recipe)

    with pytest.raises(ConfigError, match=r"has learnt no chat.*gpt tune"):
        template_of(read_checkpoint(recipe.out))
