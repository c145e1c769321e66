"""Zips and damaged files: what is no chat, or is made to do harm, gives one clear line."""

import contextlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytok.chat.example import example_chat, example_export
from pytok.chat.importing import Choices, import_chats
from pytok.errors import ChatError

CHAT = example_export(example_chat(200)).encode()


def packed(path: Path, files: Mapping[str, bytes]) -> Path:
    """A zip with *files*."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ChatError) as raised:
        import_chats([path], Choices())
    message = raised.value.message
    assert path.name in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "name",
    ["_chat.txt", "WhatsApp Chat with Ann.txt", "Chat/WhatsApp Chat - Ann.txt", "Us.txt"],
)  # fmt: skip
def test_the_chat_in_a_zip_is_read(name: str, tmp_path: Path) -> None:
    """Media beside it are not looked at."""
    others = {"IMG-1.jpg": b"\xff\xd8", "__MACOSX/._us.txt": b"\0\5"}
    path = packed(tmp_path / "chat.zip", {name: CHAT} | others)
    plain = tmp_path / "chat.txt"
    plain.write_bytes(CHAT)

    zipped, unzipped = (import_chats([each], Choices()).messages for each in (path, plain))

    assert [m.text for m in zipped] == [m.text for m in unzipped]
    assert {m.source for m in zipped} == {"chat.zip"}


def test_a_zip_without_a_chat_is_refused(tmp_path: Path) -> None:
    assert "no chat in it" in refusal(packed(tmp_path / "a.zip", {"a.jpg": b""}))
    assert "2 texts" in refusal(packed(tmp_path / "b.zip", {"a.txt": CHAT, "b.txt": CHAT}))


@pytest.mark.parametrize(
    "name", ["../../chat.txt", "/etc/chat.txt", "a\\..\\..\\b.txt", "C:/b.txt"]
)
def test_paths_that_climb_out_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "chat.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("_chat.txt", CHAT)
        archive.writestr(zipfile.ZipInfo(name), b"")

    assert "points out of the zip" in refusal(path)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    """By what the zip says of sizes, before anything is unpacked."""
    path = packed(tmp_path / "bomb.zip", {"_chat.txt": bytes(20_000_000)})

    assert "would unpack to 20,000,000 bytes" in refusal(path)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "secret.zip", {"_chat.txt": CHAT})
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flag of the file
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and of its entry in the directory
    path.write_bytes(data)

    assert "is encrypted" in refusal(path)


def test_a_damaged_zip_is_refused_wherever_the_damage_is(tmp_path: Path) -> None:
    """Cut short, or a byte in it changed; a byte that matters to nothing may be."""
    data = packed(tmp_path / "whole.zip", {"_chat.txt": CHAT}).read_bytes()
    path = tmp_path / "damaged.zip"
    for size in range(4, len(data), 97):
        path.write_bytes(data[:size])
        assert "damaged zip" in refusal(path)
    for place in range(4, len(data), 31):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        with contextlib.suppress(ChatError):
            import_chats([path], Choices())


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "empty"),
        (b"\n \n", "no line begins with a date"),
        (b"Dear Ann,\nhow are you?\n", "no line begins with a date"),
        ("13.01.24, 10:00 - Ann: grün\n".encode("latin-1"), r"line 1: byte 25 \(0xfc\) is not"),
        ("13.01.24, 10:00 - Ann: hi\n".encode("utf-16-le"), "line 1: a zero byte"),
        ("13.01.24, 10:00 - Ann: hi\n".encode("utf-16")[:-1], "is not UTF-16"),
        (CHAT[:-1] + b"\x80", "is not UTF-8"),
        (b"\x7fELF\x02\x01\0\0", "zero byte"),
        (b"99.99.24, 10:00 - Ann: hi\n", "line 1: 99.99.24 is no date"),
        (b"5/1/1446, 10:00 - Ann: hi\n", "line 1: 5/1/1446 is no date"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_chat_is_refused(data: bytes, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_bytes(data)

    with pytest.raises(ChatError, match=complaint):
        import_chats([path], Choices())


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "a folder" in refusal(tmp_path)
