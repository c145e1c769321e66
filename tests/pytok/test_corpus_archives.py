"""Archives as corpora: tar and zip, as their own libraries write them.

The oracle is the same text as plain files in a folder.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import re
import tarfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok.corpus import SkippedWarning, read_documents, read_parts, read_utf8, size
from pytok.engine import EngineName
from pytok.errors import CorpusError
from tests.pytok.archives import tar_of, zip_of

FILES = {
    "a.txt": "One day\r\nI saw — 東京\n".encode(),
    "deep/b.jsonl": b'{"text": "a line"}\n{"text": "another"}\n',
    "deep/c.txt.gz": gzip.compress(b"compressed inside"),
    "empty.txt": b"",
}


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


ARCHIVES: dict[str, Callable[[Mapping[str, bytes]], bytes]] = {
    "a.tar": tar_of,
    "gnu.tar": lambda files: tar_of(files, tarfile.GNU_FORMAT),
    "a.tar.gz": lambda files: gzip.compress(tar_of(files)),
    "a.tgz": lambda files: gzip.compress(tar_of(files)),
    "a.TAR.ZST": lambda files: zstd(tar_of(files)),
    "a.tar.xz": lambda files: lzma.compress(tar_of(files)),
    "a.tar.bz2": lambda files: bz2.compress(tar_of(files)),
    "a.zip": zip_of,
    "stored.zip": lambda files: zip_of(files, zipfile.ZIP_STORED),
    "lzma.zip": lambda files: zip_of(files, zipfile.ZIP_LZMA),
}


def in_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_reads_as_the_folder_that_it_holds(name: str, tmp_path: Path) -> None:
    """Each member by its own suffix."""
    (tmp_path / name).write_bytes(ARCHIVES[name](FILES))
    folder = in_folder(tmp_path / "folder", FILES)

    assert list(read_documents(tmp_path / name)) == list(read_documents(folder))


@pytest.mark.parametrize("name", ARCHIVES)
def test_bytes_read_of_an_archive_sum_to_its_size(name: str, tmp_path: Path) -> None:
    """In strings and in UTF-8."""
    path = tmp_path / name
    path.write_bytes(ARCHIVES[name](FILES))

    assert sum(part.read for part in read_parts(path)) == size([path])
    assert sum(part.read for part in read_utf8(path)) == size([path])


@pytest.mark.parametrize("pack", [tar_of, zip_of])
@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_counts_of_an_archive_are_those_of_its_files(
    pack: Callable[[Mapping[str, bytes]], bytes],
    texts: list[str],
    engine: EngineName,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """However the text is divided into files, on both engines."""
    folder = tmp_path_factory.mktemp("archives")
    files = {f"{number}.txt": text.encode() for number, text in enumerate(texts)}
    archive = folder / f"a.{'tar' if pack is tar_of else 'zip'}"
    archive.write_bytes(pack(files))
    in_folder(folder / "files", files)

    packed, plain = (
        pytok.count_pieces(source, engine=engine, num_threads=1)
        for source in (archive, folder / "files")
    )

    assert sorted(packed.items()) == sorted(plain.items())


def test_members_that_are_hidden_or_no_files_are_skipped_and_counted(tmp_path: Path) -> None:
    """As in folders: macOS adds hidden ones. Folders are no members with text."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind in [
            ("folder", tarfile.DIRTYPE),
            ("./folder/one.txt", tarfile.REGTYPE),
            ("folder/._one.txt", tarfile.REGTYPE),
            (".git/config", tarfile.REGTYPE),
            ("folder/link.txt", tarfile.SYMTYPE),
            ("folder/hard.txt", tarfile.LNKTYPE),
            ("pipe", tarfile.FIFOTYPE),
        ]:
            member = tarfile.TarInfo(name)
            member.type = kind
            member.linkname = "./folder/one.txt"
            member.size = 3 if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(b"one"))
    (tmp_path / "a.tar").write_bytes(buffer.getvalue())

    message = r"skipped 5 members of archives \(2 hidden, 2 link, 1 other\)"
    with pytest.warns(SkippedWarning, match=message):
        assert list(read_documents(tmp_path)) == ["one"]


