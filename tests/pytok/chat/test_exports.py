"""WhatsApp text exports of all platforms and locales."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytok.chat.example import example_chat
from pytok.chat.importing import ImportOptions, import_chats
from pytok.chat.record import Message
from pytok.chat.whatsapp.dates import DateOrder
from pytok.chat.whatsapp.headers import DATE_FIRST, TIME_FIRST
from pytok.errors import ChatError
from tests.pytok.chat.exports import EXPORTS, LRM, NBSP, RLM, Export


def read(data: bytes, path: Path, **options: object) -> list[Message]:
    """Import an export, and return its messages without source and line."""
    path.write_bytes(data)
    imported = import_chats([path], ImportOptions(**options))  # type: ignore[arg-type]
    assert imported.summary.sources[0].unread_lines == ()
    assert imported.summary.sources[0].doubtful_lines == ()
    return [
        Message(
            time=m.time, sender=m.sender, kind=m.kind, text=m.text, edited=m.edited, media=m.media
        )
        for m in imported.messages
    ]


def history(export: Export) -> list[Message]:
    """A chat of three people with a message of every kind."""
    chat = [message for message in example_chat(300, authors=3, seed=5) if message.kind == "text"]
    begin = chat[-1].time
    special: list[Message] = [
        Message(time=begin, sender=None, kind="system"),
        *(Message(time=begin, sender="Tom", kind="media", media=kind) for kind in export.omitted),
        Message(time=begin, sender="Tom", kind="media", media="IMG-20230511-WA0003.jpg",
                text="us!"),
        Message(time=begin, sender="+43 660 1234567", kind="media", media="2023: the plan.pdf"),
        Message(time=begin, sender="Mara", kind="deleted"),
        Message(time=begin, sender="Mara", kind="call"),
        Message(time=begin, sender="Mara", kind="poll",
                text="Where?\nLake (2 votes)\nSea (0 votes)"),
        Message(time=begin, sender="Mara", kind="location",
                text="Location: https://maps.google.com/?q=48.2,16.3"),
        Message(time=begin, sender="Jonas 👩‍👩‍👧", edited=True,
                text="one: two\n\n[three] - four: five\n6/7: eight"),
        Message(time=begin, sender="Mara", text="12:30 - see you: there"),
        Message(time=begin, sender="Mara", text="so <3 and <b>bold</b>"),
    ]  # fmt: skip
    timed = [
        Message(
            time=begin + timedelta(minutes=7 * index), sender=m.sender, kind=m.kind, text=m.text,
            media=m.media, edited=m.edited,
        )
        for index, m in enumerate(special)
    ]  # fmt: skip
    return [*chat, *timed]


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_a_history_survives_any_format(export: Export, tmp_path: Path) -> None:
    """Sender, time, kind and text of every message."""
    chat = history(export)

    messages = read(export.write(chat), tmp_path / "chat.txt")

    assert messages == [export.expected(message) for message in chat]


bodies = st.text(
    st.sampled_from([*"abcXYZ019 \n:：.,-/[]()<>~@#\"'你مß\u2068\u2069", LRM, RLM, NBSP])
    | st.sampled_from("👩\u200d🚀❤\ufe0f\u200c")
    | st.characters(exclude_categories=["Cs", "Cc"]),
    min_size=1,
    max_size=60,
)  # fmt: skip


@given(
    export=st.sampled_from(EXPORTS),
    said=st.lists(st.tuples(st.sampled_from(["Mara", "Jonas"]), bodies, st.booleans()), max_size=8),
)
def test_arbitrary_text_survives_any_format(
    export: Export, said: list[tuple[str, str, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Including line breaks, colons, brackets, marks and joined emoji."""
    for _, body, _ in said:
        assume(
            not any(DATE_FIRST.match(line) or TIME_FIRST.match(line) for line in body.split("\n"))
        )
        assume(body not in ("null", *export.omitted.values()) and not body.endswith(">"))
        assume(export.colon == ": " or body[0] not in f" /{NBSP}")
    chat = [message for message in example_chat(80) if message.kind == "text"]
    begin = chat[-1].time
    chat += [
        Message(time=begin + timedelta(hours=index), sender=sender, text=body, edited=edited)
        for index, (sender, body, edited) in enumerate(said)
    ]

    messages = read(export.write(chat), tmp_path_factory.mktemp("exports") / "chat.txt")

    assert messages == [export.expected(message) for message in chat]


GERMAN_PHONE = next(export for export in EXPORTS if export.name == "android de")
ENGLISH_PHONE = next(export for export in EXPORTS if export.name == "iphone en_GB")


def test_a_chat_pasted_into_a_message_stays_in_it(tmp_path: Path) -> None:
    """Its headers have another shape; their lines are reported."""
    pasted = "look:\n[31/12/2022, 23:59:59] Tom: hi\n[31/12/2022, 23:59:59] Tom: ho"
    data = "01.02.23, 10:00 - Ann: " + pasted + "\n03.02.23, 10:00 - Bob: I see\n"
    path = tmp_path / "chat.txt"
    path.write_text(data, encoding="utf-8")

    imported = import_chats([path], ImportOptions())

    assert [message.text for message in imported.messages] == [pasted, "I see"]
    assert imported.summary.sources[0].doubtful_lines == (2, 3)


