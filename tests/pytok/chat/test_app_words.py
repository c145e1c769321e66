"""What WhatsApp writes itself is never read as the words of a person, in any language."""

from pathlib import Path

import pytest

from pytok.chat.importing import ImportOptions, import_chats
from pytok.chat.record import Message
from pytok.chat.summary import SourceSummary
from pytok.errors import ChatError
from tests.pytok.chat.exports import LRM, NBSP

SAID = [f"some words, number {number}" for number in range(6)]


def read(data: str, path: Path) -> tuple[list[Message], SourceSummary]:
    path.write_bytes(data.encode())
    imported = import_chats([path], ImportOptions())
    return imported.messages, imported.summary.sources[0]


def iphone(*lines: str) -> str:
    """An iPhone's export; the mark before a body is also before its line."""
    said = [f"Ann: {text}" for text in SAID] + [f"Bob: {text}" for text in SAID]
    return "".join(
        f"{LRM if LRM in line else ''}[29.01.24, 12:24:{number:02}] {line}\r\n"
        for number, line in enumerate([*said, *lines])
    )


def android(*lines: str) -> str:
    said = [f"Ann: {text}" for text in SAID] + [f"Bob: {text}" for text in SAID]
    return "".join(
        f"29.01.24, 12:{number % 60:02} - {line}\n" for number, line in enumerate([*said, *lines])
    )


@pytest.mark.parametrize(
    "sentence",
    [
        "Live-Standort wird geteilt.",
        "Du hast ein Einmalansicht-Foto erhalten. Aus Datenschutzgründen geht das nur am Telefon.",
        "Čekání na tuto zprávu. Může to chvíli trvat.",
        "Ann připnul/a zprávu.",
        "A sentence of next year's version",
        "kuvaa ei ole mukana",
    ],
)
def test_what_an_iphone_marks_is_not_text(sentence: str, tmp_path: Path) -> None:
    """Whether or not a list has the sentence, and even if it occurs once."""
    messages, summary = read(iphone(f"Ann: {LRM}{sentence}"), tmp_path / "_chat.txt")

    assert messages[-1].kind != "text"
    assert summary.unsure == {}


def test_what_is_marked_after_a_caption_is_media(tmp_path: Path) -> None:
    """The caption is the sender's."""
    messages, _ = read(iphone(f"Ann: us at the lake {LRM}fénykép kihagyva"), tmp_path / "_chat.txt")

    assert (messages[-1].kind, messages[-1].text) == ("media", "us at the lake")


def test_a_mark_within_a_text_stays_text(tmp_path: Path) -> None:
    """Writers of two directions have marks, too; their lines do not begin with one."""
    export = iphone(f"Ann: {LRM}image omitted")
    export += f"[29.01.24, 12:30:00] Bob: the number {LRM}+43 660 1234567\r\n"

    messages, _ = read(export, tmp_path / "_chat.txt")

    assert (messages[-1].kind, messages[-1].text[:10]) == ("text", "the number")


def test_a_pasted_mark_is_not_learned(tmp_path: Path) -> None:
    """Android has no marks of its own before its sentences."""
    messages, _ = read(android(f"Ann: {LRM}pasted from elsewhere"), tmp_path / "chat.txt")

    assert (messages[-1].kind, messages[-1].text) == ("text", "pasted from elsewhere")


@pytest.mark.parametrize(
    "notice",
    [
        "Це повідомлення було видалено", "Ви видалили це повідомлення",
        "Tato zpráva byla odstraněna", "Tuto zprávu jste smazal/a", "Ez az üzenet törlésre került",
        "Acest mesaj a fost șters", "Αυτό το μήνυμα διαγράφηκε", "Denne besked blev slettet",
        "Denne meldingen ble slettet.", "Tin nhắn này đã bị xóa", "ข้อความนี้ถูกลบแล้ว",
        "এই মেসেজটি মুছে ফেলা হয়েছে", "Mesej ini telah dipadam", "Ova poruka je izbrisana",
        "Съобщението беше изтрито", "Šī ziņa tika izdzēsta", "यह संदेश मिटाया गया",
        "This message was deleted", "You deleted this message.", "Zpráva byla smazána",
    ],
)  # fmt: skip
def test_a_deletion_is_known_by_its_wording_in_any_language(notice: str, tmp_path: Path) -> None:
    """Android has no mark, so the summary says that the wording alone decided."""
    messages, summary = read(android(f"Ann: {notice}"), tmp_path / "chat.txt")

    assert (messages[-1].kind, messages[-1].text) == ("deleted", "")
    assert summary.unsure == {notice: (13,)}


