"""WeChat, as its common exporters write it: tables, JSON and text."""

import json
from pathlib import Path

import pytest

from tests.pytok.chat.app_exports import imported, said

MEMOTRACE = (
    (
        "\ufefflocalId,TalkerId,Type,SubType,IsSender,CreateTime,Status,StrContent,StrTime,"
        "Remark,NickName,Sender\n"
    )
    + """12245,3,1,0,1,1704485400,,"hi,
you",2024-01-05 20:10:00,,,
12246,3,3,0,0,1704485460,,,2024-01-05 20:11:00,Ann L.,ann,wxid_ann
12247,3,49,57,0,1704485520,,<msg><appmsg/></msg>,2024-01-05 20:12:00,Ann L.,ann,wxid_ann
12248,3,10000,0,0,1704485580,,Ann撤回了一条消息,2024-01-05 20:13:00,Ann L.,ann,wxid_ann
"""
)


def test_memotraces_table_of_all_chats_is_read(tmp_path: Path) -> None:
    assert said(imported(tmp_path, MEMOTRACE, "messages.csv")) == [
        ("2024-01-05 20:10", "me", "hi,\nyou"),
        ("2024-01-05 20:11", "Ann L.", "<media> image"),
        ("2024-01-05 20:12", "Ann L.", "<media> link"),
        ("2024-01-05 20:13", None, "<system> Ann撤回了一条消息"),
    ]


def test_one_chat_of_a_table_can_be_chosen(tmp_path: Path) -> None:
    other = "12249,4,1,0,0,1704485640,,早,2024-01-05 20:14:00,,bob,wxid_bob\n"
    result = imported(tmp_path, MEMOTRACE + other, "messages.csv", chat="4")

    assert said(result) == [("2024-01-05 20:14", "bob", "早")]


MEMOTRACE_CHAT = """\ufeff消息ID,类型,发送人,时间,内容,备注,昵称,更多信息
1,文本,小红,2024-01-05 20:10:00,在吗,小红,红,more
2,图片,我,2024-01-05 20:11:00,[图片],我,我,more
3,语音通话,我,2024-01-05 20:12:00,通话时长 01:02,我,我,more
"""
PYWXDUMP = """id,MsgSvrID,type_name,is_sender,talker,room_name,msg,src,CreateTime
1,7437267147299592543,图片,0,wxid_ann,wxid_ann,图片,FileStorage\\MsgAttach\\a\\b.dat,2024/1/5 20:10
7,4073926741244663531,文本,1,wxid_me,wxid_ann,小马尔代夫,,2024/1/5 20:11
8,4073926741244663532,系统通知,0,系统,wxid_ann,"撤回了一条消息",,2024/1/5 20:12
"""
PYWXDUMP_OLD = '''id,MsgSvrID,type_name,is_sender,talker,room_name,content,CreateTime
7,40739,文本,1,wxid_me,wxid_ann,"{""src"": """", ""msg"": ""小马尔代夫""}",2024-01-05 20:11:00
'''
CHATLOG = """Time,SenderName,Sender,TalkerName,Talker,Content
2024-01-05 20:10:00,Ann,wxid_ann,同学,123@chatroom,在吗
2024-01-05 20:11:00,,wxid_bob,同学,123@chatroom,在
"""


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            MEMOTRACE_CHAT,
            [
                ("2024-01-05 20:10", "小红", "在吗"),
                ("2024-01-05 20:11", "我", "<media> image"),
                ("2024-01-05 20:12", "我", "<call> 通话时长 01:02"),
            ],
        ),
        (
            PYWXDUMP,
            [
                ("2024-01-05 20:10", "wxid_ann", "<media> b.dat"),
                ("2024-01-05 20:11", "wxid_me", "小马尔代夫"),
                ("2024-01-05 20:12", None, "<system> 撤回了一条消息"),
            ],
        ),
        (PYWXDUMP_OLD, [("2024-01-05 20:11", "wxid_me", "小马尔代夫")]),
        (
            CHATLOG,
            [("2024-01-05 20:10", "Ann", "在吗"), ("2024-01-05 20:11", "wxid_bob", "在")],
        ),
    ],
)
def test_tables_of_exporters_are_read(
    table: str, expected: list[tuple[str, str | None, str]], tmp_path: Path
) -> None:
    assert said(imported(tmp_path, table, "chat.csv")) == expected