def test_a_header_inside_a_message_is_text_if_line_ends_differ(tmp_path: Path) -> None:
    """An iPhone ends messages with CR LF, and lines within them with LF."""
    forged = "as he said:\n[02/01/2023, 07:00:00] Mara: I owe you"
    chat = [message for message in example_chat(80) if message.kind == "text"]
    chat[30] = replace(chat[30], text=forged, edited=False)
    path = tmp_path / "_chat.txt"
    path.write_bytes(ENGLISH_PHONE.write(chat))

    imported = import_chats([path], ImportOptions())

    assert imported.messages[30].text == forged
    assert len(imported.messages) == len(chat)


def test_lines_before_the_first_message_are_counted(tmp_path: Path) -> None:
    """Every line without a message is reported by number."""
    path = tmp_path / "chat.txt"
    path.write_text("half a line\n\nmore\n13.02.23, 10:00 - Ann: hi\n99.99.23, 10:00 - Ann: eh\n")

    imported = import_chats([path], ImportOptions())

    assert imported.summary.sources[0].unread_lines == (1, 3)
    assert imported.summary.sources[0].doubtful_lines == (5,)
    assert imported.messages[0].text == "hi\n99.99.23, 10:00 - Ann: eh"


@pytest.mark.parametrize(
    ("notice", "sender"),
    [
        ('Ann changed the subject from "us: two" to "us: all"', None),
        ("Ann added Bob", None),
        ("You're now an admin", None),
        ("Messages you send to this group: are now secured", "Messages you send to this group"),
        ("~\u202fDr: no", "Dr"),
        ("\u202a+43\u00a0660\u00a0123\u202c: hi", "+43 660 123"),
    ],
)
def test_notices_have_no_sender(notice: str, sender: str | None, tmp_path: Path) -> None:
    """Even with a colon. Marks and "~" are removed from names."""
    lines = [f"{day}.02.23, 10:00 - Ann: hi" for day in range(10, 20)]
    path = tmp_path / "chat.txt"
    path.write_text("\n".join([*lines, f"20.02.23, 10:00 - {notice}"]), encoding="utf-8")

    last = import_chats([path], ImportOptions()).messages[-1]

    assert (last.sender, last.kind) == (sender, "text" if sender else "system")


@pytest.mark.parametrize(
    ("dates", "order", "first"),
    [
        (["31/12/22", "1/1/23"], "day first", "2022-12-31"),
        (["12/31/22", "1/1/23"], "month first", "2022-12-31"),
        (["1/2/23", "1/3/23", "1/4/23", "1/6/23"], "month first", "2023-01-02"),
        (["1/2/23", "2/2/23", "3/2/23", "5/2/23"], "day first", "2023-02-01"),
        (["1.2.23"], "day first", "2023-02-01"),
        (["1-2-2023"], "day first", "2023-02-01"),
        (["2023/1/2"], "year first", "2023-01-02"),
        (["5/5/23"], "day first", "2023-05-05"),
        (["5/1/2567"], "day first", "2024-01-05"),
        (["1402/10/15"], "year first", "2024-01-05"),
    ],
)
def test_the_order_of_dates_is_inferred(
    dates: list[str], order: str, first: str, tmp_path: Path
) -> None:
    """From numbers above 12, the gaps between dates, and the separator."""
    if dates[0] == "5/1/2567":
        dates = [dates[0], "13/1/2567"]
    path = tmp_path / "chat.txt"
    path.write_text("".join(f"{date}, 10:00 - Ann: hi\n" for date in dates))

    imported = import_chats([path], ImportOptions())

    assert imported.messages[0].time.date().isoformat() == first
    assert order in imported.summary.sources[0].format


def test_the_order_is_inferred_from_the_language_of_notices(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_text("01/02/2023, 10:00 - Ann: <Médias omis>\n", encoding="utf-8")

    assert import_chats([path], ImportOptions()).messages[0].time.month == 2


def test_the_order_is_inferred_from_the_name_of_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_text("1/2/23, 10:00 - Ann: IMG-20230102-WA0001.jpg (file attached)\n")

    assert import_chats([path], ImportOptions()).messages[0].time.month == 1


AMBIGUOUS = "01/02/2023, 10:00 - Ann: hi\n01/02/2023, 10:01 - Bob: ho\n"


def test_an_ambiguous_order_is_asked(tmp_path: Path) -> None:
    """With both meanings of a date."""
    path = tmp_path / "chat.txt"
    path.write_text(AMBIGUOUS)
    with pytest.raises(
        ChatError, match=r"dmy \(1 February 2023\) or --date-order mdy \(2 January 2023\)"
    ):
        import_chats([path], ImportOptions())
    asked = []

    def ask(written: str, meanings: Mapping[DateOrder, date]) -> DateOrder:
        asked.append((written, dict(meanings)))
        return "mdy"

    answered = import_chats([path], ImportOptions(ask=ask))

    assert asked == [("01/02/2023", {"dmy": date(2023, 2, 1), "mdy": date(2023, 1, 2)})]
    assert answered.messages == import_chats([path], ImportOptions(date_order="mdy")).messages


def test_an_order_that_contradicts_the_dates_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_text("10:00\n31/12/2022, 10:00 - Ann: hi\n")

    with pytest.raises(ChatError, match="line 2: 31/12/2022 is not a date in mdy order"):
        import_chats([path], ImportOptions(date_order="mdy"))


def test_hours_with_unknown_words_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_text("31/12/2022, 10:00 xa - Ann: hi\n01/01/2023, 9:00 xb - Ann: hi\n")

    with pytest.raises(ChatError, match="nothing in the file shows which is before noon"):
        import_chats([path], ImportOptions())
