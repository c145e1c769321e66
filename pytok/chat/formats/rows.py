"""Chats as rows of named values, in CSV or JSON, as exporters of WeChat and QQ write them.

`LAYOUTS` says which columns an exporter writes; the first one whose required columns are present
reads the rows. Sources: the documentation and code of MemoTrace, PyWxDump, chatlog, WeFlow,
EchoTrace and ChatLab.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

from pytok.chat.formats.times import read_time
from pytok.chat.record import Kind, Message
from pytok.chat.source import Chat, Source
from pytok.errors import ChatError

Meanings: TypeAlias = Mapping[str, tuple[Kind, str | None]]
"""Types of messages as written, and the kind and the type of media of each."""

OWNER = "me"
"""Sender of the messages of the account's owner, if the exporter does not name the owner."""


def _meanings(kinds: Mapping[tuple[Kind, str | None], str]) -> Meanings:
    return {word: kind for kind, words in kinds.items() for word in words.split()}


_WECHAT = _meanings(
    {
        ("text", None): "1 文本 文本消息 引用回复 引用消息 粘贴的文本 text quote",
        ("media", "image"): "3 图片 图片消息 image",
        ("media", "audio"): "34 语音 语音消息 voice",
        ("media", "video"): "43 62 视频 视频消息 video",
        ("media", "sticker"): "47 动画表情 用户上传的GIF表情 表情包 sticker sticker2",
        ("media", "contact"): "42 名片 名片消息 推荐公众号",
        ("media", "file"): "文件 文件消息 file",
        (
            "media",
            "link",
        ): "49 卡片式链接 图文消息 小程序分享 (分享)音乐 (分享)卡片式链接 (分享)笔记 "
        "(分享)小程序 (分享)收藏夹 (分享)视频号名片 (分享)视频号视频 视频号直播卡片",
        ("media", "forwarded"): "合并转发的聊天记录 聊天记录合并转发",
        ("media", "transfer"): "红包 转账 红包卡片 转账卡片",
        ("location", None): "48 位置 位置消息 位置共享 location",
        ("call", None): "50 语音通话 视频通话 音视频通话",
        ("system", None): "10000 10002 系统通知 系统消息 消息撤回 拍一拍 群公告 邀请加群 添加好友",
    }
)
"""Types of WeChat: its own numbers, and the words that exporters write for them."""

_CHATLAB = _meanings(
    {
        ("text", None): "0 25",
        ("media", "image"): "1",
        ("media", "audio"): "2",
        ("media", "video"): "3",
        ("media", "file"): "4",
        ("media", "sticker"): "5",
        ("media", "link"): "7 24",
        ("media", "transfer"): "20 21",
        ("media", "forwarded"): "26",
        ("media", "contact"): "27",
        ("location", None): "8",
        ("call", None): "23",
        ("system", None): "22 80",
        ("deleted", None): "81",
    }
)


class Layout(NamedTuple):
    """The columns of one exporter; of several names the first with a value is used."""

    exporter: str
    required: frozenset[str]
    time: str
    sender: tuple[str, ...]
    name: tuple[str, ...]
    text: tuple[str, ...]
    type: str
    meanings: Meanings
    own: str = ""
    """Whether the owner of the account sent the message."""
    chat: tuple[str, ...] = ()
    id: str = ""
    reply_to: str = ""
    file: str = ""


LAYOUTS = (
    Layout(
        exporter="WeChat (MemoTrace)",
        required=frozenset(("localId", "TalkerId", "IsSender", "CreateTime", "StrContent")),
        time="CreateTime",
        sender=("Sender",),
        name=("Remark", "NickName"),
        text=("StrContent",),
        type="Type",
        meanings=_WECHAT,
        own="IsSender",
        chat=("TalkerId",),
        id="localId",
    ),
    Layout(
        exporter="WeChat (MemoTrace)",
        required=frozenset(("类型", "发送人", "时间", "内容")),
        time="时间",
        sender=("发送人",),
        name=("备注", "昵称"),
        text=("内容",),
        type="类型",
        meanings=_WECHAT,
        id="消息ID",
    ),
    Layout(
        exporter="WeChat (PyWxDump)",
        required=frozenset(("type_name", "is_sender", "talker", "CreateTime")),
        time="CreateTime",
        sender=("talker",),
        name=(),
        text=("msg", "content"),
        type="type_name",
        meanings=_WECHAT,
        own="is_sender",
        chat=("room_name",),
        id="MsgSvrID",
        file="src",
    ),
    Layout(
        exporter="WeChat (chatlog)",
        required=frozenset(("seq", "time", "talker", "sender", "isSelf", "type", "content")),
        time="time",
        sender=("sender",),
        name=("senderName",),
        text=("content",),
        type="type",
        meanings=_WECHAT,
        own="isSelf",
        chat=("talkerName", "talker"),
        id="seq",
    ),
    Layout(
        exporter="WeChat (chatlog)",
        required=frozenset(("Time", "SenderName", "Sender", "Talker", "Content")),
        time="Time",
        sender=("Sender",),
        name=("SenderName",),
        text=("Content",),
        type="Type",
        meanings=_WECHAT,
        chat=("TalkerName", "Talker"),
    ),
    Layout(
        exporter="WeChat (chatlog-keeper)",
        required=frozenset(("ts", "conversation_id", "sender_wxid", "is_self", "content")),
        time="ts",
        sender=("sender_wxid",),
        name=("sender_name", "sender"),
        text=("content",),
        type="msg_type",
        meanings=_WECHAT,
        own="is_self",
        chat=("conversation_name", "conversation_id"),
    ),
    Layout(
        exporter="WeChat (WeFlow, EchoTrace)",
        required=frozenset(("createTime", "senderUsername", "content")),
        time="createTime",
        sender=("senderUsername",),
        name=("senderDisplayName",),
        text=("content",),
        type="type",
        meanings=_WECHAT,
        own="isSend",
        id="localId",
    ),
    Layout(
        exporter="ChatLab",
        required=frozenset(("sender", "accountName", "timestamp", "type", "content")),
        time="timestamp",
        sender=("sender",),
        name=("groupNickname", "accountName"),
        text=("content",),
        type="type",
        meanings=_CHATLAB,
        id="platformMessageId",
        reply_to="replyToMessageId",
    ),
)
"""All layouts that are known."""


