"""LINE: days in any language and order of numbers, times of both clocks, tabs or spaces."""

from pathlib import Path

import pytest

from pytok.chat.formats.line import is_line
from tests.pytok.chat.app_exports import imported, said

JAPANESE = """[LINE] 花子とのトーク履歴
保存日時：2024/01/20 09:00

2024/01/15(月)
21:30\t花子\tこんばんは
21:31\t太郎\t"場所は駅前です。

地図は""ここ""です。"
21:32\t花子\t[スタンプ]
21:33\t太郎\t☎ 通話時間 1:23
21:34\t\t花子がメッセージの送信を取り消しました

2024/01/16(火)
00:05\t花子\t[ファイル] 予定.pdf
00:06\t太郎\t[笑]
"""
ENGLISH = """[LINE] Chat history with Hanako
Saved on: 01/20/2024, 09:00

Mon, 01/15/2024
09:30PM\tHanako\tこんばんは
09:31PM\tTaro\t"場所は駅前です。

地図は""ここ""です。"
09:32PM\tHanako\t[Sticker]
09:33PM\tTaro\t☎ Call time 1:23
09:34PM\t\tHanako unsent a message.

Tue, 01/16/2024
12:05AM\tHanako\t[File] 予定.pdf
12:06AM\tTaro\t[笑]
"""


@pytest.mark.parametrize("text", [JAPANESE, ENGLISH])
def test_phones_export_the_same_chat(text: str, tmp_path: Path) -> None:
    result = imported(tmp_path, text)
    times, _, sent = zip(*said(result), strict=True)

    assert [time[8:] for time in times] == [
        *("15 21:30", "15 21:31", "15 21:32", "15 21:33", "15 21:34", "16 00:05", "16 00:06")
    ]
    assert sent[0] == "こんばんは"
    assert sent[1] == '場所は駅前です。\n\n地図は"ここ"です。'
    assert sent[2] == "<media> sticker"
    assert sent[3].startswith("<call>")
    assert sent[4].startswith("<system>")
    assert sent[5] == "<media> 予定.pdf"
    assert sent[6] == "[笑]"
    assert result.summary.sources[0].unread_lines == ()


@pytest.mark.parametrize(
    ("day", "time"),
    [
        ("2024/1/15（週一）", "下午09:30"),
        ("2024/1/15周一", "下午9:30"),
        ("2024/01/15(Mon)", "21:30"),
        ("2024.01.15 Monday", "9:30 PM"),
        ("2024.01.15 月曜日", "21:30"),
        ("2024년 1월 15일 월요일", "오후 9:30"),
        ("Mon, 15/01/2024", "21:30"),
        ("Mon, 1/15/2024", "21:30"),
        ("จ., 15/01/2567", "21:30"),
        ("จ. 15/01/2024", "21:30"),
        ("2024.01.15 วันจันทร์", "21:30"),
        ("Mo., 15.01.2024", "21:30"),
    ],
)
def test_days_and_times_of_other_languages_are_read(day: str, time: str, tmp_path: Path) -> None:
    text = f"[LINE] Ann\n\n{day}\n{time}\tAnn\thi\n{time}\tBob\tyes\n"

    assert said(imported(tmp_path, text)) == [
        ("2024-01-15 21:30", "Ann", "hi"),
        ("2024-01-15 21:30", "Bob", "yes"),
    ]


def test_the_weekday_shows_the_order_of_day_and_month(tmp_path: Path) -> None:
    """6 January 2026 was a Tuesday, 1 June a Monday."""
    days = {"Tue, 06/01/2026": "2026-01-06", "Mon, 06/01/2026": "2026-06-01"}
    for day, expected in days.items():
        result = imported(tmp_path, f"[LINE] Chat history with Ann\n\n{day}\n10:00\tAnn\thi\n")
        assert f"{result.messages[0].time:%Y-%m-%d}" == expected


def test_words_that_only_start_like_a_placeholder_are_words(tmp_path: Path) -> None:
    """What a computer writes for a picture is counted as unsure: people can write it, too."""
    text = "[LINE] x\n\n2024.01.15 Monday\n21:30 Ann Photos of it\n21:31 Ann Photos\n"
    result = imported(tmp_path, text)

    assert [each[2] for each in said(result)] == ["Photos of it", "<media> image"]
    assert result.summary.sources[0].unsure == {"Photos": (5,)}


def test_computers_separate_by_spaces(tmp_path: Path) -> None:
    """A name has as many words as its messages have in common, or as the title has."""
    text = (
        "[LINE] Chat history with Ann Lee\n\n2024.01.15 Monday\n21:30 Ann Lee hi\n"
        "21:31 Bob Ray Smith how are you\n21:32 Bob Ray Smith hello?\n"
        "21:33 Bob Ray Smith here\nnext line\n21:34 Ann Lee Photos\n"
    )

    assert said(imported(tmp_path, text)) == [
        ("2024-01-15 21:30", "Ann Lee", "hi"),
        ("2024-01-15 21:31", "Bob Ray Smith", "how are you"),
        ("2024-01-15 21:32", "Bob Ray Smith", "hello?"),
        ("2024-01-15 21:33", "Bob Ray Smith", "here\nnext line"),
        ("2024-01-15 21:34", "Ann Lee", "<media> image"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "15.01.2024, 21:30 - Ann: hi\n",
        "2024/01/15 21:30 - Ann: hi\n",
        "a note\n2024/01/15\n21:30 dinner\n" * 3 + "x\n",
        "--------------- 2024년 1월 5일 금요일 ---------------\n[민수] [오후 8:10] 안녕\n",
    ],
)
def test_other_texts_are_not_lines(text: str) -> None:
    assert not is_line(text)
