"""Encrypted backups: the right key opens them, and every other end is one clear line."""

import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytok.chat.databases import is_database, read_database
from pytok.chat.databases.backup import decrypt, is_backup, read_key
from pytok.chat.databases.opening import opened
from pytok.chat.databases.protobuf import fields
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
    """The file of the key for a backup of that kind."""
    if crypt == 15:
        return str(phones.root_key_file(folder / "encrypted_backup.key", secret))
    return str(phones.key_file(folder / "key", secret))


def failure(path: Path, key: str) -> str:
    """What reading *path* with *key* says, which is one line and names it."""
    with pytest.raises(ChatError) as caught:
        read_database(path, key=key)
    said = str(caught.value)
    assert "\n" not in said
    assert path.name in said
    return said


@pytest.mark.parametrize("features", [True, False])
@pytest.mark.parametrize(
    ("crypt", "digest"), [(12, True), (14, True), (14, False), (15, True), (15, False)]
)
def test_the_key_opens_the_backup(
    tmp_path: Path, plain: bytes, crypt: int, digest: bool, features: bool
) -> None:
    """With or without the digest that backups of several files lack; by content, not by name."""
    path = tmp_path / "backup"
    path.write_bytes(phones.encrypt(plain, crypt, SECRET, digest=digest, features=features))

    assert is_database(path)
    assert [each.text for each in read_database(path, key=key_of(tmp_path, crypt)).messages] == [
        "secret"
    ]


@pytest.mark.parametrize("written", ["{}", "{} \n", "groups"])
@pytest.mark.parametrize("in_a_file", [True, False])
def test_a_root_key_can_be_given_as_digits(
    tmp_path: Path, plain: bytes, written: str, in_a_file: bool
) -> None:
    """As WhatsApp shows them: 64 digits, in groups of four."""
    digits = SECRET.hex()
    if written == "groups":
        key = " ".join(digits[at : at + 4] for at in range(0, 64, 4)).upper()
    else:
        key = written.format(digits)
    path = tmp_path / "msgstore.db.crypt15"
    path.write_bytes(phones.encrypt(plain, 15, SECRET))
    if in_a_file:
        (tmp_path / "digits.txt").write_text(key)
        key = str(tmp_path / "digits.txt")

    assert len(read_database(path, key=key).messages) == 1


@pytest.mark.parametrize("crypt", CRYPTS)
def test_another_key_is_told_from_damage(tmp_path: Path, plain: bytes, crypt: int) -> None:
    """The file is whole, so it is the key."""
    path = tmp_path / f"msgstore.db.crypt{crypt}"
    path.write_bytes(phones.encrypt(plain, crypt, SECRET))

    assert "encrypted with another key" in failure(path, key_of(tmp_path, crypt, bytes(32)))


@pytest.mark.parametrize("crypt", [12, 14])
def test_a_key_of_another_phone_is_told_by_its_salt(
    tmp_path: Path, plain: bytes, crypt: int
) -> None:
    """Even where the file is damaged, too."""
    path = tmp_path / f"msgstore.db.crypt{crypt}"
    path.write_bytes(phones.encrypt(plain, crypt, SECRET)[:-40])
    key = phones.key_file(tmp_path / "key", SECRET, salt=bytes(32))

    assert "encrypted with another key" in failure(path, str(key))


@pytest.mark.parametrize("crypt", CRYPTS)
@pytest.mark.parametrize("harm", ["flipped", "cut"])
def test_damage_is_told(tmp_path: Path, plain: bytes, crypt: int, harm: str) -> None:
    path = tmp_path / f"msgstore.db.crypt{crypt}"
    whole = bytearray(phones.encrypt(plain, crypt, SECRET))
    whole[400] ^= 1
    path.write_bytes(whole if harm == "flipped" else whole[:-100])

    assert "damaged or cut off" in failure(path, key_of(tmp_path, crypt))


@pytest.mark.parametrize("crypt", CRYPTS)
def test_almost_nothing_is_cut_off(tmp_path: Path, plain: bytes, crypt: int) -> None:
    path = tmp_path / f"msgstore.db.crypt{crypt}"
    path.write_bytes(phones.encrypt(plain, crypt, SECRET)[:60])

    assert "is cut off: 60 bytes" in failure(path, key_of(tmp_path, crypt))


