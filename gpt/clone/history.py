"""The history of a clone, and the people in it, whom a model can imitate; torch is not imported."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from gpt.clone.options import CloneOptions
from gpt.clone.record import HISTORY, check_record, write_record
from gpt.runs.sealed_folder import digest
from pytok.chat.importing import import_chats
from pytok.chat.record import Message, read_history, write_history
from pytok.chat.speakers import listed, matching_speakers, speakers_of
from pytok.errors import ChatError
from pytok.terminal import escaped

Say: TypeAlias = Callable[[str], object]
"""Called with each line to print; names in it are not trusted."""


def list_people(options: CloneOptions, say: Say) -> None:
    """Import the history, list its senders, and raise ChatError: somebody must be chosen."""
    import_history(options, say)
    resolve_me(None, list(read_history(options.out / HISTORY)), say)


def import_history(options: CloneOptions, say: Say) -> bool:
    """Import the exports into one history, and say what they contain.

    Returns whether there was anything to do.
    """
    recorded = ("date_order", "timezone", "encoding", "chat", "respect_deletions")
    fields = {name: getattr(options.import_options, name) or None for name in recorded}
    fields["exports"] = ", ".join(f"{path.name} ({_digest(path)})" for path in options.exports)
    if (options.out / HISTORY).exists():
        check_record(options.out, HISTORY, fields)
        return False
    write_record(options.out, HISTORY, fields)
    imported = import_chats(options.exports, options.import_options)
    write_history(options.out / HISTORY, imported.messages)
    for warning in imported.summary.warnings:
        say(f"warning: {warning}")
    for name, value in imported.summary.rows().items():
        say(f"{name}: {value}")
    return True


def _digest(export: Path) -> str:
    """Return a digest of *export*: of a file by its content, of a folder by the files in it."""
    if not export.is_dir():
        return digest(export)[:16]
    files = sorted(path for path in export.rglob("*") if path.is_file())
    listed = [(path.relative_to(export).as_posix(), path.stat().st_size) for path in files]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:16]


def resolve_me(name: str | None, messages: Sequence[Message], say: Say) -> str:
    """Return the sender that *name* identifies; otherwise list all senders and raise ChatError."""
    speakers = speakers_of(messages)
    found = [] if name is None else matching_speakers(name, speakers)
    if len(found) == 1:
        return found[0]
    counts = Counter(
        speakers[message.sender]
        for message in messages
        if message.sender is not None and message.kind != "system"
    )
    ranked = [(count, speaker) for speaker, count in counts.most_common()]
    say("messages by sender:")
    for count, speaker in ranked:
        say(f"{count:>9,}  {speaker}")
    problem = "whom is the model to imitate?"
    if found:
        problem = f"{name!r} can be {listed(map(repr, found))}."
    elif name is not None:
        problem = f"nobody in this chat is called {name!r}."
    example = f", as in --me {escaped(shlex.quote(ranked[0][1]))}" if ranked else ""
    raise ChatError(f"{problem} Repeat the command with one of the names above{example}")