def test_links_in_a_zip_are_skipped(tmp_path: Path) -> None:
    """Their text is the path that they point to."""
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "target")
        archive.writestr("one.txt", "one")

    with pytest.warns(SkippedWarning, match="1 link"):
        assert list(read_documents(tmp_path)) == ["one"]


@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_an_error_in_a_member_names_it(
    pack: Callable[[Mapping[str, bytes]], bytes], tmp_path: Path
) -> None:
    """With the archive, and the byte."""
    name = "a.tar" if pack is tar_of else "a.zip"
    (tmp_path / name).write_bytes(pack({"x/b.txt": b"a\xff"}))

    with pytest.raises(CorpusError, match=rf"{re.escape(name)}/x/b\.txt: byte 1 is not UTF-8"):
        list(read_parts(tmp_path))


@pytest.mark.parametrize("member", ["b.zip", "b.tar.gz", "b.parquet", "b.7z", "b.txt"])
@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_an_archive_in_an_archive_is_rejected(
    pack: Callable[[Mapping[str, bytes]], bytes], member: str, tmp_path: Path
) -> None:
    """By its name, or its content: it cannot be streamed."""
    name = "a.tar" if pack is tar_of else "a.zip"
    (tmp_path / name).write_bytes(pack({member: zip_of({"c.txt": b"c"})}))

    with pytest.raises(CorpusError, match=re.escape(f"{name}/{member}: ") + ".*(unpack|name it)"):
        list(read_parts(tmp_path))


@pytest.mark.parametrize("keep", [300, 512, 700, 1000, 1024])
def test_a_truncated_tar_is_rejected(keep: int, tmp_path: Path) -> None:
    """In a header, in a member, and between members."""
    content = tar_of({"a.txt": b"a" * 300, "b.txt": b"b" * 300}, tarfile.USTAR_FORMAT)
    (tmp_path / "a.tar").write_bytes(content[:keep])

    with pytest.raises(CorpusError, match=r"a\.tar"):
        list(read_parts(tmp_path))


def test_data_after_a_tar_is_rejected(tmp_path: Path) -> None:
    """Tarfile itself ignores it."""
    (tmp_path / "a.tar").write_bytes(tar_of({"a.txt": b"a"}) + tar_of({"b.txt": b"b"}))

    with pytest.raises(CorpusError, match="more data follows"):
        list(read_parts(tmp_path))


