"""Messages from both generations of tables in Android's msgstore.db."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from pytok.chat.databases import Chat, DatabaseContents, read_database
from pytok.chat.record import Message
from pytok.errors import ChatError
from tests.pytok.chat.phones import (
    CURRENT,
    DETAILS,
    LEGACY,
    MESSAGE,
    MIXED,
    NOON,
    PEOPLE,
    Record,
    database,
    message,
    old_message,
)


def read(path: Path, *messages: Record, **details: list[Record]) -> DatabaseContents:
    """Read a file with *messages* in the newer table, and the tables *details*."""
    rows = {**PEOPLE, "message": messages, **details}
    return read_database(database(path / "msgstore.db", CURRENT, rows))


def read_old(path: Path, *messages: Record, **details: list[Record]) -> DatabaseContents:
    """Read a file with *messages* in the older table, and the tables *details*."""
    rows = {**PEOPLE, "messages": messages, **details}
    return read_database(database(path / "msgstore.db", LEGACY, rows))


def test_a_text_has_time_sender_and_source(tmp_path: Path) -> None:
    (one,) = read(tmp_path, message(1, "hello", timestamp=NOON + 5)).messages

    assert one == Message(
        time=datetime(2023, 11, 14, 22, 13, 20, 5000, tzinfo=timezone.utc),
        sender="+431",
        text="hello",
        id="KEY1",
        chat="+431",
        source="msgstore.db",
        line=1,
    )


def test_both_generations_give_the_same_messages(tmp_path: Path) -> None:
    """A text, a text of the owner, a group message, a picture with a caption."""
    (tmp_path / "new").mkdir()
    new = read(
        tmp_path / "new",
        message(1, "a\nb"),
        message(2, "c", from_me=1),
        message(3, "d", chat_row_id=11, sender_jid_row_id=2),
        message(4, "look", message_type=1),
        message_media=[{"message_row_id": 4, "file_path": "Media/WhatsApp Images/IMG-1.jpg"}],
    )
    old = read_old(
        tmp_path,
        old_message(1, "a\nb"),
        old_message(2, "c", key_from_me=1),
        old_message(3, "d", key_remote_jid="99-1@g.us", remote_resource="432@s.whatsapp.net"),
        old_message(
            4, "thumbnail", media_wa_type="1", media_caption="look", media_name="IMG-1.jpg"
        ),
    )

    assert new.messages == old.messages
    assert [each.author for each in new.messages] == ["+431", "me", "+432", "+431"]
    assert [each.chat for each in new.messages] == ["+431", "+431", "Friends", "+431"]
    assert new.messages[3].media == "IMG-1.jpg"


def test_a_message_in_both_tables_is_read_once(tmp_path: Path) -> None:
    """Matched by chat, side and key; the newer table takes precedence."""
    rows: dict[str, Any] = {
        **PEOPLE,
        "message": [message(1, None, key_id="-1", chat_row_id=-1), message(3, "moved")],
        "messages": [
            old_message(1, None, key_id="-1", key_remote_jid="-1"),
            old_message(2, "not yet"),
            old_message(3, "moved, as it was"),
            old_message(4, "mine", key_id="KEY3", key_from_me=1),
        ],
    }
    contents = read_database(database(tmp_path / "msgstore.db", MIXED, rows))

    assert [each.text for each in contents.messages] == ["not yet", "moved", "mine"]


def test_details_apply_to_the_old_table_only_if_the_row_is_the_same_message(
    tmp_path: Path,
) -> None:
    """Row 2 is a different message in each table; its reaction belongs to the newer one."""
    rows: dict[str, Any] = {
        **PEOPLE,
        "message": [message(2, "new")],
        "messages": [old_message(1, "one"), old_message(2, "old", key_id="OTHER")],
        "message_add_on": [
            {"_id": 1, "parent_message_row_id": 1},
            {"_id": 2, "parent_message_row_id": 2},
        ],
        "message_add_on_reaction": [
            {"message_add_on_row_id": 1, "reaction": "A"},
            {"message_add_on_row_id": 2, "reaction": "B"},
        ],
    }
    contents = read_database(database(tmp_path / "msgstore.db", MIXED, rows))

    assert {each.text: each.reactions for each in contents.messages} == {
        "one": ("A",),
        "new": ("B",),
        "old": (),
    }


def test_a_hidden_identity_is_resolved_to_the_number(tmp_path: Path) -> None:
    """A chat under the number and under the LID is one chat."""
    contents = read(
        tmp_path,
        message(1, "by number"),
        message(2, "by LID", chat_row_id=12),
        message(3, "in a group", chat_row_id=11, sender_jid_row_id=4),
    )

    assert [each.sender for each in contents.messages] == ["+431"] * 3
    assert contents.chats == [Chat("+431", 2), Chat("Friends", 1)]


def test_a_person_without_a_number_has_the_address_and_the_chosen_name(tmp_path: Path) -> None:
    contents = read(
        tmp_path,
        message(1, "hi", chat_row_id=11, sender_jid_row_id=5),
        lid_display_name=[{"lid_row_id": 5, "display_name": "Zoe"}],
    )

    assert (contents.messages[0].sender, contents.messages[0].name) == ("888@lid", "Zoe")


def test_names_come_from_the_contacts(tmp_path: Path) -> None:
    """The name in the address book takes precedence over the chosen one, also for chats."""
    schema = ["CREATE TABLE wa_contacts (jid TEXT, display_name TEXT, wa_name TEXT)"]
    names: list[Record] = [
        {"jid": "431@s.whatsapp.net", "display_name": "Anna", "wa_name": "annie"},
        {"jid": "432@s.whatsapp.net", "display_name": None, "wa_name": "bob"},
    ]
    contacts = database(tmp_path / "wa.db", schema, {"wa_contacts": names})
    path = database(
        tmp_path / "msgstore.db",
        CURRENT,
        {
            **PEOPLE,
            "message": [message(1, "a"), message(2, "b", chat_row_id=11, sender_jid_row_id=2)],
            "props": [{"key": "user_push_name", "value": "Max"}],
        },
    )
    contents = read_database(path, names=contacts)

    assert [(each.sender, each.name, each.chat) for each in contents.messages] == [
        ("+431", "Anna", "Anna"),
        ("+432", "bob", "Friends"),
    ]


def test_the_owner_has_the_profile_name(tmp_path: Path) -> None:
    (one,) = read(
        tmp_path, message(1, "a", from_me=1), props=[{"key": "user_push_name", "value": "Max"}]
    ).messages

    assert one.sender == "Max"


def test_chats_with_the_same_name_are_distinguished_by_address(tmp_path: Path) -> None:
    contents = read(
        tmp_path,
        message(1, "a"),
        message(2, "b", chat_row_id=11),
        chat=[
            {"_id": 10, "jid_row_id": 1, "subject": "Us"},
            {"_id": 11, "jid_row_id": 3, "subject": "Us"},
        ],
    )

    assert {chat.name for chat in contents.chats} == {"Us (+431)", "Us (99-1@g.us)"}


def test_messages_of_a_deleted_chat_are_kept(tmp_path: Path) -> None:
    assert read(tmp_path, message(1, "a", chat_row_id=99)).chats == [Chat("deleted chat 99", 1)]


def test_one_chat_can_be_selected_by_name(tmp_path: Path) -> None:
    """In any case; the list of chats still has all."""
    rows = {**PEOPLE, "message": [message(1, "a"), message(2, "b", chat_row_id=11)]}
    path = database(tmp_path / "msgstore.db", CURRENT, rows)
    contents = read_database(path, chat="friends")

    assert [each.text for each in contents.messages] == ["b"]
    assert contents.chats == [Chat("+431", 1), Chat("Friends", 1)]


def test_the_error_for_an_unknown_chat_suggests_similar_names(tmp_path: Path) -> None:
    rows = {**PEOPLE, "message": [message(1, "b", chat_row_id=11)]}
    path = database(tmp_path / "msgstore.db", CURRENT, rows)

    with pytest.raises(ChatError, match=r"no chat 'Freinds'; did you mean 'Friends'\?"):
        read_database(path, chat="Freinds")


def test_answers_refer_to_the_answered_message(tmp_path: Path) -> None:
    """Also if it was edited, and therefore has a new key."""
    contents = read(
        tmp_path,
        message(1, "a"),
        message(2, "b, better"),
        message(3, "to a"),
        message(4, "to b"),
        message_edit_info=[{"message_row_id": 2, "original_key_id": "OLD"}],
        message_quoted=[
            {"message_row_id": 3, "key_id": "KEY1"},
            {"message_row_id": 4, "key_id": "OLD"},
        ],
    )

    assert [each.reply_to for each in contents.messages] == [None, None, "KEY1", "KEY2"]
    assert [each.edited for each in contents.messages] == [False, True, False, False]


def test_old_answers_refer_to_the_answered_message(tmp_path: Path) -> None:
    contents = read_old(
        tmp_path,
        old_message(1, "a"),
        old_message(2, "b", quoted_row_id=7),
        messages_quotes=[{"_id": 7, "key_id": "KEY1"}],
    )

    assert contents.messages[1].reply_to == "KEY1"


def test_removed_reactions_are_omitted(tmp_path: Path) -> None:
    (one,) = read(
        tmp_path,
        message(1, "a"),
        message_add_on=[{"_id": n, "parent_message_row_id": 1} for n in (1, 2, 3)],
        message_add_on_reaction=[
            {"message_add_on_row_id": 1, "reaction": "👍🏽"},
            {"message_add_on_row_id": 2, "reaction": ""},
            {"message_add_on_row_id": 3, "reaction": "❤️"},
        ],
    ).messages

    assert one.reactions == ("👍🏽", "❤️")


@pytest.mark.parametrize(
    ("columns", "kind", "text", "media"),
    [
        ({"message_type": 2}, "media", "", "audio"),
        ({"message_type": 20}, "media", "", "sticker"),
        ({"message_type": 15}, "deleted", "", None),
        ({"message_type": 64}, "deleted", "", None),
        ({"message_type": 10}, "call", "missed voice call", None),
        ({"message_type": 66, "text_data": "When?"}, "poll", "When?", None),
        ({"message_type": 777, "text_data": "new"}, "text", "new", None),
        ({"message_type": 777}, "system", "message of type 777", None),
        ({"status": 6, "message_type": 7, "text_data": "said"}, "system", "said", None),
    ],
)
def test_kinds_come_from_the_type(
    tmp_path: Path, columns: Record, kind: str, text: str, media: str | None
) -> None:
    """A message of an unknown type keeps its text, or shows the code."""
    (one,) = read(tmp_path, message(1, **columns)).messages

    assert (one.kind, one.text, one.media) == (kind, text, media)


@pytest.mark.parametrize("version", [7, 8])
def test_an_old_message_deleted_for_everyone_is_deleted(tmp_path: Path, version: int) -> None:
    (one,) = read_old(tmp_path, old_message(1, None, edit_version=version)).messages

    assert one.kind == "deleted"


def test_a_poll_has_its_options_in_order(tmp_path: Path) -> None:
    (one,) = read(
        tmp_path,
        message(1, "When?", message_type=66),
        message_poll_option=[
            {"_id": 1, "message_row_id": 1, "option_name": "Friday"},
            {"_id": 2, "message_row_id": 1, "option_name": "never"},
        ],
    ).messages

    assert one.text == "When?\nFriday\nnever"


def test_a_location_has_a_name_and_a_link(tmp_path: Path) -> None:
    location = {
        "message_row_id": 1, "latitude": 48.5, "longitude": 16.25,
        "place_name": "Inn", "place_address": "Road 1",
    }  # fmt: skip
    new = read(tmp_path, message(1, message_type=5), message_location=[location])

    assert new.messages[0].kind == "location"
    assert new.messages[0].text == "Inn\nRoad 1\nhttps://maps.google.com/?q=48.5,16.25"


def test_an_old_location_has_a_name_and_a_link(tmp_path: Path) -> None:
    columns = {"media_wa_type": "5", "media_name": "Inn", "latitude": 48.5, "longitude": 16.25}
    (one,) = read_old(tmp_path, old_message(1, **columns)).messages

    assert one.text == "Inn\nhttps://maps.google.com/?q=48.5,16.25"


def test_a_system_message_has_no_sender_and_describes_the_event(tmp_path: Path) -> None:
    contents = read(
        tmp_path,
        message(1, chat_row_id=11, status=6, message_type=7, sender_jid_row_id=1),
        message(2, "Pals", chat_row_id=11, status=6, message_type=7, from_me=1),
        message_system=[
            {"message_row_id": 1, "action_type": 12},
            {"message_row_id": 2, "action_type": 1},
        ],
        message_system_chat_participant=[{"message_row_id": 1, "user_jid_row_id": 2}],
    )

    assert [each.sender for each in contents.messages] == [None, None]
    assert [each.text for each in contents.messages] == [
        "+431 added +432",
        "me changed the subject: Pals",
    ]


def test_a_call_is_one_message(tmp_path: Path) -> None:
    """The linked message, or one within a minute of the call; otherwise the entry in the log."""
    call = {"jid_row_id": 1, "from_me": 1, "video_call": 1}
    contents = read(
        tmp_path,
        message(1, message_type=90),
        message(2, message_type=10),
        message_call_log=[{"message_row_id": 1, "call_log_row_id": 5}],
        call_log=[
            {"_id": 5, "timestamp": NOON, "duration": 62, **call},
            {"_id": 6, "timestamp": NOON + 121_000, "duration": 0, **call},
            {"_id": 7, "timestamp": NOON + 900_000, "duration": 0, **call},
        ],
    )

    assert [(each.kind, each.text) for each in contents.messages] == [
        ("call", "video call, 62 s"),
        ("call", "missed voice call"),
        ("call", "video call, not answered"),
    ]
    assert contents.messages[2].sender == "me"


def test_messages_of_equal_time_keep_the_order_of_the_phone(tmp_path: Path) -> None:
    texts = [
        message(row, str(row), timestamp=NOON, sort_id=order)
        for row, order in ((1, 30), (2, 10), (3, 20))
    ]

    assert [each.text for each in read(tmp_path, *texts).messages] == ["2", "3", "1"]


def test_missing_tables_and_columns_are_reported(tmp_path: Path) -> None:
    """The smallest possible msgstore.db."""
    schema = [
        "CREATE TABLE message (_id INTEGER PRIMARY KEY, chat_row_id, key_id, timestamp, text_data)",
        *[table for table in DETAILS if "TABLE jid (" in table or "chat (" in table],
    ]
    columns = ("_id", "chat_row_id", "key_id", "timestamp", "text_data")
    row = {name: value for name, value in message(1, "hi").items() if name in columns}
    path = database(tmp_path / "m.db", schema, {"message": [row], "jid": PEOPLE["jid"],
                                                "chat": PEOPLE["chat"]})  # fmt: skip
    contents = read_database(path)

    assert contents.messages[0].text == "hi"
    assert "reactions" in contents.missing


def test_a_database_of_another_app_is_rejected(tmp_path: Path) -> None:
    path = database(tmp_path / "other.db", ["CREATE TABLE notes (body TEXT)"], {})

    with pytest.raises(ChatError, match=r"other\.db is a database, but not one of messages"):
        read_database(path)


def test_a_contacts_database_without_contacts_is_rejected(tmp_path: Path) -> None:
    path = database(tmp_path / "msgstore.db", [MESSAGE], {})

    with pytest.raises(ChatError, match=r"no contacts table \(wa_contacts\)"):
        read_database(path, names=path)
