"""Telegram Desktop's HTML export; the fixtures have the tags of export_output_html.cpp."""

import zipfile
from datetime import datetime
from pathlib import Path

import pytest

from pytok.chat.importing import ImportOptions, ImportResult, import_chats
from pytok.chat.markup import attributes, parts
from pytok.chat.record import Message
from pytok.errors import ChatError


def div(classes: str, inner: str, **values: str) -> str:
    """Write an element as Telegram does: attributes in order, each tag on a line of its own."""
    written = "".join(
        f' {name}="{value}"' for name, value in sorted({"class": classes, **values}.items())
    )
    return f"\n <div{written}>\n{inner}\n </div>\n"


def message(number: int = 1, inner: str = "", *, name: str = "Ann", clock: str = "13:00:00") -> str:
    """Write a message of *name*, or, if that is empty, one joined to the message before."""
    joined = "" if name else " joined"
    picture = div("pull_left userpic_wrap", div("userpic userpic4", div("initials", "A")))
    date = div("pull_right date details", clock[:5], title=f"05.01.2024 {clock} UTC+01:00")
    body = date + (div("from_name", f"{name} ") if name else "") + inner
    return div(
        f"message default clearfix{joined}",
        (picture if name else "") + div("body", body),
        id=f"message{number}",
    )


def event(number: int, text: str) -> str:
    return div("message service", div("body details", text), id=f"message{number}")


def page(*messages: str, title: str = "Us") -> str:
    header = div("page_header", div("content", div("text bold", f"{title} ")))
    history = div("page_body chat_page", div("history", "".join(messages)))
    return (
        '<!DOCTYPE html><html>\n <head>\n  <meta charset="utf-8"/>\n<title>Exported Data</title>\n'
        f' </head>\n <body onload="CheckLocation();">\n{div("page_wrap", header + history)}'
        " </body>\n</html>\n"
    )


def text(words: str) -> str:
    return div("text", words)


def media(classes: str, title: str, status: str = "", *, href: str = "") -> str:
    inner = div("fill pull_left", "") + div(
        "body", div("title bold", title) + (div("status details", status) if status else "")
    )
    if not href:
        return div("media_wrap clearfix", div(f"media clearfix pull_left {classes}", inner))
    link = f'<a class="media clearfix pull_left block_link {classes}" href="{href}">{inner}</a>'
    return div("media_wrap clearfix", link)


def read(path: Path, *pages: str) -> ImportResult:
    folder = path / "ChatExport_2024-01-05"
    folder.mkdir()
    for number, written in enumerate(pages, start=1):
        name = f"messages{number if number > 1 else ''}.html"
        (folder / name).write_text(written, encoding="utf-8")
    return import_chats([folder], ImportOptions())


def test_a_message_of_a_page(tmp_path: Path) -> None:
    """The offset is that of standard time also in summer, so the time is the local one."""
    reply = div("reply_to details", 'In reply to <a href="messages1.html#go_to_message7">this</a>')
    words = text('a &amp; b<br>see <a href="https://x.org">x.org</a> <strong>&lt;now&gt;</strong>')

    (found,) = read(tmp_path, page(message(9, reply + words))).messages

    assert found == Message(
        time=datetime(2024, 1, 5, 13),
        sender="Ann",
        text="a & b\nsee x.org <now>",
        id="9",
        reply_to="7",
        source="ChatExport_2024-01-05/messages.html",
        line=1,
    )


def test_a_joined_message_is_by_the_sender_before(tmp_path: Path) -> None:
    """An event between them, which has no time, gets that of the message before it."""
    written = page(
        event(-1, "5 January 2024"),
        message(1, text("hi")),
        event(2, "Bob joined group by link from Group"),
        message(3, text("you?"), name="", clock="13:01:00"),
        message(4, text("ho"), name="Bob via @gif", clock="13:02:00"),
    )

    found = read(tmp_path, written).messages

    assert [(each.sender, each.kind, each.text) for each in found] == [
        ("Ann", "text", "hi"),
        (None, "system", "Bob joined group by link from Group"),
        ("Ann", "text", "you?"),
        ("Bob", "text", "ho"),
    ]
    assert found[1].time == datetime(2024, 1, 5, 13)


