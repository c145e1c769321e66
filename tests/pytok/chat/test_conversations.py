"""Division of a history: ends of conversations, omitted messages, and the validation split."""

import contextlib
from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import pytok
from pytok.chat.conversations import (
    ConversationOptions,
    Session,
    describe_omitted,
    hold_out,
    make_conversations,
    message_text,
    split_into_sessions,
)
from pytok.chat.record import Kind, Message, assume_utc
from pytok.chat.template import Conversation, Template
from pytok.errors import ChatError
from tests.pytok.chat.histories import START, at, history, long_history, message


def divide(messages: list[Message], **options: object) -> list[list[tuple[str, str]]]:
    """Return the turns of each session."""
    found, _ = split_into_sessions(messages, ConversationOptions(**options))  # type: ignore[arg-type]
    return [[(turn.speaker, turn.text) for turn in session.turns] for session in found]


def test_a_pause_longer_than_the_gap_ends_a_conversation() -> None:
    """A pause equal to the gap does not."""
    messages = history("0 A a", "60 B b", "120.1 A c", "121 B d")

    assert divide(messages) == [[("A", "a"), ("B", "b")], [("A", "c"), ("B", "d")]]
    assert len(divide(messages, split=timedelta(hours=2))) == 1


def test_consecutive_messages_of_a_speaker_are_one_turn() -> None:
    """Except across a pause that ends a conversation, and without merging."""
    messages = history("0 A a", "1 A b", "2 B c", "3 A d", "200 A e", "201 B f")

    assert divide(messages) == [
        [("A", "a\nb"), ("B", "c"), ("A", "d")],
        [("A", "e"), ("B", "f")],
    ]
    assert divide(messages, merge=False)[0][:2] == [("A", "a"), ("A", "b")]


def test_a_conversation_ends_after_a_number_of_turns() -> None:
    messages = history("0 A a", "1 A b", "900 B c", "901 A d", "902 B e", "903 A f")

    assert divide(messages, split=2) == [
        [("A", "a\nb"), ("B", "c")],
        [("A", "d"), ("B", "e")],
    ]  # the single turn "f" is omitted


def test_chats_are_separate_conversations() -> None:
    """Even if their messages alternate in time."""
    messages = [
        message(minute, sender, f"{chat}{minute}", chat=chat)
        for minute, sender, chat in [(0, "A", "x"), (1, "A", "y"), (2, "B", "x"), (3, "B", "y")]
    ]

    assert divide(messages) == [
        [("A", "x0"), ("B", "x2")],
        [("A", "y1"), ("B", "y3")],
    ]


def test_times_with_and_without_a_zone_are_compared() -> None:
    """A merged history can have both."""
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
def test_messages_without_text_are_empty_or_placeholders(
    kind: Kind, text: str, media: str | None, plain: str, shown: str
) -> None:
    given = message(0, "A", text, kind=kind, media=media)

    assert message_text(given) == plain
    assert message_text(given, placeholders=True) == shown


def test_omitted_messages_are_counted() -> None:
    messages = [
        *history("0 A a", "1 B b"),
        message(2, None, "A joined", kind="system"),
        message(3, "A", kind="media", media="video"),
        message(4, "A", kind="media", media="image"),
        message(5, "B", "gone", kind="deleted"),
        message(6, "B", " "),
        *history("500 A alone"),
    ]

    found, omitted = split_into_sessions(messages, ConversationOptions())

    assert len(found) == 1
    assert omitted == Counter(system=1, media=2, deleted=1, empty=1, sessions=1, turns=1)
    assert describe_omitted(omitted) == (
        "1 deleted message, 1 message without words, 2 media files, 1 app notice, "
        "1 turn that nobody answered in time"
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
    ConversationOptions,
    split=st.sampled_from([timedelta(minutes=30), timedelta(days=1), 1, 3, "tokens"]),
    merge=st.booleans(),
    min_turns=st.integers(1, 3),
    max_tokens=st.just(40),
    placeholders=st.booleans(),
)


@given(some_messages, divisions)
def test_every_message_is_in_a_turn_or_counted(
    trained: pytok.Tokenizer, messages: list[Message], options: ConversationOptions
) -> None:
    """Nothing is lost or duplicated, for any options."""
    found, omitted = split_into_sessions(messages, options)
    talks = make_conversations(found, options, trained, omitted)

    if not options.merge and not omitted["cut turns"]:
        turns = sum(len(talk.turns) for talk in talks) + omitted["turns"]
        others = omitted.total() - omitted["turns"] - omitted["sessions"]
        assert turns + others == len(messages)
    kept = sorted("".join(turn.text for talk in talks for turn in talk.turns).replace("\n", ""))
    if not omitted["turns"]:
        expected = "".join(
            message_text(each, placeholders=options.placeholders)
            for each in messages
            if each.kind != "system"
        )
        assert kept == sorted(expected.replace("\n", ""))


# Cutting.