@pytest.mark.parametrize(
    "text",
    [
        "I deleted this message by mistake", "du tog bort mitt foto", "你删除了吗", "video call",
        "did you see that this message was deleted?", "메시지를 삭제했어", "Bild", "photo",
        "call me, 5 minutes", "null and void",
    ],
)  # fmt: skip
def test_what_only_resembles_a_notice_is_text(text: str, tmp_path: Path) -> None:
    """A list has whole sentences."""
    messages, summary = read(android(f"Ann: {text}"), tmp_path / "chat.txt")

    assert (messages[-1].kind, messages[-1].text) == ("text", text)
    assert summary.unsure == {}


@pytest.mark.parametrize(
    ("body", "kind", "media"),
    [
        ("Bild weggelassen", "media", "image"),
        ("image omitted", "media", "image"),
        ("Sticker weggelassen", "media", "sticker"),
        ("ljud uteslutet", "media", "audio"),
        ("Videó kihagyva", "media", "video"),
        ("Sprachanruf. 12 Min.", "call", None),
        ("Voice call, 3 min", "call", None),
        ("Verpasster Sprachanruf", "call", None),
        ("Live-Standort wird geteilt.", "location", None),
    ],
)
def test_an_export_without_its_marks_is_read(
    body: str, kind: str, media: str | None, tmp_path: Path
) -> None:
    """An editor or a mail program has removed them; the summary counts what the wording decides."""
    messages, summary = read(iphone(f"Bob: {body}"), tmp_path / "_chat.txt")

    assert (messages[-1].kind, messages[-1].media) == (kind, media)
    assert summary.unsure == {body: (13,)}


def test_a_notice_in_an_unknown_language_is_known_by_repetition(tmp_path: Path) -> None:
    """Three times the same bytes, of words that occur nowhere else in the chat."""
    notice = "Ĉi tiu mesaĝo forviŝita"
    said = [f"Bob: {word} kaj {number}" for number in range(100) for word in ("jes", "Ne")]
    export = android(*said, *[f"{name}: {notice}" for name in ("Ann", "Bob", "Ann")])

    messages, summary = read(export, tmp_path / "chat.txt")

    assert [message.kind for message in messages[-3:]] == ["media"] * 3
    assert list(summary.unsure) == [notice]


@pytest.mark.parametrize(
    "saying", ["Kommt jemand mit schwimmen?", "Schönes Wochenende euch allen!", "Wieder zu spät 🙄"]
)
def test_what_asks_exclaims_or_has_an_emoji_is_no_notice(saying: str, tmp_path: Path) -> None:
    """However often the same bytes occur."""
    said = [f"Bob: {word} {number}" for number in range(100) for word in ("ja", "Nein")]

    messages, summary = read(android(*said, *[f"Ann: {saying}"] * 5), tmp_path / "chat.txt")

    assert [message.text for message in messages[-5:]] == [saying] * 5
    assert summary.unsure == {}


def test_repetition_says_nothing_in_a_chat_that_repeats_itself(tmp_path: Path) -> None:
    """Such as one that a program has written."""
    sayings = ["Um acht wie immer", "Brot und Milch", "Der Zug hat Verspätung"]
    said = [f"{name}: {text}" for text in sayings * 30 for name in ("Ann", "Bob")]

    messages, summary = read(android(*said), tmp_path / "chat.txt")

    assert {message.kind for message in messages} == {"text"}
    assert summary.unsure == {}


def test_what_a_person_says_often_stays_text(tmp_path: Path) -> None:
    """Its words occur in other sentences, too."""
    greeting = "Good morning everybody here"
    said = [f"Bob: is everybody here this morning? {number}" for number in range(100)]
    export = android(*said, "Ann: good day", *[f"Ann: {greeting}"] * 5)

    messages, summary = read(export, tmp_path / "chat.txt")

    assert [message.text for message in messages[-5:]] == [greeting] * 5
    assert summary.unsure == {}


