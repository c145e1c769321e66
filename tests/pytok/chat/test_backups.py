"""Encrypted backups: the correct key opens them; everything else is a clear error."""

import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytok.chat.databases import is_database, read_database
from pytok.chat.databases.backup import decrypt, is_backup, read_key
from pytok.chat.databases.opening import open_tables
from pytok.chat.databases.protobuf import parse_fields
from pytok.errors import ChatError
from tests.pytok.chat import phones

pytest.importorskip("cryptography")

SECRET = bytes(range(200, 232))
CRYPTS = [12, 14, 15]


@pytest.fixture
def plain(tmp_path: Path) -> bytes:
    """A database with one message."""
    rows = {**phones.PEOPLE, "message": [phones.message(1, "secret")]}
    return phones.database(tmp_path / "plain.db", phones.CURRENT, rows).read_bytes()


def key_of(folder: Path, crypt: int, secret: bytes = SECRET) -> str:
    """Write the key file for a backup of format *crypt*, and return its path."""
    if crypt == 15:
        return str(phones.root_key_file(folder / "encrypted_backup.key", secret))
    return str(phones.key_file(folder / "key", secret))


def failure(path: Path, key: str) -> str:
    """Return the error of reading *path* with *key*: one line with the name of the file."""
    with pytest.raises(ChatError) as caught:
        read_database(path, key=key)
    error = str(caught.value)
    assert "\n" not in error
    assert path.name in error
    return error


@pytest.mark.parametrize("features", [True, False])
@pytest.mark.parametrize(
    ("crypt", "digest"), [(12, True), (14, True), (14, False), (15, True), (15, False)]
)
def test_the_key_opens_the_backup(
    tmp_path: Path, plain: bytes, crypt: int, digest: bool, features: bool
) -> None:
    """With or without the digest, which backups of several files lack; the name does not matter."""
    path = tmp_path / "backup"
    path.write_bytes(phones.encrypt(plain, crypt, SECRET, digest=digest, features=features))

    assert is_database(path)
    assert [each.text for each in read_database(path, key=key_of(tmp_path, crypt)).messages] == [
        "secret"
    ]


@pytest.mark.parametrize("spelling", ["{}", "{} \n", "groups"])
@pytest.mark.parametrize("in_a_file", [True, False])
def test_a_root_key_can_be_given_as_digits(
    tmp_path: Path, plain: bytes, spelling: str, in_a_file: bool
) -> None:
    """WhatsApp displays 64 digits in groups of four."""
    digits = SECRET.hex()
    if spelling == "groups":
        key = " ".join(digits[start : start + 4] for start in range(0, 64, 4)).upper()
    else:
        key = spelling.format(digits)
    path = tmp_path / "msgstore.db.crypt15"
    path.write_bytes(phones.encrypt(plain, 15, SECRET))
    if in_a_file:
        (tmp_path / "digits.txt").write_text(key)
        key = str(tmp_path / "digits.txt")

    assert len(read_database(path, key=key).messages) == 1


@pytest.mark.parametrize("crypt", CRYPTS)
def test_a_wrong_key_is_distinguished_from_damage(tmp_path: Path, plain: bytes, crypt: int) -> None:
    """The file is intact, so the key is wrong."""
    path = tmp_path / f"msgstore.db.crypt{crypt}"
    path.write_bytes(phones.encrypt(plain, crypt, SECRET))

    assert "encrypted with another key" in failure(path, key_of(tmp_path, crypt, bytes(32)))


@pytest.mark.parametrize("crypt", [12, 14])
def test_a_key_of_another_phone_is_recognized_by_its_salt(
    tmp_path: Path, plain: bytes, crypt: int
) -> None:
    """Even if the file is also damaged."""
    path = tmp_path / f"msgstore.db.crypt{crypt}"
    path.write_bytes(phones.encrypt(plain, crypt, SECRET)[:-40])
    key = phones.key_file(tmp_path / "key", SECRET, salt=bytes(32))

    assert "encrypted with another key" in failure(path, str(key))


@pytest.mark.parametrize("crypt", CRYPTS)
@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_damage_is_reported(tmp_path: Path, plain: bytes, crypt: int, damage: str) -> None:
    path = tmp_path / f"msgstore.db.crypt{crypt}"
    backup = bytearray(phones.encrypt(plain, crypt, SECRET))
    backup[400] ^= 1
    path.write_bytes(backup if damage == "flipped" else backup[:-100])

    assert "damaged or cut off" in failure(path, key_of(tmp_path, crypt))


@pytest.mark.parametrize("crypt", CRYPTS)
def test_a_file_of_a_few_bytes_is_cut_off(tmp_path: Path, plain: bytes, crypt: int) -> None:
    path = tmp_path / f"msgstore.db.crypt{crypt}"
    path.write_bytes(phones.encrypt(plain, crypt, SECRET)[:60])

    assert "is cut off: 60 bytes" in failure(path, key_of(tmp_path, crypt))


@pytest.mark.parametrize(("crypt", "other"), [(12, 15), (14, 15), (15, 14)])
def test_for_a_key_of_the_other_kind_the_error_names_the_needed_kind(
    tmp_path: Path, plain: bytes, crypt: int, other: int
) -> None:
    path = tmp_path / f"msgstore.db.crypt{crypt}"
    path.write_bytes(phones.encrypt(plain, crypt, SECRET))

    assert "of another kind; it needs" in failure(path, key_of(tmp_path, other))


