"""The files of a phone as tools leave them: in a folder, in an Android backup, in a tar."""

import hashlib
import io
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest

from pytok.chat.databases import read_database
from pytok.chat.importing import ImportOptions, ImportResult, import_chats
from pytok.errors import ChatError
from tests.pytok.chat.phones import (
    CURRENT,
    PEOPLE,
    database,
    encrypt,
    key_file,
    message,
    root_key_file,
)

SECRET = bytes(range(32))
CONTACTS = ("CREATE TABLE wa_contacts (_id INTEGER, jid TEXT, display_name TEXT, wa_name TEXT)",)
OTHER = ("CREATE TABLE identities (_id INTEGER, public_key BLOB)",)


def phone(folder: Path) -> Path:
    """Write the files that the extractor leaves to *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    database(folder / "msgstore.db", CURRENT, {**PEOPLE, "message": [message(1, "hi")]})
    names = [{"_id": 1, "jid": "431@s.whatsapp.net", "display_name": "Ann Lee"}]
    database(folder / "wa.db", CONTACTS, {"wa_contacts": names})
    database(folder / "axolotl.db", OTHER, {})
    key_file(folder / "key", SECRET)
    return folder


def read(path: Path, **options: str) -> ImportResult:
    return import_chats([path], ImportOptions(**options))  # type: ignore[arg-type]


def check(result: ImportResult) -> None:
    """Check that the only message was read, with the name from the contacts."""
    (only,) = result.messages
    assert (only.sender, only.name, only.text) == ("+431", "Ann Lee", "hi")
    assert result.summary.sources[0].format == "WhatsApp database with the names in wa.db"


def failure(path: Path, **options: str) -> str:
    with pytest.raises(ChatError) as raised:
        read(path, **options)
    assert "\n" not in raised.value.message
    return raised.value.message


def test_the_folder_of_the_extractor_is_read_with_its_contacts(tmp_path: Path) -> None:
    """Also if the folder of the user is one level deeper."""
    phone(tmp_path / "extracted/Ann")

    check(read(tmp_path / "extracted"))
    check(read(tmp_path / "extracted/Ann"))


@pytest.mark.parametrize("crypt", [12, 14, 15])
def test_an_encrypted_database_is_read_with_the_key_beside_it(crypt: int, tmp_path: Path) -> None:
    """Of two keys the one of the needed kind; contacts can be encrypted, too."""
    folder = phone(tmp_path / "phone")
    root_key_file(folder / "encrypted_backup.key", SECRET)
    for name in ("msgstore.db", "wa.db"):
        plain = (folder / name).read_bytes()
        (folder / f"{name}.crypt{crypt}").write_bytes(encrypt(plain, crypt, SECRET))
        (folder / name).unlink()

    (only,) = read(folder).messages

    assert (only.name, only.text) == ("Ann Lee", "hi")


def test_older_backups_are_named(tmp_path: Path) -> None:
    folder = phone(tmp_path / "phone")
    plain = (folder / "msgstore.db").read_bytes()
    (folder / "msgstore.db").unlink()
    newer = database(tmp_path / "new.db", CURRENT, {**PEOPLE, "message": [message(2, "new")]})
    for name, data in (("msgstore", newer.read_bytes()), ("msgstore-2024-01-05.1", plain)):
        (folder / f"{name}.db.crypt14").write_bytes(encrypt(data, 14, SECRET))

    result = read(folder)

    assert [each.text for each in result.messages] == ["new"]
    (warning,) = [each for each in result.summary.warnings if "backup" in each]
    assert "msgstore-2024-01-05.1.db.crypt14" in warning


def test_several_databases_of_messages_are_an_error(tmp_path: Path) -> None:
    phone(tmp_path / "two/a")
    phone(tmp_path / "two/b")

    assert "2 databases with messages (a/msgstore.db, b/msgstore.db)" in failure(tmp_path / "two")


def test_a_folder_without_messages_is_an_error(tmp_path: Path) -> None:
    folder = phone(tmp_path / "phone")
    (folder / "msgstore.db").unlink()

    assert "no chat in it" in failure(folder)


def test_a_database_in_a_zip_is_named(tmp_path: Path) -> None:
    folder = phone(tmp_path / "phone")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.write(folder / "msgstore.db", "msgstore.db")
        packed.write(folder / "key", "key")

    assert "a.zip/msgstore.db is a database or a backup in a zip" in failure(tmp_path / "a.zip")


def test_an_encrypted_backup_of_an_iphone_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """Its files have names of hexadecimal digits, and its list of them is no database either."""
    backup = tmp_path / "00008101-000A"
    (backup / "7c").mkdir(parents=True)
    for name in ("Manifest.db", "7c/7c7fba66680ef796b916b067077cc246adacf01d"):
        (backup / name).write_bytes(bytes(range(1, 65)) * 64)
    (backup / "Manifest.plist").write_bytes(b"<plist/>")

    with pytest.raises(ChatError, match=r'encrypted backup of an iPhone.*"Encrypt local backup"'):
        import_chats([backup], ImportOptions())


def test_a_damaged_database_in_a_folder_is_an_error(tmp_path: Path) -> None:
    folder = phone(tmp_path / "phone")
    data = (folder / "msgstore.db").read_bytes()
    (folder / "msgstore.db").write_bytes(data[:200])

    assert "msgstore.db is damaged" in failure(folder)


def archive(folder: Path, names: Mapping[str, str]) -> bytes:
    """Return a tar of files in *folder*, by their paths in the tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, file in names.items():
            tar.add(folder / file, name)
    return buffer.getvalue()