@pytest.mark.parametrize(
    ("inner", "kind", "words", "file"),
    [
        (
            '<div class="media_wrap"><a class="photo_wrap clearfix pull_left" href="photos/1.jpg">'
            '<img class="photo" src="photos/1_thumb.jpg"/></a></div>' + text("us"),
            "media", "us", "photo",
        ),
        (media("media_photo", "Photo", "640x480, 50 KB"), "media", "", "photo"),
        (media("media_photo", "Sticker", "😂, 12 KB"), "media", "", "sticker"),
        (
            media("media_voice_message", "Voice message", "00:09", href="voice/1.ogg"),
            "media", "", "voice_message",
        ),
        (media("media_video", "Video message", "00:09"), "media", "", "video_message"),
        (media("media_file", "plan.pdf", "1.2 MB", href="files/plan.pdf"), "media", "", "plan.pdf"),
        (media("media_contact", "Bob Huber", "+43 1"), "media", "", "contact"),
        (media("media_call success", "Bob", "Outgoing (9 seconds)"), "call", "Outgoing (9 seconds)",
         None),
        (
            media("media_venue", "Lake", href="https://maps.google.com/maps?q=48.2,16.3&amp;ll=4"),
            "location", "Lake\n48.2, 16.3", None,
        ),
        (
            div("media_poll", div("question bold", "Where?") + div("details", "Anonymous poll")
                + div("answer", '- Lake <span class="details">2 votes, chosen vote</span>')
                + div("answer", "- Hill ") + div("total details\t", "2 votes")),
            "poll", "Where?\nLake (2)\nHill (0)", None,
        ),
        (
            div("forwarded body", div("from_name", 'Bob <span class="date details" '
                'title="01.01.2023 09:00:00"> 01.01.2023 09:00:00</span>') + text("news")),
            "media", "news", "forwarded from Bob",
        ),
    ],
)  # fmt: skip
def test_kinds_of_messages(
    inner: str, kind: str, words: str, file: str | None, tmp_path: Path
) -> None:
    (found,) = read(tmp_path, page(message(1, inner))).messages

    assert (found.kind, found.text, found.media) == (kind, words, file)
    assert (found.sender, found.time) == ("Ann", datetime(2024, 1, 5, 13))


def test_reactions_are_counted_by_number_or_by_pictures(tmp_path: Path) -> None:
    """Telegram shows the people, or how many there are."""
    reaction = '<span class="reaction"><span class="emoji">{}</span>{}</span>'
    people = f'<span class="userpics">{2 * div("userpic userpic1", div("initials", "B"))}</span>'
    both = reaction.format("❤", people) + reaction.format("👍", '<span class="count">3</span>')

    (found,) = read(
        tmp_path, page(message(1, text("hi") + f'<span class="reactions">{both}</span>'))
    ).messages

    assert found.reactions == ("❤", "❤", "👍", "👍", "👍")
    assert found.text == "hi"


def test_pages_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """messages10.html is after messages2.html."""
    pages = [page(message(number, text(str(number)))) for number in range(1, 12)]

    imported = read(tmp_path, *pages)

    assert [each.text for each in imported.messages] == [str(number) for number in range(1, 12)]
    assert imported.summary.sources[0].format == "Telegram HTML in 11 files"