WEFLOW = {
    "weflow": {"version": "1.0.3", "exportedAt": 1704500000},
    "session": {"wxid": "wxid_ann", "displayName": "Ann L.", "type": "私聊"},
    "messages": [
        {
            "localId": 1,
            "createTime": 1704485400,
            "formattedTime": "2024-01-05 20:10:00",
            "type": "文本消息",
            "localType": 1,
            "content": "在吗",
            "isSend": 0,
            "senderUsername": "wxid_ann",
            "senderDisplayName": "Ann L.",
        },
        {
            "localId": 2,
            "createTime": 1704485460,
            "type": "动画表情",
            "content": "[动画表情]",
            "isSend": 1,
            "senderUsername": "wxid_me",
            "senderDisplayName": "Cem",
        },
    ],
}
CHATLOG_JSON = [
    {
        "seq": 1704485400000,
        "time": "2024-01-05T20:10:00+08:00",
        "talker": "123@chatroom",
        "talkerName": "同学",
        "isChatRoom": True,
        "sender": "wxid_ann",
        "senderName": "Ann L.",
        "isSelf": False,
        "type": 1,
        "subType": 0,
        "content": "在吗",
    },
    {
        "seq": 1704485460000,
        "time": "2024-01-05T20:11:00+08:00",
        "talker": "123@chatroom",
        "sender": "wxid_me",
        "senderName": "Cem",
        "isSelf": True,
        "type": 47,
        "subType": 0,
        "content": "",
        "contents": {"cdnurl": "x"},
    },
]
CHATLAB = {
    "chatlab": {"version": "0.0.2", "exportedAt": 1704500000},
    "meta": {"name": "Ann L.", "platform": "wechat", "type": "private"},
    "members": [{"platformId": "a", "accountName": "Ann L."}],
    "messages": [
        {
            "sender": "a",
            "accountName": "Ann L.",
            "timestamp": 1704485400,
            "type": 0,
            "content": "在吗",
        },
        {
            "sender": "m",
            "accountName": "Cem",
            "timestamp": 1704485460,
            "type": 5,
            "content": None,
        },
    ],
}
CHATLAB_LINES = "\n".join(
    json.dumps(each)
    for each in (
        {"_type": "header", "chatlab": {"version": "0.0.2"}, "meta": CHATLAB["meta"]},
        {"_type": "member", "platformId": "a", "accountName": "Ann L."},
        *({"_type": "message"} | message for message in CHATLAB["messages"]),  # type: ignore[operator]
    )
)


@pytest.mark.parametrize(
    "text",
    [json.dumps(WEFLOW), json.dumps(CHATLOG_JSON), json.dumps(CHATLAB), CHATLAB_LINES],
    ids=["WeFlow", "chatlog", "ChatLab", "ChatLab lines"],
)
def test_json_of_exporters_is_read(text: str, tmp_path: Path) -> None:
    """Times are in UTC, or have a zone."""
    times, people, sent = zip(*said(imported(tmp_path, text, "chat.json")), strict=True)

    assert {time[:13] for time in times} == {"2024-01-05 20"}
    assert people == ("Ann L.", "Cem")
    assert sent == ("在吗", "<media> sticker")


@pytest.mark.parametrize("value", ["", "soon", "2024-13-45 99:00", "1e999"])
def test_a_row_without_a_time_is_counted(value: str, tmp_path: Path) -> None:
    row = f"9,9,文本,1,wxid_me,wxid_ann,x,,{value}\n"
    result = imported(tmp_path, PYWXDUMP + row, "chat.csv")

    assert len(result.messages) == 3
    assert result.summary.sources[0].unread_lines == (5,)


EXPORTER = """Ann L. - 微信聊天记录

系统消息: 你已添加了Ann
Ann L. (2024-01-05 20:10:00):在吗
第二行
Cem (2024-01-05 20:11:00):[图片]
系统消息: 你撤回了一条消息
Cem (2024-01-05 20:12:00):「Ann L.：在吗」
- - - - - - - - - - - - - - -
在
"""


MAIL = """Dear:

Ann L. 和 Cem 在微信上的聊天记录如下，请查收。

—————  2024-01-05  —————


Ann L.  20:10

在吗

第二行

Cem  20:11

[图片: 9f52ff67d7d0.jpg(请在附件中查看)]

—————  2024-01-6  —————

Cem  08:00

[旺柴]
"""


def test_the_mail_that_wechat_writes_is_read(tmp_path: Path) -> None:
    result = imported(tmp_path, MAIL)

    assert said(result) == [
        ("2024-01-05 20:10", "Ann L.", "在吗\n\n第二行"),
        ("2024-01-05 20:11", "Cem", "<media> 9f52ff67d7d0.jpg"),
        ("2024-01-06 08:00", "Cem", "[旺柴]"),
    ]
    assert result.summary.sources[0].unread_lines == ()


def test_the_text_of_wechat_exporter_is_read(tmp_path: Path) -> None:
    """A quoted message is not the words of the one who quotes."""
    assert said(imported(tmp_path, EXPORTER)) == [
        ("2024-01-05 20:10", "Ann L.", "在吗\n第二行"),
        ("2024-01-05 20:11", "Cem", "<media> image"),
        ("2024-01-05 20:11", None, "<system> 你撤回了一条消息"),
        ("2024-01-05 20:12", "Cem", "在"),
    ]