def test_a_header_of_gigabytes_is_rejected(tmp_path: Path) -> None:
    """A pax header is read at once, and a few bytes compress to it."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 33
    (tmp_path / "a.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT))

    with pytest.raises(CorpusError, match="a header in the tar archive has 8,589,9"):
        list(read_parts(tmp_path))


@pytest.mark.parametrize("damage", ["truncated", "encrypted", "wrong checksum", "no zip"])
def test_a_damaged_zip_is_rejected(damage: str, tmp_path: Path) -> None:
    """With its name."""
    content = bytearray(zip_of({"a.txt": b"some text"}, zipfile.ZIP_STORED))
    central = content.index(b"PK\x01\x02")
    if damage == "truncated":
        del content[-9:]
    elif damage == "encrypted":
        content[central + 8] |= 1
    elif damage == "wrong checksum":
        content[content.index(b"some text")] ^= 1
    else:
        content[:] = b"no zip at all"
    (tmp_path / "a.zip").write_bytes(content)

    with pytest.raises(CorpusError, match=r"a\.zip"):
        list(read_parts(tmp_path))


@pytest.mark.parametrize("name", ["a.txt.xz", "a.tar.xz", "a.zip"])
def test_a_bomb_is_read_in_bounded_memory(name: str, tmp_path: Path) -> None:
    """Fifty megabytes of text in some kilobytes."""
    packed: dict[str, Callable[[bytes], bytes]] = {
        "a.txt.xz": lambda text: lzma.compress(text, preset=0),
        "a.tar.xz": lambda text: lzma.compress(tar_of({"a.txt": text}), preset=0),
        "a.zip": lambda text: zip_of({"a.txt": text}),
    }
    (tmp_path / name).write_bytes(packed[name](b"text\n" * 10_000_000))
    tracemalloc.start()

    read = sum(len(part.text) for part in read_utf8(tmp_path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert read == 50_000_000
    assert peak < 20 << 20


CONTENTS: dict[str, bytes] = {
    "gzip": gzip.compress(b"text" * 200),
    "zstd": zstd(b"text" * 200),
    "xz": lzma.compress(b"text" * 200),
    "bzip2": bz2.compress(b"text" * 200),
    "zip": zip_of({"a.txt": b"text"}),
    "tar": tar_of({"a.txt": b"text"}),
    "PDF": b"%PDF-1.7\n" + b"text " * 200,
    "SQLite": b"SQLite format 3\0" + b"\1" * 600,
    "7z": b"7z\xbc\xaf\x27\x1c" + b"\0" * 600,
    "RAR": b"Rar!\x1a\x07\x01\0" + b"\0" * 600,
}


@pytest.mark.parametrize("name", ["a.txt", "a", "a.jsonl", "a.txt.gz", "dir.tar"])
@pytest.mark.parametrize("content", CONTENTS)
def test_content_that_is_not_what_the_suffix_says_is_rejected(
    content: str, name: str, tmp_path: Path, engine: EngineName
) -> None:
    """With what it is, and what to do; a tar would be counted with its headers."""
    data = CONTENTS[content]
    packed = {".gz": gzip.compress, ".tar": lambda data: tar_of({"b.txt": data})}
    path = tmp_path / name
    path.write_bytes(packed.get(path.suffix, bytes)(data))

    with pytest.raises(CorpusError, match=f"this is .*{content}.*, not text: "):
        pytok.count_pieces(path, engine=engine)
    with pytest.raises(CorpusError, match=f"this is .*{content}.*, not text: "):
        list(read_utf8(path))


def test_text_that_looks_like_something_else_can_be_read(tmp_path: Path) -> None:
    """With its format given."""
    (tmp_path / "a.txt").write_text("%PDF-1.7 is how a PDF starts")

    assert list(read_documents(tmp_path, format="text")) == ["%PDF-1.7 is how a PDF starts"]


@pytest.mark.parametrize("suffix", [".7z", ".rar", ".br", ".lz4", ".Z", ".pdf", ".docx", ".arrow"])
def test_a_suffix_that_cannot_be_read_is_rejected(suffix: str, tmp_path: Path) -> None:
    """By name, whatever the content is, with what to do."""
    (tmp_path / f"a{suffix}").write_bytes(b"text")

    with pytest.raises(CorpusError, match=rf"a\{suffix}: files named \*.* cannot be read: "):
        list(read_parts(tmp_path))


def test_nothing_skipped_is_no_warning(tmp_path: Path) -> None:
    """A warning would be an error here."""
    (tmp_path / "a.tar").write_bytes(tar_of(FILES))
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        assert list(read_parts(tmp_path))


@pytest.mark.parametrize("name", ARCHIVES)
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=9)), min_size=1, max_size=4))
def test_damage_is_an_error_of_one_kind(
    name: str, changes: list[tuple[float, bytes]], tmp_path: Path
) -> None:
    """Or is not noticed: names, for example, have no checksum in a zip."""
    content = bytearray(ARCHIVES[name](FILES))
    for fraction, replacement in changes:
        start = int(fraction * len(content))
        content[start : start + 4] = replacement
    (tmp_path / name).write_bytes(content)

    with warnings.catch_warnings(), contextlib.suppress(CorpusError):
        warnings.simplefilter("ignore", SkippedWarning)
        list(read_documents(tmp_path / name))
