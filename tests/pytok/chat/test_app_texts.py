"""All texts of apps together: none takes another's export, and damage is never a crash."""

import json
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from pytok.chat.example import example_chat
from pytok.chat.formats.app_texts import TEXT_FORMATS
from pytok.errors import ChatError
from tests.pytok.chat import test_imessage as imessage
from tests.pytok.chat import test_kakaotalk as kakaotalk
from tests.pytok.chat import test_line as line
from tests.pytok.chat import test_qq as qq
from tests.pytok.chat import test_wechat as wechat
from tests.pytok.chat.app_exports import imported
from tests.pytok.chat.exports import EXPORTS, Export

EXPORTED = (
    *(kakaotalk.KOREAN_ANDROID, kakaotalk.KOREAN_IPHONE, kakaotalk.KOREAN_WINDOWS),
    *(kakaotalk.KOREAN_MACOS, *kakaotalk.ENGLISH.values()),
    *(line.JAPANESE, line.ENGLISH, qq.MANAGER, qq.EXPORTER, imessage.TEXT),
    *(wechat.MEMOTRACE, wechat.MEMOTRACE_CHAT, wechat.PYWXDUMP, wechat.CHATLOG, wechat.EXPORTER),
    wechat.MAIL,
)
DOCUMENTS = (
    {"chatInfo": {"name": "x"}, "messages": qq.MESSAGES},
    *(wechat.WEFLOW, wechat.CHATLOG_JSON, wechat.CHATLAB),
)
FRAGMENTS = (
    "\0",
    "\n",
    "\r",
    "\t",
    "0000",
    "99",
    "：",
    " : ",
    '"',
    "[",
    "]",
    "\ufeff",
    "12:99",
    "²",
)


@pytest.mark.parametrize("text", EXPORTED)
def test_one_format_recognizes_an_export(text: str) -> None:
    """The last one, the way in for any app, also takes tables of others."""
    assert sum(known.recognizes(text) for known in TEXT_FORMATS[:-1]) == 1


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_no_format_recognizes_whatsapps_text(export: Export) -> None:
    text = export.write(example_chat(50)).decode(export.encoding)

    assert not any(known.recognizes(text) for known in TEXT_FORMATS)


def damaged(data: bytes, random: Random) -> bytes:
    """Change, remove, repeat and insert bytes."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 5)):
        start = random.randrange(len(changed))
        end = start + random.randint(0, 20)
        changed[start:end] = random.choice(
            (
                random.randbytes(1),
                b"",
                bytes(changed[start:end]) * 2,
                random.choice(FRAGMENTS).encode(),
            )
        )
        changed = changed or bytearray(b"x")
    return bytes(changed)


@pytest.mark.parametrize("seed", range(10))
def test_damaged_exports_raise_only_chat_errors(seed: int, tmp_path: Path) -> None:
    """What is read can be written: it has no lone surrogates."""
    random = Random(seed)
    for text in (*EXPORTED, *(json.dumps(each) for each in DOCUMENTS)):
        with suppress(ChatError):
            result = imported(tmp_path, damaged(text.encode(), random), timezone="UTC")
            "".join(message.text + (message.author or "") for message in result.messages).encode()