def test_a_zip_of_pages_is_read(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ChatExport/messages.html", page(message(1, text("a"))))
        archive.writestr("ChatExport/messages2.html", page(message(2, text("b"))))
        archive.writestr("ChatExport/css/style.css", "body {}")
        archive.writestr("ChatExport/photos/1.jpg", b"\xff\xd8")

    assert [each.text for each in import_chats([path], ImportOptions()).messages] == ["a", "b"]


def test_of_an_account_one_chat_is_read(tmp_path: Path) -> None:
    """Two chats of the same name differ in their folder; other pages have no messages."""
    for folder, title in (("chat_001", "Bob"), ("chat_002", "Bob"), ("chat_003", "Cy")):
        path = tmp_path / "Export/chats" / folder
        path.mkdir(parents=True)
        (path / "messages.html").write_text(page(message(1, text(folder)), title=title))
    (tmp_path / "Export/export_results.html").write_text("<!DOCTYPE html><html></html>")

    def chosen(chat: str) -> list[str]:
        imported = import_chats([tmp_path / "Export"], ImportOptions(chat=chat))
        return [each.text for each in imported.messages]

    assert chosen("Cy") == ["chat_003"]
    assert chosen("chat_002") == ["chat_002"]
    assert chosen("Bob (chat_001)") == ["chat_001"]


def test_a_part_of_a_page_is_read(tmp_path: Path) -> None:
    """Without the start of the page, and with a line with the day that has an id of a message."""
    path = tmp_path / "saved.html"
    path.write_text(event(1, "5 January 2024") + message(2, text("hi")))

    assert [each.text for each in import_chats([path], ImportOptions()).messages] == ["hi"]


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("<!DOCTYPE html><html><p>Hello</p></html>", "a web page, but not one of Telegram's"),
        (page(), "without any message"),
        (page(message(1, text("hi"), clock="25:00:00")), "without any message"),
    ],
)
def test_a_page_without_messages_is_rejected(written: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "messages.html"
    path.write_text(written)

    with pytest.raises(ChatError, match=complaint) as raised:
        import_chats([path], ImportOptions())

    assert raised.value.message.startswith("messages.html: ")


def test_the_parts_of_markup() -> None:
    """References are resolved in texts and attributes; a tag can have > in a quoted value."""
    assert list(parts("<A href=\"a&amp;>\" id='1'>x &lt; y</a><!-- no --><br/>")) == [
        ("a", "", " href=\"a&amp;>\" id='1'"),
        ("", "", "x < y"),
        ("", "a", ""),
        ("br", "", "/"),
    ]
    assert attributes(" href=\"a&amp;>\" id='1'") == {"href": "a&>", "id": "1"}


@pytest.mark.parametrize("atom", ["<", "<a", '<a "', "<a '\"", "<!--", "<b>", "</b>", 'a="', "&"])
def test_markup_is_read_in_linear_time(atom: str) -> None:
    """Quadratic time would take minutes."""
    written = atom * (300_000 // len(atom))

    assert sum(len(text) for _, _, text in parts(written)) <= len(written)
    assert len(attributes(written)) <= 1


def test_elements_that_are_never_closed_are_read_in_linear_time(tmp_path: Path) -> None:
    written = page(message(1, text("hi") + "<b>" * 100_000 + "</i>" * 100_000))

    assert len(read(tmp_path, written).messages) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Ann, [05.01.2024 20:10]", "Bob, [25.01.2024 20:11]"),
        ("Ann, [1/5/2024 8:10 PM]", "Bob, [1/25/2024 8:11 PM]"),
        ("Ann, [Jan 5, 2024 at 8:10:00 PM]:", "Bob, [Jan 25, 2024 at 8:11:00 PM]:"),
    ],
)
def test_messages_copied_from_telegram(first: str, second: str, tmp_path: Path) -> None:
    path = tmp_path / "copied.txt"
    path.write_text(
        f"{first}\nhi\ntwo\n\n{second}\n[In reply to Ann]\n[x] ok\n\n{second}\n[ Photo ]\nlook\n"
    )

    found = import_chats([path], ImportOptions()).messages

    assert [(each.sender, each.kind, each.text, each.media) for each in found] == [
        ("Ann", "text", "hi\ntwo", None),
        ("Bob", "text", "[x] ok", None),
        ("Bob", "media", "look", "photo"),
    ]
    assert found[0].time == datetime(2024, 1, 5, 20, 10)