@pytest.mark.parametrize(("crypt", "other"), [(12, 15), (14, 15), (15, 14)])
def test_a_key_of_the_other_kind_says_which_is_needed(
    tmp_path: Path, plain: bytes, crypt: int, other: int
) -> None:
    path = tmp_path / f"msgstore.db.crypt{crypt}"
    path.write_bytes(phones.encrypt(plain, crypt, SECRET))

    assert "of another kind; it needs" in failure(path, key_of(tmp_path, other))


def test_without_a_key_it_is_asked_for(tmp_path: Path, plain: bytes) -> None:
    path = tmp_path / "msgstore.db.crypt15"
    path.write_bytes(phones.encrypt(plain, 15, SECRET))

    with pytest.raises(ChatError, match="is encrypted: give the file of its key"):
        read_database(path)


@pytest.mark.parametrize("data", [b"", b"not a key", bytes(33), b"x" * 64])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "key").write_bytes(data)

    with pytest.raises(ChatError, match="is no key of WhatsApp's"):
        read_key(str(tmp_path / "key"))


def test_a_key_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ChatError, match="neither 64 hexadecimal digits nor a file"):
        read_key(str(tmp_path / "absent"))


@pytest.mark.parametrize("iv", [67, 66])
def test_a_header_that_nobody_can_read_is_tried_at_the_known_places(
    tmp_path: Path, plain: bytes, iv: int
) -> None:
    begin = {67: 190, 66: 99}[iv]
    whole = phones.encrypt(plain, 12, SECRET)
    head = bytearray(b"\xff" * begin)
    head[iv : iv + 16] = phones.IV
    path = tmp_path / "msgstore.db.crypt14"
    path.write_bytes(bytes(head) + whole[67:-20] + bytes(16))

    assert len(read_database(path, key=key_of(tmp_path, 14)).messages) == 1


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        (zlib.compress(bytes(8 << 20), 9), "unpacks to more than"),
        (zlib.compress(b"SQLite format 3\0" + bytes(9000))[:-6], "is cut off"),
        (b"nothing of the kind" * 9, "is no zlib stream"),
        (zlib.compress(bytes(range(256)) * 9), "is not a SQLite database"),
    ],
    ids=["bomb", "cut", "other", "no database"],
)
def test_what_is_inside_is_looked_at_too(tmp_path: Path, packed: bytes, said: str) -> None:
    """Unpacking is bounded."""
    path = tmp_path / "msgstore.db.crypt15"
    path.write_bytes(phones.encrypt(b"", 15, SECRET, packed=packed))

    assert said in failure(path, key_of(tmp_path, 15))


def test_contacts_may_be_a_backup_of_the_same_key(tmp_path: Path, plain: bytes) -> None:
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
    """Its header asks for a log beside it, which a decrypted one does not have."""
    path = tmp_path / "msgstore.db.crypt15"
    path.write_bytes(phones.encrypt(plain[:18] + b"\2\2" + plain[20:], 15, SECRET))

    assert len(read_database(path, key=SECRET.hex()).messages) == 1


def test_what_is_decrypted_leaves_no_file(
    tmp_path: Path, plain: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Python cannot open a database in memory, its file has gone before the first row."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr("pytok.chat.databases.opening.sys.version_info", (3, 10))
    (tmp_path / "temporary").mkdir()

    with opened(tmp_path / "msgstore.db.crypt15", plain) as tables:
        left = [path for path in (tmp_path / "temporary").rglob("*") if path.is_file()]
        rows = list(tables.rows("message", ["text_data"]))

    assert not left
    assert rows == [("secret",)]
    assert not list((tmp_path / "temporary").iterdir())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400), crypt=st.sampled_from(CRYPTS))
def test_no_bytes_make_anything_else_than_a_refusal(
    tmp_path: Path, data: bytes, crypt: int
) -> None:
    path = tmp_path / f"msgstore.db.crypt{crypt}"
    path.write_bytes(data)

    with pytest.raises(ChatError, match=r"msgstore\.db"):
        decrypt(path, read_key(key_of(tmp_path, crypt)))


@given(st.binary())
def test_fields_are_read_or_refused(data: bytes) -> None:
    """Any bytes; a field of bytes is never longer than they are."""
    try:
        found = fields(data)
    except ValueError:
        return
    assert sum(len(value) for value in found.values() if isinstance(value, bytes)) <= len(data)


@given(st.text())
def test_a_text_export_is_no_backup(text: str) -> None:
    assert not is_backup(f"12/31/22, 11:59 PM - Anna: {text}".encode("utf-8", "replace"), "a.txt")
