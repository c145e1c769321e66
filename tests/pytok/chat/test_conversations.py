"""A history divided: where conversations end, what becomes of each message, what is held out."""

import contextlib
from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import pytok
from pytok.chat.conversations import (
    Division,
    Session,
    conversations,
    hold_out,
    sessions,
    told,
    words,
)
from pytok.chat.record import Kind, Message, in_order
from pytok.chat.template import Conversation, Template
from pytok.errors import ChatError
from tests.pytok.chat.histories import BEGIN, at, history, long_history, message


def divide(messages: list[Message], **division: object) -> list[list[tuple[str, str]]]:
    """The turns of each session."""
    found, _ = sessions(messages, Division(**division))  # type: ignore[arg-type]
    return [[(turn.speaker, turn.text) for turn in session.turns] for session in found]


def test_a_longer_pause_ends_a_conversation() -> None:
    """One of just the gap does not."""
    messages = history("0 A a", "60 B b", "120.1 A c", "121 B d")

    assert divide(messages) == [[("A", "a"), ("B", "b")], [("A", "c"), ("B", "d")]]
    assert len(divide(messages, split=timedelta(hours=2))) == 1


def test_what_one_says_in_a_row_is_one_turn() -> None:
    """But not across a pause that ends a conversation, and only if wanted."""
    messages = history("0 A a", "1 A b", "2 B c", "3 A d", "200 A e", "201 B f")

    assert divide(messages) == [
        [("A", "a\nb"), ("B", "c"), ("A", "d")],
        [("A", "e"), ("B", "f")],
    ]
    assert divide(messages, merge=False)[0][:2] == [("A", "a"), ("A", "b")]


def test_a_conversation_ends_after_so_many_turns() -> None:
    messages = history("0 A a", "1 A b", "900 B c", "901 A d", "902 B e", "903 A f")

    assert divide(messages, split=2) == [
        [("A", "a\nb"), ("B", "c")],
        [("A", "d"), ("B", "e")],
    ]  # and f alone is too few


def test_chats_are_kept_apart() -> None:
    """Messages of two chats in one history that cross in time are of two conversations."""
    messages = [
        message(minute, sender, f"{chat}{minute}", chat=chat)
        for minute, sender, chat in [(0, "A", "x"), (1, "A", "y"), (2, "B", "x"), (3, "B", "y")]
    ]

    assert divide(messages) == [
        [("A", "x0"), ("B", "x2")],
        [("A", "y1"), ("B", "y3")],
    ]


def test_times_with_and_without_a_zone_compare() -> None:
    """A history may be merged of sources that say it and sources that do not."""
    zone = datetime(2024, 1, 1, 14, 1, tzinfo=timezone(timedelta(hours=2)))
    messages = [message(0, "A", "a"), Message(time=zone, sender="B", text="b")]

    assert divide(messages) == [[("A", "a"), ("B", "b")]]


@pytest.mark.parametrize(
    ("kind", "text", "media", "plain", "shown"),
    [
        ("text", "hi", None, "hi", "hi"),
        ("text", " \n", None, "", ""),
        ("poll", "Pizza?", None, "Pizza?", "Pizza?"),
        ("media", "", "image", "", "<image>"),
        ("media", "look", "image", "look", "<image> look"),
        ("media", "", "IMG-20240101.jpg", "", "<media>"),
        ("deleted", "This message was deleted", None, "", "<deleted>"),
        ("call", "Missed voice call", None, "", "<call>"),
        ("location", "https://maps", None, "", "<location>"),
    ],
)
def test_what_is_no_text_is_left_out_or_shown(
    kind: Kind, text: str, media: str | None, plain: str, shown: str
) -> None:
    given = message(0, "A", text, kind=kind, media=media)

    assert words(given) == plain
    assert words(given, placeholders=True) == shown


def test_what_is_left_out_is_counted() -> None:
    messages = [
        *history("0 A a", "1 B b"),
        message(2, None, "A joined", kind="system"),
        message(3, "A", kind="media", media="video"),
        message(4, "A", kind="media", media="image"),
        message(5, "B", "gone", kind="deleted"),
        message(6, "B", " "),
        *history("500 A alone"),
    ]

    found, left_out = sessions(messages, Division())

    assert len(found) == 1
    assert left_out == Counter(system=1, media=2, deleted=1, empty=1, sessions=1, turns=1)
    assert told(left_out) == (
        "1 deleted; 1 text without words; 2 media; 1 system; "
        "1 conversation with too few turns (1 turn)"
    )


kinds = st.sampled_from(["text", "media", "system", "deleted", "call", "poll", "location"])
some_messages = st.lists(
    st.builds(
        message,
        st.integers(0, 10_000),
        st.sampled_from(["A", "B", "C"]),
        st.text(max_size=3),
        kind=kinds,
        chat=st.sampled_from([None, "x"]),
    )
)
divisions = st.builds(
    Division,
    split=st.sampled_from([timedelta(minutes=30), timedelta(days=1), 1, 3, "tokens"]),
    merge=st.booleans(),
    min_turns=st.integers(1, 3),
    max_tokens=st.just(40),
    placeholders=st.booleans(),
)


@given(some_messages, divisions)
def test_every_message_is_in_a_turn_or_counted(
    trained: pytok.Tokenizer, messages: list[Message], division: Division
) -> None:
    """Nothing is lost and nothing doubled, whatever the division."""
    found, left_out = sessions(messages, division)
    talks = conversations(found, division, trained, left_out)

    if not division.merge and not left_out["cut turns"]:
        turns = sum(len(talk.turns) for talk in talks) + left_out["turns"]
        others = left_out.total() - left_out["turns"] - left_out["sessions"]
        assert turns + others == len(messages)
    said = sorted("".join(turn.text for talk in talks for turn in talk.turns).replace("\n", ""))
    if not left_out["turns"]:
        spoken = "".join(
            words(each, placeholders=division.placeholders)
            for each in messages
            if each.kind != "system"
        )
        assert said == sorted(spoken.replace("\n", ""))