def test_a_long_conversation_is_cut_between_turns(trained: pytok.Tokenizer) -> None:
    """At the latest possible turn; each part has the time of its first turn."""
    text = "some words"
    found, omitted = split_into_sessions(
        history(*(f"{i} {'AB'[i % 2]} {text}" for i in range(8))), ConversationOptions()
    )
    options = ConversationOptions(max_tokens=1 + 3 * (trained.count(text) + 2))

    talks = make_conversations(found, options, trained, omitted)

    assert [len(talk.turns) for talk in talks] == [3, 3, 2]
    assert [talk.began for talk in talks] == [at(0), at(3), at(6)]
    assert not omitted


def test_a_turn_that_is_too_long_is_split(trained: pytok.Tokenizer) -> None:
    """Into turns of the same speaker with the same text in total; the cut is counted."""
    text = "naïve 東京 👩‍👩‍👧 <|endoftext|> " * 30
    found, omitted = split_into_sessions(
        [message(0, "A", text), message(1, "B", "ok")], ConversationOptions()
    )
    options = ConversationOptions(max_tokens=20, min_turns=1)

    talks = make_conversations(found, options, trained, omitted)

    turns = [turn for talk in talks for turn in talk.turns]
    assert "".join(turn.text for turn in turns if turn.speaker == "A") == text
    assert omitted == Counter({"cut turns": 1})


@given(st.lists(st.tuples(st.sampled_from("AB"), st.text(min_size=1)), min_size=1), st.booleans())
def test_no_conversation_exceeds_the_token_limit(
    trained: pytok.Tokenizer, said: list[tuple[str, str]], with_system: bool
) -> None:
    """As rendered by the template."""
    template = Template(("A", "B"))
    tokenizer = template.extend(trained)
    options = ConversationOptions(
        max_tokens=24, min_turns=1, merge=False, system="Be kind" if with_system else None
    )
    found, omitted = split_into_sessions([message(0, who, text) for who, text in said], options)
    assume(found)

    for talk in make_conversations(found, options, tokenizer, omitted):
        assert len(template.render(talk, tokenizer, train_on="all").ids) <= 24


def test_when_split_by_tokens_a_pause_does_not_end_a_conversation(
    trained: pytok.Tokenizer,
) -> None:
    options = ConversationOptions(split="tokens", max_tokens=64, merge=False)
    found, omitted = split_into_sessions(history("0 A a", "9000 B b", "90000 A c"), options)

    [talk] = make_conversations(found, options, trained, omitted)

    assert [turn.text for turn in talk.turns] == ["a", "b", "c"]


def test_each_conversation_has_the_system_prompt() -> None:
    options = ConversationOptions(system="Be kind.")
    found, omitted = split_into_sessions(history("0 A a", "1 B b"), options)

    assert make_conversations(found, options, None, omitted) == [
        Conversation(found[0].turns, "Be kind.", START)
    ]


def test_invalid_options_are_rejected(trained: pytok.Tokenizer) -> None:
    with pytest.raises(ChatError, match="the gap is 0:00:00; give a positive duration"):
        ConversationOptions(split=timedelta(0))
    with pytest.raises(ChatError, match="the number of turns is 0; give at least 1"):
        ConversationOptions(split=0)
    with pytest.raises(ChatError, match="needs a limit: give max_tokens"):
        ConversationOptions(split="tokens")
    with pytest.raises(ChatError, match="give at least 16"):
        ConversationOptions(max_tokens=15)
    with pytest.raises(ChatError, match=r"needs a tokenizer: give one \(-t\)"):
        make_conversations([], ConversationOptions(max_tokens=16), None, Counter())
    with pytest.raises(ChatError, match="the system prompt leaves no room"):
        make_conversations(
            [], ConversationOptions(max_tokens=16, system="word " * 9), trained, Counter()
        )


# Holding out.


def test_the_last_tenth_of_the_conversations_is_held_out() -> None:
    found, _ = split_into_sessions(long_history(30), ConversationOptions())

    split = hold_out(found, 0.1)

    assert split.train == found[:27]
    assert split.val == found[27:]


spans = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), min_size=2)


@given(spans, st.sampled_from([0.1, 0.3, 0.5, 0.9]))
def test_all_training_sessions_end_before_the_held_out_ones_start(
    spans: list[tuple[int, int]], val: float
) -> None:
    """Even if chats overlap in time; every session is in one of the splits."""
    found = sorted(
        (Session(None, (), (at(began),), at(began + length)) for began, length in spans),
        key=lambda session: session.began,
    )
    with contextlib.suppress(ChatError):  # if all overlap, none can be held out
        split = hold_out(found, val)

        assert max(assume_utc(each.ended) for each in split.train) <= split.val[0].began
        assert [*split.train, *split.val] == found
        assert len(split.train) <= len(found) * (1 - val)


def test_conversations_of_equal_time_are_held_out_by_position() -> None:
    """Conversations of other software can all have the same time."""
    found = [Session(str(number), (), (START,), START) for number in range(10)]

    split = hold_out(found, 0.2)

    assert [session.chat for session in split.val] == ["8", "9"]


def test_an_impossible_split_is_rejected() -> None:
    one = [Session(None, (), (START,), START)]
    with pytest.raises(ChatError, match=r"cannot be divided .* --val 0 \(val=0\)"):
        hold_out(one, 0.1)
    with pytest.raises(ChatError, match=r"val=1\.0 is not a fraction"):
        hold_out(one, 1.0)
    assert hold_out(one, 0).train == one
