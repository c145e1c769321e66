"""QQ: the message manager's text, QQChatExporter's text, JSON and JSON lines."""

import json
from pathlib import Path
from typing import Any

import pytest

from pytok.chat.formats.qq import is_qq
from pytok.chat.importing import ImportOptions, import_chats
from tests.pytok.chat.app_exports import imported, said

MANAGER = """消息记录（此消息记录为文本格式，不支持重新导入）

================================================================
消息分组:我的群聊
================================================================
消息对象:同学
================================================================

2024-01-05 20:10:00 【管理员】Ann(10001)
在吗

第二行

2024-01-05 8:11:05 PM Bob<bob@example.com>
[图片]

2024-01-05 20:12:00 Bob<bob@example.com>
看[表情]这个

2024-01-05 20:13:00 系统消息(10000)
Cem加入了群聊

"""


def test_the_text_of_the_message_manager_is_read(tmp_path: Path) -> None:
    result = imported(tmp_path, MANAGER)

    assert said(result) == [
        ("2024-01-05 20:10", "Ann", "在吗\n\n第二行"),
        ("2024-01-05 20:11", "Bob", "<media> image"),
        ("2024-01-05 20:12", "Bob", "看这个"),
        ("2024-01-05 20:13", None, "<system> Cem加入了群聊"),
    ]
    assert [message.sender for message in result.messages[:2]] == ["10001", "bob@example.com"]


def test_a_text_of_several_chats_names_each(tmp_path: Path) -> None:
    second = "消息对象:家人\n====================\n\n2024-01-06 08:00:00 Dora(10002)\n早\n"

    assert [each.chat for each in imported(tmp_path, MANAGER + second).messages] == [
        *["同学"] * 4,
        "家人",
    ]
    assert said(imported(tmp_path, MANAGER + second, chat="家人")) == [
        ("2024-01-06 08:00", "Dora", "早")
    ]


def test_a_text_without_title_and_numbers_is_read(tmp_path: Path) -> None:
    """MemoTrace writes WeChat's messages so."""
    text = "2024-01-05 20:10:00 Ann Lee\nhi\n\n2024-01-05 20:11:00 Bob\nyes\n\n"

    assert said(imported(tmp_path, text)) == [
        ("2024-01-05 20:10", "Ann Lee", "hi"),
        ("2024-01-05 20:11", "Bob", "yes"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-01-05 20:10 - Ann: hi\n2024-01-05 20:11 - Bob: yes\n",
        "2024-01-05 20:10:00 Ann: hi\n2024-01-05 20:11:00 Bob: yes\n",
        "2024-01-05 20:10:00 started\n2024-01-05 20:10:01 stopped\n",
    ],
)
def test_other_texts_are_not_qqs(text: str) -> None:
    assert not is_qq(text)


EXPORTER = """[QQChatExporter V5 / https://github.com/shuakami/qq-chat-exporter]
[本软件是免费的开源项目~ 如果您是买来的，请立即退款！如果有帮助到您，欢迎给我点个Star~]

===============================================
           QQ聊天记录导出文件
===============================================

聊天名称: 同学
聊天类型: 群聊
导出时间: 2024-01-20 09:00:00
消息总数: 2


Ann:
时间: 2024-01-05 20:10:00
内容: 在吗
第二行
提及: Bob
回复: 01-05 20:00 Bob - 早


Bob:
时间: 2024-01-05 20:11:00
内容: [图片: a.jpg]
资源: 1 个文件
  - image: a.jpg

===============================================
              导出完成
===============================================
总计导出 2 条消息
导出时间: 2024-01-20 09:00:00
"""


def test_the_text_of_qq_chat_exporter_is_read(tmp_path: Path) -> None:
    result = imported(tmp_path, EXPORTER)

    assert said(result) == [
        ("2024-01-05 20:10", "Ann", "在吗\n第二行"),
        ("2024-01-05 20:11", "Bob", "<media> image"),
    ]
    assert result.summary.sources[0].unread_lines == ()


def qq(number: int, text: str, **fields: Any) -> dict[str, Any]:
    """One message of QQChatExporter, a minute after the one with the number before."""
    return {
        "id": f"m{number}",
        "seq": str(number),
        "timestamp": 1_704_485_400_000 + number * 60_000,
        "time": "2024-01-05 20:10:00",
        "sender": {"uid": "u_ann", "uin": "10001", "name": "Ann", "nickname": "ann91"},
        "type": "normal",
        "content": {"text": text, "elements": [], "resources": [], "mentions": []},
        "recalled": False,
        "system": False,
    } | fields


MESSAGES = [
    qq(0, "在吗"),
    qq(1, "[图片: a.jpg]", content={"text": "[图片: a.jpg]", "resources": [{"type": "image"}]}),
    qq(2, "x", recalled=True),
    qq(3, "Cem加入了群聊", system=True, type="system"),
    qq(
        4,
        "好",
        content={
            "text": "好",
            "elements": [{"type": "reply", "data": {"referencedMessageId": "m0"}}],
        },
    ),
]
EXPECTED = [
    ("2024-01-05 20:10", "Ann", "在吗"),
    ("2024-01-05 20:11", "Ann", "<media> image"),
    ("2024-01-05 20:12", "Ann", "<deleted>"),
    ("2024-01-05 20:13", None, "<system> Cem加入了群聊"),
    ("2024-01-05 20:14", "Ann", "好"),
]


def test_the_json_of_qq_chat_exporter_is_read(tmp_path: Path) -> None:
    document = {
        "metadata": {"name": "QQChatExporter", "version": "5.0.0"},
        "chatInfo": {"name": "同学", "type": "group", "selfUin": "10000"},
        "statistics": {"totalMessages": 5},
        "messages": MESSAGES,
    }
    result = imported(tmp_path, json.dumps(document), "chat.json", timezone="UTC")

    assert said(result) == EXPECTED
    assert result.messages[4].reply_to == "m0"
    assert result.messages[0].sender == "10001"


def test_the_parts_of_a_large_export_are_read_from_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "group"
    (folder / "chunks").mkdir(parents=True)
    manifest = {"metadata": {}, "chatInfo": {"name": "同学"}, "chunked": {"chunks": []}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for part in range(2):
        lines = [json.dumps(each) + "\n" for each in MESSAGES[2 * part : 2 * part + 2]]
        (folder / f"chunks/c00000{part}.jsonl").write_text("".join(lines))

    result = import_chats([folder], ImportOptions(timezone="UTC"))

    assert said(result) == EXPECTED[:4]


@pytest.mark.parametrize("value", [None, "soon", 1e300, {}, [1]])
def test_a_message_without_a_time_is_counted(value: object, tmp_path: Path) -> None:
    document = {"chatInfo": {"name": "x"}, "messages": [*MESSAGES, qq(5, "y", timestamp=value)]}
    result = imported(tmp_path, json.dumps(document), "chat.json", timezone="UTC")

    assert len(result.messages) == 5
    assert result.summary.sources[0].unread_lines == (6,)
