"""KakaoTalk: each platform and language has other lines, with the same messages."""

from pathlib import Path

import pytest

from pytok.chat.formats.kakaotalk import is_kakaotalk
from tests.pytok.chat.app_exports import imported, said

KOREAN_ANDROID = """민수 님과 카카오톡 대화
저장한 날짜 : 2024년 1월 13일 오후 8:10


2024년 1월 5일 오후 8:10
2024년 1월 5일 오후 8:10, 민수 : 안녕
2024년 1월 5일 오후 8:11, 지은 : 네

그래요
2024년 1월 5일 오후 8:12, 지은님이 나갔습니다.

2024년 1월 6일 오전 12:05
2024년 1월 6일 오전 12:05, 민수 : 사진
"""
KOREAN_IPHONE = """민수 님과 카카오톡 대화
저장한 날짜 : 2024. 1. 13. 오후 8:10

2024년 1월 5일 금요일
2024. 1. 5. 오후 8:10, 민수 : 안녕
2024. 1. 5. 오후 8:11, 지은 : 네

그래요
2024. 1. 5. 오후 8:12: 지은님이 나갔습니다.

2024년 1월 6일 토요일
2024. 1. 6. 오전 12:05, 민수 : 사진
"""
KOREAN_WINDOWS = """민수 님과 카카오톡 대화
저장한 날짜 : 2024-01-13 20:10:00

--------------- 2024년 1월 5일 금요일 ---------------
[민수] [오후 8:10] 안녕
[지은] [오후 8:11] 네

그래요
지은님이 나갔습니다.
--------------- 2024년 1월 6일 토요일 ---------------
[민수] [오전 12:05] 사진
"""
KOREAN_MACOS = """Date,User,Message
2024-01-05 20:10:00,"민수","안녕"
2024-01-05 20:11:00,"지은","네

그래요"
2024-01-05 20:12:00,"지은","지은님이 나갔습니다."
2024-01-06 00:05:00,"민수","사진"
"""

EXPECTED = [
    ("2024-01-05 20:10", "민수", "안녕"),
    ("2024-01-05 20:11", "지은", "네\n\n그래요"),
    ("2024-01-05 20:12", None, "<system> 지은님이 나갔습니다."),
    ("2024-01-06 00:05", "민수", "<media> image"),
]


@pytest.mark.parametrize("text", [KOREAN_ANDROID, KOREAN_IPHONE, KOREAN_MACOS])
def test_the_same_chat_of_each_platform_has_the_same_messages(text: str, tmp_path: Path) -> None:
    result = imported(tmp_path, text)

    assert said(result) == EXPECTED
    assert result.summary.sources[0].unread_lines == ()


def test_a_notice_of_windows_has_the_time_of_the_message_before(tmp_path: Path) -> None:
    """It has none of its own."""
    notice = ("2024-01-05 20:11", None, "<system> 지은님이 나갔습니다.")

    assert said(imported(tmp_path, KOREAN_WINDOWS)) == [*EXPECTED[:2], notice, EXPECTED[3]]


def test_newer_phones_write_as_windows_does(tmp_path: Path) -> None:
    """With the two first lines in the other order."""
    title, saved, rest = KOREAN_WINDOWS.split("\n", 2)
    result = imported(tmp_path, f"{saved}\n\n{title}\n{rest}")

    assert len(result.messages) == 4
    assert result.summary.sources[0].unread_lines == ()


ENGLISH = {
    "Android": """KakaoTalk Chats with Ann
Date Saved : January 13, 2024, 8:10 PM


January 5, 2024, 8:10 PM
January 5, 2024, 8:10 PM, Ann : hi
January 5, 2024, 8:11 PM, Bob Ray : Photo
January 5, 2024, 8:12 PM, Ann left this chatroom.
""",
    "iPhone": """Ann KakaoTalk Chats
Date Saved : Jan 13, 2024 at 8:10\u202fPM

Friday, January 5, 2024
Jan 5, 2024 at 8:10\u202fPM, Ann : hi
Jan 5, 2024 at 8:11\u202fPM, Bob Ray : Photo
Jan 5, 2024 at 8:12\u202fPM: Ann left this chatroom.
""",
    "British iPhone": """Ann KakaoTalk Chats
Date Saved : 13 Jan 2024 at 20:10

Friday, 5 January 2024
5 Jan 2024 at 20:10, Ann : hi
5 Jan 2024 at 20:11, Bob Ray : Photo
5 Jan 2024 at 20:12: Ann left this chatroom.
""",
    "Windows": """Chat with Ann
Date Saved : 2024-01-13 20:10:00

--------------- Friday, January 5, 2024 ---------------
[Ann] [8:10 PM] hi
[Bob Ray] [8:11 PM] Photo
Ann left this chatroom.
""",
}


@pytest.mark.parametrize("platform", ENGLISH)
def test_english_exports_are_read(platform: str, tmp_path: Path) -> None:
    first, second, third = said(imported(tmp_path, ENGLISH[platform]))

    assert first == ("2024-01-05 20:10", "Ann", "hi")
    assert second == ("2024-01-05 20:11", "Bob Ray", "<media> image")
    assert third[1:] == (None, "<system> Ann left this chatroom.")


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("사진 3장", "<media> image"),
        ("3 photos", "<media> image"),
        ("동영상", "<media> video"),
        ("이모티콘", "<media> sticker"),
        ("파일: a b.pdf", "<media> a b.pdf"),
        ("보이스톡 해요", "<call> 보이스톡 해요"),
        ("보이스톡 1:23", "<call> 보이스톡 1:23"),
        ("삭제된 메시지입니다.", "<deleted>"),
        ("사진 좋네", "사진 좋네"),
        ("a : b", "a : b"),
    ],
)
def test_what_the_app_writes_instead_of_words_has_its_kind(
    text: str, sent: str, tmp_path: Path
) -> None:
    line = f"2024년 1월 5일 오후 8:10, 민수 : {text}\n"

    assert said(imported(tmp_path, line)) == [("2024-01-05 20:10", "민수", sent)]


def test_what_only_the_wording_decides_is_counted_as_unsure(tmp_path: Path) -> None:
    """Somebody can write just "사진", too."""
    for text in (KOREAN_ANDROID, KOREAN_MACOS):
        assert list(imported(tmp_path, text).summary.sources[0].unsure) == ["사진"]


def test_a_name_can_have_brackets(tmp_path: Path) -> None:
    text = KOREAN_WINDOWS.replace("[민수]", "[[A] 민수]")

    assert [each[1] for each in said(imported(tmp_path, text))] == [
        "[A] 민수",
        "지은",
        None,
        "[A] 민수",
    ]


def test_a_table_with_quotes_that_are_not_doubled_is_read_with_a_warning(tmp_path: Path) -> None:
    result = imported(tmp_path, KOREAN_MACOS.replace('"안녕"', '"그는 "안녕" 했다"'))

    assert len(result.messages) == 4
    assert result.messages[0].text.count("안녕") == 1
    assert "quotation mark" in result.summary.warnings[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024. 1. 5. 오후 8:10 - 민수: 안녕\n",  # WhatsApp, Android
        "[2024. 1. 5. 오후 8:10:11] 민수: 안녕\n",  # WhatsApp, iPhone
        "5/1/24, 20:10 - Ann: hi\n2024년 1월 5일 오후 8:10, 민수 : 안녕\n",  # pasted
    ],
)
def test_other_texts_are_not_kakaotalks(text: str) -> None:
    assert not is_kakaotalk(text)