def test_the_error_for_a_missing_key_names_the_option(tmp_path: Path, plain: bytes) -> None:
    path = tmp_path / "msgstore.db.crypt15"
    path.write_bytes(phones.encrypt(plain, 15, SECRET))

    with pytest.raises(ChatError, match="is encrypted: give its key file"):
        read_database(path)


@pytest.mark.parametrize("data", [b"", b"not a key", bytes(33), b"x" * 64])
def test_a_file_that_is_not_a_key_is_rejected(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "key").write_bytes(data)

    with pytest.raises(ChatError, match="is not a key file of WhatsApp"):
        read_key(str(tmp_path / "key"))


def test_a_key_file_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ChatError, match="neither 64 hexadecimal digits nor a readable file"):
        read_key(str(tmp_path / "absent"))


@pytest.mark.parametrize("iv", [67, 66])
def test_for_an_unreadable_header_known_offsets_are_tried(
    tmp_path: Path, plain: bytes, iv: int
) -> None:
    start = {67: 190, 66: 99}[iv]
    backup = phones.encrypt(plain, 12, SECRET)
    head = bytearray(b"\xff" * start)
    head[iv : iv + 16] = phones.IV
    path = tmp_path / "msgstore.db.crypt14"
    path.write_bytes(bytes(head) + backup[67:-20] + bytes(16))

    assert len(read_database(path, key=key_of(tmp_path, 14)).messages) == 1


@pytest.mark.parametrize(
    ("packed", "complaint"),
    [
        (zlib.compress(bytes(8 << 20), 9), "unpacks to more than"),
        (zlib.compress(b"SQLite format 3\0" + bytes(9000))[:-6], "is cut off"),
        (b"nothing of the kind" * 9, "is not a zlib stream"),
        (zlib.compress(bytes(range(256)) * 9), "is not a SQLite database"),
    ],
    ids=["bomb", "cut", "other", "no database"],
)
def test_the_decrypted_data_is_checked(tmp_path: Path, packed: bytes, complaint: str) -> None:
    """Its decompressed size is bounded."""
    path = tmp_path / "msgstore.db.crypt15"
    path.write_bytes(phones.encrypt(b"", 15, SECRET, packed=packed))

    assert complaint in failure(path, key_of(tmp_path, 15))


def test_contacts_can_be_a_backup_with_the_same_key(tmp_path: Path, plain: bytes) -> None:
    schema = ["CREATE TABLE wa_contacts (jid TEXT, display_name TEXT, wa_name TEXT)"]
    row = {"jid": "431@s.whatsapp.net", "display_name": "Anna"}
    contacts = phones.database(tmp_path / "wa.db", schema, {"wa_contacts": [row]})
    names = tmp_path / "wa.db.crypt15"
    names.write_bytes(phones.encrypt(contacts.read_bytes(), 15, SECRET, features=False))
    path = tmp_path / "msgstore.db.crypt15"
    path.write_bytes(phones.encrypt(plain, 15, SECRET))

    (one,) = read_database(path, names=names, key=SECRET.hex()).messages

    assert one.name == "Anna"


def test_a_database_in_write_ahead_mode_opens_in_memory(tmp_path: Path, plain: bytes) -> None:
    """Its header requires a log file, which a decrypted database does not have."""
    path = tmp_path / "msgstore.db.crypt15"
    path.write_bytes(phones.encrypt(plain[:18] + b"\2\2" + plain[20:], 15, SECRET))

    assert len(read_database(path, key=SECRET.hex()).messages) == 1


def test_decrypted_data_leaves_no_file(
    tmp_path: Path, plain: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Python cannot open a database in memory, its file is removed before the first row."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr("pytok.chat.databases.opening.sys.version_info", (3, 10))
    (tmp_path / "temporary").mkdir()

    with open_tables(tmp_path / "msgstore.db.crypt15", plain) as tables:
        remaining = [path for path in (tmp_path / "temporary").rglob("*") if path.is_file()]
        rows = list(tables.rows("message", ["text_data"]))

    assert not remaining
    assert rows == [("secret",)]
    assert not list((tmp_path / "temporary").iterdir())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400), crypt=st.sampled_from(CRYPTS))
def test_arbitrary_bytes_raise_only_chat_errors(tmp_path: Path, data: bytes, crypt: int) -> None:
    path = tmp_path / f"msgstore.db.crypt{crypt}"
    path.write_bytes(data)

    with pytest.raises(ChatError, match=r"msgstore\.db"):
        decrypt(path, read_key(key_of(tmp_path, crypt)))


@given(st.binary())
def test_arbitrary_bytes_are_parsed_or_a_value_error(data: bytes) -> None:
    """The fields of bytes are together never longer than the message."""
    try:
        fields = parse_fields(data)
    except ValueError:
        return
    assert sum(len(value) for value in fields.values() if isinstance(value, bytes)) <= len(data)


@given(st.text())
def test_a_text_export_is_not_a_backup(text: str) -> None:
    assert not is_backup(f"12/31/22, 11:59 PM - Anna: {text}".encode("utf-8", "replace"), "a.txt")
