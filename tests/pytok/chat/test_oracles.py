"""Comparison with other readers of WhatsApp texts, if they are installed.

Only formats that they support and ordinary messages are compared: they do not distinguish edited
messages or pictures from text.
"""

from pathlib import Path

import pytest

from pytok.chat.example import example_chat
from pytok.chat.importing import ImportOptions, import_chats
from tests.pytok.chat.exports import EXPORTS

CHAT = [m for m in example_chat(500, authors=3, seed=3) if m.kind == "text" and not m.edited]
KNOWN_TO_WHATSTK = ("android en_GB", "android nl", "android tr", "iphone en_GB", "iphone, LF")


@pytest.mark.parametrize("name", KNOWN_TO_WHATSTK)
def test_whatstk_reads_the_same(name: str, tmp_path: Path) -> None:
    whatstk = pytest.importorskip("whatstk")
    export = next(each for each in EXPORTS if each.name == name)
    path = tmp_path / "chat.txt"
    path.write_bytes(export.write(CHAT).replace(b"\r\n", b"\n"))

    ours = import_chats([path], ImportOptions()).messages
    theirs = whatstk.WhatsAppChat.from_source(str(path)).df

    assert [(m.time, m.sender, m.text) for m in ours] == [
        (row.date.to_pydatetime(), row.username, row.message) for row in theirs.itertuples()
    ]