def test_an_ending_in_brackets_that_many_texts_have_is_no_text(tmp_path: Path) -> None:
    """It says in an unknown language that the message was edited."""
    lines = [f"Ann: {text} <Mesaĝo redaktita>" for text in ("one", "two", "three")]

    messages, _ = read(android(*lines, "Bob: so <Haha>"), tmp_path / "chat.txt")

    assert [(m.text, m.edited) for m in messages[-4:]] == [
        ("one", True), ("two", True), ("three", True), ("so <Haha>", False),
    ]  # fmt: skip


def test_a_note_behind_the_names_of_many_files_is_an_attachment(tmp_path: Path) -> None:
    """In an unknown language."""
    lines = [f"Ann: {name}.pdf (dosiero aldonita)" for name in ("one", "two", "three")]

    messages, _ = read(android(*lines, "Bob: see x.pdf (page 3)"), tmp_path / "chat.txt")

    assert [(m.kind, m.media) for m in messages[-4:]] == [
        ("media", "one.pdf"), ("media", "two.pdf"), ("media", "three.pdf"), ("text", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "notice",
    [
        "Annが「旅行: ローマ」にグループ名を変更しました",
        "Ann hat den Betreff von „Reise: Rom“ geändert",
        "Ann a remplacé le sujet «Rome: été» par «Rome»",
        "Ann 將主旨改為『旅行: 羅馬』",
        "Ann changed the subject to (Rome: summer)",
    ],
)
def test_a_quotation_with_a_colon_invents_no_person(notice: str, tmp_path: Path) -> None:
    """In any pair of quotation marks or brackets."""
    messages, _ = read(android(notice), tmp_path / "chat.txt")

    assert (messages[-1].sender, messages[-1].kind) == (None, "system")


@pytest.mark.parametrize("name", ["Ann’s phone", "James (work)", "Bo :)", "O’Brien"])
def test_a_name_with_an_apostrophe_or_brackets_is_a_person(name: str, tmp_path: Path) -> None:
    messages, _ = read(android(f'{name}: (hi) "there"'), tmp_path / "chat.txt")

    assert (messages[-1].sender, messages[-1].kind) == (name, "text")


def test_a_link_to_foursquare_is_a_location(tmp_path: Path) -> None:
    link = "Café: https://foursquare.com/v/4b0588"

    messages, _ = read(android(f"Ann: {link}"), tmp_path / "chat.txt")

    assert (messages[-1].kind, messages[-1].text) == ("location", link)


def test_lines_that_name_the_next_day_are_no_text(tmp_path: Path) -> None:
    """As in the exports of other apps; the summary counts them."""
    export = (
        "05/01/2024, 20:10 - Ann: good night\n\n6 January 2024, Saturday\n"
        "06/01/2024, 08:10 - Bob: good\nmorning\n\n7 January 2024, Sunday\n"
        f"07/01/2024, 08:10 - Ann:{NBSP}hi\n"
    )

    messages, summary = read(export, tmp_path / "chat.txt")

    assert [message.text for message in messages] == ["good night", "good\nmorning", "hi"]
    assert (summary.separators, summary.unread_lines) == ((3, 7), ())


def test_a_date_that_a_person_writes_is_text(tmp_path: Path) -> None:
    """Not every change of the day has such a line."""
    export = (
        "15/01/2024, 20:10 - Ann: when?\n16/01/2024, 08:10 - Bob: on\n17/01/2024\n"
        "17/01/2024, 08:10 - Ann: fine\n"
    )

    messages, summary = read(export, tmp_path / "chat.txt")

    assert messages[1].text == "on\n17/01/2024"
    assert summary.separators == ()


def test_empty_lines_at_the_end_of_a_file_are_no_text(tmp_path: Path) -> None:
    messages, _ = read(android("Ann: ok") + "\n\n", tmp_path / "chat.txt")

    assert messages[-1].text == "ok"


def test_a_file_of_which_no_line_has_a_sender_is_rejected(tmp_path: Path) -> None:
    """Such as the text of DiscordChatExporter."""
    path = tmp_path / "chat.txt"
    path.write_text("[13/01/2024 10:00] ann\nhello\n\n[13/01/2024 10:01] bob\nhi there\n")

    with pytest.raises(ChatError, match="no line has a sender"):
        import_chats([path], ImportOptions())
