"""The history that `gpt clone` imports, without a model."""

from pathlib import Path

import pytest

from gpt.__main__ import main
from pytok.chat.record import read_history

OLDER = "13.01.24, 10:00 - Ada: a secret\n13.01.24, 10:01 - Ben: hi\n"
NEWER = "13.01.24, 10:00 - Ada: This message was deleted\n13.01.24, 10:01 - Ben: hi\n"


@pytest.mark.parametrize(
    ("options", "texts"), [([], ["a secret", "hi"]), (["--respect-deletions"], ["", "hi"])]
)
def test_clone_learns_a_deleted_message_unless_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], texts: list[str]
) -> None:
    """An older export has its text: a warning names the option that omits it."""
    exports = [tmp_path / "older.txt", tmp_path / "newer.txt"]
    for path, text in zip(exports, (OLDER, NEWER), strict=True):
        path.write_text(text)
    out = tmp_path / "clone"

    assert main(["clone", *map(str, exports), "--out", str(out), *options]) == 1

    assert [message.text for message in read_history(out / "chat.jsonl")] == texts
    assert ("--respect-deletions omits it" in capsys.readouterr().err) == (options == [])
