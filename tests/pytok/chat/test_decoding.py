"""Texts that an editor saved again: read, or named for what they are."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytok.chat.code_pages import suggest
from pytok.chat.decoding import decode
from pytok.chat.rtf import read_rtf
from pytok.errors import ChatError
from tests.pytok.chat.app_exports import imported, said

CHAT = "13.01.24, 10:00 - Ann: grün 안녕 😀\n13.01.24, 10:01 - Bob: ok\n"
MESSAGES = [("2024-01-13 10:00", "Ann", "grün 안녕 😀"), ("2024-01-13 10:01", "Bob", "ok")]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_all_encodings_of_unicode_are_read(encoding: str, tmp_path: Path) -> None:
    """UTF-16 also without the byte order mark."""
    assert said(imported(tmp_path, CHAT.encode(encoding))) == MESSAGES


def test_json_in_utf_16_is_read(tmp_path: Path) -> None:
    text = '{"time": "2024-01-13T10:00:00", "sender": "Ann", "text": "hi"}\n'

    assert said(imported(tmp_path, text.encode("utf-16"), "chat.jsonl"))[0][2] == "hi"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "grün und größer"),
        ("cp1252", "ça va très bien, à bientôt"),
        ("cp1252", "¿qué tal? mañana"),
        ("cp1250", "zażółć gęślą jaźń"),
        ("cp1250", "příliš žluťoučký kůň"),
        ("cp1250", "árvíztűrő tükörfúrógép"),
        ("cp1254", "günaydın, nasılsın? şöyle böyle"),
        ("cp1257", "labas rytas, šiandien ąžuolas, ačiū"),
        ("cp1251", "привет, как дела?"),
        ("cp1253", "καλημέρα, τι κάνεις;"),
        ("cp1255", "שלום מה שלומך היום"),
        ("cp1256", "مرحبا كيف حالك"),
        ("cp874", "สวัสดีครับ สบายดีไหม"),
        ("cp949", "안녕하세요 뭐해"),
        ("cp932", "こんにちは、元気ですか"),
        ("gb18030", "你好，在吗？今天天气很好"),
        ("big5", "你好嗎，今天天氣很好"),
    ],
)
def test_an_old_encoding_is_suggested_and_read_if_it_is_given(
    encoding: str, text: str, tmp_path: Path
) -> None:
    """With the text as it would read, for the user to judge."""
    data = f"13.01.24, 10:00 - Ann: {text}\n".encode(encoding)
    with pytest.raises(ChatError) as raised:
        imported(tmp_path, data)
    message = raised.value.message

    assert message.startswith("chat.txt, line 1: byte ")
    assert text in message
    assert message.endswith(f"--encoding {encoding}")
    assert said(imported(tmp_path, data, encoding=encoding))[0][2] == text


@pytest.mark.parametrize("name", ["klingon", "hex", "idna", "undefined", "a\0b", ""])
def test_an_unknown_encoding_is_rejected(name: str, tmp_path: Path) -> None:
    with pytest.raises(ChatError, match="is not an encoding"):
        imported(tmp_path, CHAT, encoding=name)


RTF = rb"""{\rtf1\ansi\ansicpg1252\cocoartf2639
\cocoatextscaling0{\fonttbl\f0\fnil\fcharset0 .AppleSystemUIFont;\f1\fnil\fcharset129 Apple;}
{\colortbl;\red255\green255\blue255;}
{\*\expandedcolortbl;;}
\pard\tx566\pardirnatural

\f0\fs24 \cf0 13.01.24, 10:00 - Ann: gr\'fcn \f1 \'be\'c8\'b3\'e7\f0  \uc0\u55357 \u56832 \
13.01.24, 10:01 - Bob: ok\
}"""


def test_a_document_of_textedit_is_read_with_a_warning(tmp_path: Path) -> None:
    result = imported(tmp_path, RTF, "chat.rtf")

    assert said(result) == MESSAGES
    assert "saved by an editor as RTF" in result.summary.warnings[0]


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (rb"{\rtf1 a\par b\line c\tab d}", "a\nb\nc\td"),
        (rb"{\rtf1 \{x\}\\\~y}", "{x}\\\u00a0y"),
        (rb"{\rtf1\uc1 \u252?ber}", "über"),
        (rb"{\rtf1\uc2 \u252??ber \u8364\'80\'80x}", "über €x"),
        (rb"{\rtf1\u-10179?\u-8704?}", "😀"),
        (rb"{\rtf1 a{\*\generator x;}{\info{\author y}}b}", "ab"),
        (rb"{\rtf1\ansicpg1251 \'ef\'f0}", "пр"),
        (rb"{\rtf1 \u55357?}", "\ufffd"),
        (b"{\\rtf1 a}}}}b{{{", "ab"),
        (b"{\\rtf1 a\\", "a"),
    ],
)
def test_rtf_is_read(document: bytes, text: str) -> None:
    assert read_rtf(document) == text


@given(st.binary(max_size=300))
def test_damaged_rtf_is_text_that_can_be_encoded(data: bytes) -> None:
    read_rtf(b"{\\rtf1" + data).encode()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\x89PNG\r\n\x1a\n\0", "a picture"),
        (b"Rar!\x1a\7\0", "a RAR archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (b"\x1f\x8b\x08\0", "a compressed file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of Microsoft Office"),
    ],
)
def test_other_files_are_named(data: bytes, what: str, tmp_path: Path) -> None:
    with pytest.raises(ChatError, match=f"chat.txt is {what}"):
        imported(tmp_path, data)


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_a_chat_error(data: bytes) -> None:
    with suppress(ChatError):
        decode(data, "chat.txt").text.encode()


@given(st.text(min_size=1, max_size=50))
def test_a_suggestion_can_decode_the_text(text: str) -> None:
    data = text.encode("cp1252", "replace")
    found = suggest(data)
    if found is not None:
        data.decode(found.encoding)