FILES = {
    "apps/com.whatsapp/_manifest": "key",
    "apps/com.whatsapp/f/key": "key",
    "apps/com.whatsapp/db/axolotl.db": "axolotl.db",
    "apps/com.whatsapp/db/msgstore.db": "msgstore.db",
    "apps/com.whatsapp/db/wa.db": "wa.db",
}
PLAIN = b"ANDROID BACKUP\n5\n0\nnone\n"
COMPRESSED = b"ANDROID BACKUP\n1\n1\nnone\n"


@pytest.fixture
def tar(tmp_path: Path) -> bytes:
    return archive(phone(tmp_path / "phone"), FILES)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_a_backup_or_tar_is_read_with_its_contacts(tar: bytes, tmp_path: Path) -> None:
    path = tmp_path / "whatsapp.ab"
    for data in (COMPRESSED + zlib.compress(tar), PLAIN + tar, tar):
        path.write_bytes(data)
        check(read(path))


def test_the_log_in_a_backup_is_read(tmp_path: Path) -> None:
    """The newest messages are only in it."""
    folder = phone(tmp_path / "phone")
    with closing(sqlite3.connect(folder / "msgstore.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("UPDATE message SET text_data = 'newer'")
        connection.commit()
        data = archive(folder, {**FILES, "apps/com.whatsapp/db/msgstore.db-wal": "msgstore.db-wal"})
    path = tmp_path / "a.ab"
    path.write_bytes(PLAIN + data)

    assert [each.text for each in read(path).messages] == ["newer"]


def test_what_is_unpacked_can_be_read_by_its_owner_only_and_is_removed(
    tar: bytes, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []

    def spy(path: Path, **options: object) -> object:
        modes.append(path.parents[1].stat().st_mode & 0o777)
        return read_database(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("pytok.chat.formats.databases.read_database", spy)
    path = tmp_path / "a.ab"
    path.write_bytes(COMPRESSED + zlib.compress(tar))
    read(path)

    assert modes == [0o700]
    assert list(temporary.iterdir()) == []


def test_a_damaged_database_in_a_backup_is_named_by_the_backup(tmp_path: Path) -> None:
    """The folder in which it was unpacked is gone."""
    folder = phone(tmp_path / "phone")
    data = bytearray((folder / "msgstore.db").read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    (folder / "msgstore.db").write_bytes(data)
    path = tmp_path / "a.ab"
    path.write_bytes(PLAIN + archive(folder, FILES))

    assert failure(path).startswith(f"{path}/com.whatsapp/msgstore.db is damaged: ")


@pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")
def test_what_is_unpacked_is_removed_after_sigterm(tar: bytes, tmp_path: Path) -> None:
    """As after Ctrl-C: the process ends itself with the signal while it reads."""
    path = tmp_path / "a.ab"
    path.write_bytes(COMPRESSED + zlib.compress(tar))
    folder = tmp_path / "temporary"
    folder.mkdir()
    script = (
        "import os, signal, sys\n"
        "import pytok.chat.formats.databases as databases\n"
        "from pytok.__main__ import main\n"
        "def stop(path, **options):\n"
        "    assert path.exists()\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "databases.read_database = stop\n"
        "sys.argv = ['pytok', 'chat', 'import', *sys.argv[1:]]\n"
        "main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path), "-o", str(tmp_path / "chat.jsonl")],
        env={**os.environ, "TMPDIR": str(folder)},
        check=False,
    )

    assert ended.returncode == 128 + signal.SIGTERM
    assert list(folder.iterdir()) == []


def encrypted_backup(tar: bytes, password: bytes) -> bytes:
    """Encrypt *tar* as Android does."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    def cbc(key: bytes, iv: bytes, data: bytes) -> bytes:
        padder = PKCS7(128).padder()
        padded = padder.update(data) + padder.finalize()
        encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
        return encryptor.update(padded) + encryptor.finalize()

    salt, checksum_salt, user_iv, iv, master = (
        bytes([i]) * n for i, n in enumerate((64, 64, 16, 16, 32), 1)
    )
    user_key = hashlib.pbkdf2_hmac("sha1", password, salt, 1000, 32)
    checksum = hashlib.pbkdf2_hmac("sha1", master, checksum_salt, 1000, 32)
    blob = b"".join(bytes([len(part)]) + part for part in (iv, master, checksum))
    lines = [
        salt.hex(),
        checksum_salt.hex(),
        "1000",
        user_iv.hex(),
        cbc(user_key, user_iv, blob).hex(),
    ]
    head = b"ANDROID BACKUP\n4\n1\nAES-256\n" + "\n".join(lines).upper().encode() + b"\n"
    return head + cbc(master, iv, zlib.compress(tar))


@pytest.mark.parametrize("password", ["secret", "pässwörd 😀"])
def test_an_encrypted_backup_is_read_with_its_password(
    password: str, tar: bytes, tmp_path: Path
) -> None:
    """From a file, or as it is."""
    path = tmp_path / "a.ab"
    path.write_bytes(encrypted_backup(tar, password.encode()))
    (tmp_path / "password.txt").write_text(password + "\n", encoding="utf-8")

    check(read(path, key=str(tmp_path / "password.txt")))
    check(read(path, key=password))
    assert "is encrypted with the password" in failure(path)
    assert "another password" in failure(path, key="wrong")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"ANDROID BACKUP\n9\n1\nnone\n", "version b'9', which is unknown"),
        (b"ANDROID BACKUP\n1\n1\nDES\n", "encryption b'DES' is unknown"),
        (b"ANDROID BACKUP\n", "version b'', which is unknown"),
        (COMPRESSED, "damaged or cut off"),
        (COMPRESSED + b"no zlib", "damaged or cut off"),
        (PLAIN + b"no tar" * 200, "damaged or cut off"),
        (COMPRESSED + zlib.compress(bytes(10_240)), "no database of WhatsApp"),
        (b"ANDROID BACKUP\n1\n1\nAES-256\nzz\n\n1\n\n\n", "header of the encryption is damaged"),
    ],
)
def test_a_damaged_backup_is_an_error(data: bytes, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "a.ab"
    path.write_bytes(data)

    assert complaint in failure(path, key="secret")


def test_a_backup_that_unpacks_to_too_much_is_rejected(
    tar: bytes, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytok.chat.databases.android_backup._HARMLESS_SIZE", 0)
    monkeypatch.setattr("pytok.chat.databases.android_backup._MAX_RATIO", 1)
    path = tmp_path / "a.ab"
    path.write_bytes(COMPRESSED + zlib.compress(tar))

    assert "would unpack to more than" in failure(path)
    assert list(temporary.iterdir()) == []


def test_paths_and_links_in_a_backup_cannot_leave_its_folder(
    tmp_path: Path, temporary: Path
) -> None:
    """Only files of known names are unpacked, each to a path of its own."""
    folder = phone(tmp_path / "phone")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("../../evil", "/etc/evil", "apps/com.whatsapp/db/../../../evil"):
            tar.add(folder / "key", name)
        link = tarfile.TarInfo("apps/com.whatsapp/db/wa.db")
        link.type, link.linkname = tarfile.SYMTYPE, str(folder / "wa.db")
        tar.addfile(link)
        tar.add(folder / "msgstore.db", "apps/com.whatsapp/db/msgstore.db")
    path = tmp_path / "a.tar"
    path.write_bytes(buffer.getvalue())

    (only,) = read(path).messages

    assert only.name is None
    assert not list(tmp_path.rglob("evil"))


def test_damaged_backups_raise_only_chat_errors(tar: bytes, tmp_path: Path) -> None:
    """Cut off anywhere, or with any byte changed."""
    random = Random(0)
    path = tmp_path / "a.ab"
    for whole in (COMPRESSED + zlib.compress(tar), PLAIN + tar, encrypted_backup(tar, b"secret")):
        for _ in range(60):
            data = bytearray(whole)
            for _ in range(random.randint(1, 4)):
                data[random.randrange(len(data))] = random.randrange(256)
            path.write_bytes(
                data[: random.choice((len(data), random.randrange(len(data))))] or b"x"
            )
            with suppress(ChatError):
                read(path, key="secret")