def find_layout(columns: Collection[str]) -> Layout | None:
    """Return the layout of rows with *columns*, or None."""
    return next((each for each in LAYOUTS if each.required.issubset(columns)), None)


def read_rows(
    layout: Layout, rows: Iterable[tuple[int, Mapping[str, Any]]], name: str, title: str = ""
) -> Source:
    """Read *rows*, pairs of a number and values by column, of the file *name*.

    *title* is the name of the chat, if the rows do not name theirs. Raises ChatError, with the
    reason for the first row, if none can be read.
    """
    messages: list[Message] = []
    unread: list[int] = []
    reason = "no rows"
    for number, row in rows:
        try:
            messages.append(_message(layout, row, name, number))
        except ValueError as error:
            reason = reason if unread else f"row {number}: {error}"
            unread.append(number)
    if not messages:
        raise ChatError(f"{name}: a table of {layout.exporter} without a message ({reason})")
    counts = Counter(message.chat or title for message in messages)
    if len(counts) == 1:
        messages = [replace(message, chat=None) for message in messages]
    return Source(
        name=name,
        format=layout.exporter,
        messages=messages,
        unread=unread,
        chats=[Chat(chat, count) for chat, count in counts.most_common() if chat],
    )


def _message(layout: Layout, row: Mapping[str, Any], source: str, number: int) -> Message:
    """Return the message of *row*. Raises ValueError with the column of an invalid value."""
    try:
        time = read_time(row.get(layout.time))
    except ValueError as error:
        raise ValueError(f"{layout.time}: {error}") from None
    mine = _text(row, layout.own).strip().casefold() in ("1", "true")
    sender = _first(row, layout.sender) or (OWNER if mine else "")
    name = _first(row, layout.name)
    chat = _first(row, layout.chat)
    written = _text(row, layout.type).strip()
    text = _words(_first(row, layout.text))
    kind, media = layout.meanings.get(written, ("media", written) if written else ("text", None))
    if kind == "media" and text.strip("[]") in (written, media, ""):
        text = ""
    if kind == "media" and text.startswith("<"):  # the XML that describes a link or a file
        text = ""
    file = _text(row, layout.file).replace("\\", "/").rpartition("/")[2]
    has_sender = kind != "system" and bool(sender or name or chat)
    return Message(
        time=time,
        sender=(sender or name or chat) if has_sender else None,
        name=name if has_sender and name and name != sender else None,
        kind=kind,
        text=text,
        media=(file or media) if kind == "media" else None,
        id=_text(row, layout.id) or None,
        reply_to=_text(row, layout.reply_to) or None,
        chat=chat or None,
        source=source,
        line=number,
    )


def _text(row: Mapping[str, Any], column: str) -> str:
    """Return the value of *column*; "" if there is none. Raises ValueError for an object."""
    value = row.get(column) if column else None
    if isinstance(value, (dict, list)):
        raise ValueError(f"{column} is {value!r:.40}, not a string")
    return "" if value is None else str(value)


def _first(row: Mapping[str, Any], columns: Iterable[str]) -> str:
    """Return the first value of *columns* that is not blank."""
    return next((value for column in columns if (value := _text(row, column)).strip()), "")


def _words(text: str) -> str:
    """Return the message in *text*, which older versions of PyWxDump write as a JSON object."""
    if not text.startswith('{"'):
        return text
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return text
    words = fields.get("msg") if isinstance(fields, dict) else None
    return words if isinstance(words, str) else text
