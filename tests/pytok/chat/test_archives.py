"""Zips and damaged files: anything that is not a chat, or is malicious, is a clear error."""

import contextlib
import random
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytok.chat.example import example_chat, example_export
from pytok.chat.importing import ImportOptions, import_chats
from pytok.errors import ChatError

CHAT = example_export(example_chat(200)).encode()


def packed(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write a zip with *files*."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def failure(path: Path) -> str:
    """Return the error of importing *path*: one line with the name of the file."""
    with pytest.raises(ChatError) as raised:
        import_chats([path], ImportOptions())
    message = raised.value.message
    assert path.name in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "name",
    ["_chat.txt", "WhatsApp Chat with Ann.txt", "Chat/WhatsApp Chat - Ann.txt", "Us.txt"],
)  # fmt: skip
def test_the_chat_in_a_zip_is_read(name: str, tmp_path: Path) -> None:
    """Other files in the zip are ignored."""
    others = {"IMG-1.jpg": b"\xff\xd8", "__MACOSX/._us.txt": b"\0\5"}
    path = packed(tmp_path / "chat.zip", {name: CHAT} | others)
    plain = tmp_path / "chat.txt"
    plain.write_bytes(CHAT)

    zipped, unzipped = (import_chats([each], ImportOptions()).messages for each in (path, plain))

    assert [m.text for m in zipped] == [m.text for m in unzipped]
    assert {m.source for m in zipped} == {"chat.zip"}


def test_a_zip_without_a_chat_is_rejected(tmp_path: Path) -> None:
    assert "no chat in it" in failure(packed(tmp_path / "a.zip", {"a.jpg": b""}))
    assert "2 texts" in failure(packed(tmp_path / "b.zip", {"a.txt": CHAT, "b.txt": CHAT}))


@pytest.mark.parametrize(
    "name", ["../../chat.txt", "/etc/chat.txt", "a\\..\\..\\b.txt", "C:/b.txt"]
)
def test_paths_out_of_the_zip_are_rejected(name: str, tmp_path: Path) -> None:
    path = tmp_path / "chat.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("_chat.txt", CHAT)
        archive.writestr(zipfile.ZipInfo(name), b"")

    assert "points out of the zip" in failure(path)


def test_a_text_that_compresses_as_no_chat_does_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also far below the ratio of a bomb: its messages would take many times its size."""
    monkeypatch.setattr("pytok.chat.archives.HARMLESS_SIZE", 1 << 16)
    noise = random.Random(1).randbytes(1000).hex().encode()
    chat = (b"13.01.24, 10:00 - Ann: hi\n" * 8000 + noise + b"\n") * 2
    path = packed(tmp_path / "c.zip", {"_chat.txt": chat})

    assert 60 < len(chat) / path.stat().st_size < 200
    assert "no chat does" in failure(path)


def test_a_zip_bomb_is_rejected(tmp_path: Path) -> None:
    """By the declared sizes, before anything is unpacked."""
    path = packed(tmp_path / "bomb.zip", {"_chat.txt": b"13.01.24, 10:00 - Ann: hi\n" * 800_000})

    assert "would unpack to 20,800,000 bytes" in failure(path)


def test_a_text_that_is_too_large_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytok.chat.formats.texts.MAX_TEXT_SIZE", 1000)
    path = tmp_path / "chat.txt"
    path.write_bytes(CHAT)

    assert "more than 1,000 bytes, too large for a chat" in failure(path)


def test_an_encrypted_zip_is_rejected(tmp_path: Path) -> None:
    path = packed(tmp_path / "secret.zip", {"_chat.txt": CHAT})
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flag of the file
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and of its entry in the directory
    path.write_bytes(data)

    assert "is encrypted" in failure(path)


def test_a_damaged_zip_raises_only_chat_errors(tmp_path: Path) -> None:
    """Truncated at any offset, or with any byte changed, even if that byte has no effect."""
    data = packed(tmp_path / "intact.zip", {"_chat.txt": CHAT}).read_bytes()
    path = tmp_path / "damaged.zip"
    for size in range(4, len(data), 97):
        path.write_bytes(data[:size])
        assert "damaged zip" in failure(path)
    for offset in range(4, len(data), 31):
        path.write_bytes(data[:offset] + bytes([data[offset] ^ 0x55]) + data[offset + 1 :])
        with contextlib.suppress(ChatError):
            import_chats([path], ImportOptions())


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "empty"),
        (b"\n \n", "no line starts with a date"),
        (b"Dear Ann,\nhow are you?\n", "no line starts with a date"),
        ("13.01.24, 10:00 - Ann: grün\n".encode("latin-1"), r"line 1: byte 25 \(0xfc\) is not"),
        ("13.01.24, 10:00 - Ann: hi\n\udc00".encode("utf-16", "surrogatepass"), "is not UTF-16"),
        (CHAT[:-1] + b"\x80", "is not UTF-8"),
        (b"\x7fELF\x02\x01\0\0", "zero byte"),
        (b"99.99.24, 10:00 - Ann: hi\n", "line 1: 99.99.24 is not a supported date"),
        (b"5/1/1446, 10:00 - Ann: hi\n", "line 1: 5/1/1446 is not a supported date"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_a_chat_is_rejected(data: bytes, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_bytes(data)

    with pytest.raises(ChatError, match=complaint):
        import_chats([path], ImportOptions())


def test_the_chat_in_a_folder_is_read(tmp_path: Path) -> None:
    """As in a zip: hidden files and media are omitted."""
    folder = tmp_path / "Export"
    (folder / ".cache").mkdir(parents=True)
    (folder / ".cache/old.txt").write_bytes(CHAT)
    (folder / "WhatsApp Chat with Ann.txt").write_bytes(CHAT)
    (folder / "IMG-1.jpg").write_bytes(b"\xff\xd8")

    imported = import_chats([folder], ImportOptions())

    assert len(imported.messages) == 200
    assert imported.messages[0].source == "Export"


def test_a_folder_without_a_chat_is_rejected(tmp_path: Path) -> None:
    assert "no chat in it" in failure(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_last_character_that_was_cut_is_a_warning(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_bytes("13.01.24, 10:00 - Ann: hi \U0001f600".encode(encoding)[:-1])

    imported = import_chats([path], ImportOptions())

    assert [message.text for message in imported.messages] == ["hi "]
    assert "ends in the middle of a character" in imported.summary.warnings[0]


def test_a_file_without_a_name_is_omitted(tmp_path: Path) -> None:
    """Only damage makes one."""
    path = packed(tmp_path / "chat.zip", {"_chat.txt": CHAT, "xyzzy.png": b""})
    path.write_bytes(path.read_bytes().replace(b"xyzzy", b"\0yzzy"))

    assert len(import_chats([path], ImportOptions()).messages) == 200