# Cutting.


def test_a_long_conversation_is_cut_between_turns(trained: pytok.Tokenizer) -> None:
    """As late as it may be, and each piece knows when it began."""
    text = "some words"
    found, left_out = sessions(
        history(*(f"{i} {'AB'[i % 2]} {text}" for i in range(8))), Division()
    )
    division = Division(max_tokens=1 + 3 * (trained.count(text) + 2))

    talks = conversations(found, division, trained, left_out)

    assert [len(talk.turns) for talk in talks] == [3, 3, 2]
    assert [talk.began for talk in talks] == [at(0), at(3), at(6)]
    assert not left_out


def test_a_turn_that_is_too_long_becomes_several_of_its_speaker(trained: pytok.Tokenizer) -> None:
    """Which together say what it said, and are counted."""
    text = "naïve 東京 👩‍👩‍👧 <|endoftext|> " * 30
    found, left_out = sessions([message(0, "A", text), message(1, "B", "ok")], Division())
    division = Division(max_tokens=20, min_turns=1)

    talks = conversations(found, division, trained, left_out)

    turns = [turn for talk in talks for turn in talk.turns]
    assert "".join(turn.text for turn in turns if turn.speaker == "A") == text
    assert left_out == Counter({"cut turns": 1})


@given(st.lists(st.tuples(st.sampled_from("AB"), st.text(min_size=1)), min_size=1), st.booleans())
def test_no_conversation_has_more_tokens_than_it_may(
    trained: pytok.Tokenizer, said: list[tuple[str, str]], with_system: bool
) -> None:
    """As the template renders it."""
    template = Template(("A", "B"))
    tokenizer = template.extend(trained)
    division = Division(
        max_tokens=24, min_turns=1, merge=False, system="Be kind" if with_system else None
    )
    found, left_out = sessions([message(0, who, text) for who, text in said], division)
    assume(found)

    for talk in conversations(found, division, tokenizer, left_out):
        assert len(template.render(talk, tokenizer, train_on="all").ids) <= 24


def test_by_tokens_alone_no_pause_ends_a_conversation(trained: pytok.Tokenizer) -> None:
    division = Division(split="tokens", max_tokens=64, merge=False)
    found, left_out = sessions(history("0 A a", "9000 B b", "90000 A c"), division)

    [talk] = conversations(found, division, trained, left_out)

    assert [turn.text for turn in talk.turns] == ["a", "b", "c"]


def test_the_system_text_begins_each_conversation() -> None:
    division = Division(system="Be kind.")
    found, left_out = sessions(history("0 A a", "1 B b"), division)

    assert conversations(found, division, None, left_out) == [
        Conversation(found[0].turns, "Be kind.", BEGIN)
    ]


def test_what_cannot_be_divided_so_is_refused(trained: pytok.Tokenizer) -> None:
    with pytest.raises(ChatError, match="a gap of 0:00:00 is none"):
        Division(split=timedelta(0))
    with pytest.raises(ChatError, match="0 turns make no conversation"):
        Division(split=0)
    with pytest.raises(ChatError, match="say how many"):
        Division(split="tokens")
    with pytest.raises(ChatError, match="give at least 16"):
        Division(max_tokens=15)
    with pytest.raises(ChatError, match=r"name a tokenizer \(-t\)"):
        conversations([], Division(max_tokens=16), None, Counter())
    with pytest.raises(ChatError, match="the system text leaves no room"):
        conversations([], Division(max_tokens=16, system="word " * 9), trained, Counter())


# Holding out.


def test_the_last_tenth_of_the_conversations_is_held_out() -> None:
    found, _ = sessions(long_history(30), Division())

    held = hold_out(found, 0.1)

    assert held.train == found[:27]
    assert held.val == found[27:]


spans = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), min_size=2)


@given(spans, st.sampled_from([0.1, 0.3, 0.5, 0.9]))
def test_nothing_learnt_is_later_than_what_is_held_out(
    spans: list[tuple[int, int]], val: float
) -> None:
    """Though chats go on side by side; and every session is on one side."""
    found = sorted(
        (Session(None, (), (at(began),), at(began + length)) for began, length in spans),
        key=lambda session: session.began,
    )
    with contextlib.suppress(ChatError):  # where all overlap, none can be
        held = hold_out(found, val)

        assert max(in_order(each.ended) for each in held.train) <= held.val[0].began
        assert [*held.train, *held.val] == found
        assert len(held.train) <= len(found) * (1 - val)


def test_conversations_without_times_of_their_own_are_held_out_by_place() -> None:
    """As those that other software made, which all have the same."""
    found = [Session(str(number), (), (BEGIN,), BEGIN) for number in range(10)]

    held = hold_out(found, 0.2)

    assert [session.chat for session in held.val] == ["8", "9"]


def test_what_cannot_be_held_out_is_refused() -> None:
    one = [Session(None, (), (BEGIN,), BEGIN)]
    with pytest.raises(ChatError, match=r"no conversation is over .* pass val=0 \(--val 0\)"):
        hold_out(one, 0.1)
    with pytest.raises(ChatError, match="no share to hold out"):
        hold_out(one, 1.0)
    assert hold_out(one, 0).train == one
