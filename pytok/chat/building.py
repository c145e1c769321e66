"""A history to the folder that models learn from: `pytok chat build`.

The folder is one of token shards (`pytok.shards`), each document a conversation, and beside them
the template (chat.json) and the conversations as text (train.jsonl, val.jsonl), for models with a
tokenizer of their own.
"""

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytok import shards
from pytok.chat.conversations import Division, Session, conversations, hold_out, sessions, told
from pytok.chat.record import Message
from pytok.chat.speakers import find_speaker, speakers_of
from pytok.chat.template import (
    TEMPLATE_FILE,
    Conversation,
    Template,
    write_conversations,
)
from pytok.definition import END_OF_TEXT
from pytok.errors import ChatError
from pytok.tokenizer import Tokenizer
from pytok.training import Progress, train


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """What `build` wrote."""

    shards: shards.Shards
    template: Template
    turns: dict[str, int]
    """Of each split."""
    left_out: Counter[str]
    """What the conversations do not hold; see `sessions` and `conversations`."""


def build(
    messages: Sequence[Message],
    folder: str | os.PathLike[str],
    *,
    me: str | None = None,
    division: Division | None = None,
    val: float = 0.1,
    vocab: int | None = None,
    tokenizer: Tokenizer | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Built:
    """Divide *messages* into conversations, and write them as the new folder *folder*.

    *me* is whose turns a model is to learn, as `find_speaker` understands it. The last of the
    conversations, the share *val*, are held out. *tokenizer* gets the special tokens that it lacks;
    without one, a vocabulary of *vocab* ids (`usual_vocab` if ``None``) is trained on what is not
    held out. The folder appears whole or not at all; *overwrite* replaces one that is there.

    Raises ChatError where no conversation is left, or *me* is nobody or says nothing; ShardError
    for a folder that may not or cannot be written; what `pytok.train` raises.
    """
    if vocab is not None and tokenizer is not None:
        raise ChatError("vocab is for a tokenizer that is trained, and one is given: say one")
    division = division or Division()
    who = None if me is None else find_speaker(me, speakers_of(messages))
    found, left_out = sessions(messages, division)
    if not found:
        raise ChatError(f"no conversation is left: {told(left_out)}")
    held = hold_out(found, val)
    template = Template(tuple(_by_turns(found, who)), who)
    if tokenizer is None:
        tokenizer = _trained(held.train, template, vocab, progress)
    tokenizer = template.extend(tokenizer)
    parts = {"train": conversations(held.train, division, tokenizer, left_out)}
    if val:
        parts["val"] = conversations(held.val, division, tokenizer, left_out)
    for name, part in parts.items():
        if not part:
            raise ChatError(f"no conversation is left for {name}: {told(left_out)}")
    with shards.writing(folder, tokenizer, parts, overwrite=overwrite) as writer:
        for name, part in parts.items():
            for each in part:
                ids = template.render(each, tokenizer, train_on="all").ids
                # The folder begins each document with <|endoftext|> itself.
                writer.append(name, ids[1:], _text_bytes(each), ends_document=True)
            writer.flush()
            write_conversations(writer.folder / f"{name}.jsonl", part)
        template.save(writer.folder / TEMPLATE_FILE)
    turns = {name: sum(len(each.turns) for each in part) for name, part in parts.items()}
    return Built(shards.open_shards(folder), template, turns, left_out)


def usual_vocab(text_bytes: int) -> int:
    """Ids for a tokenizer trained on so much text, special tokens not counted.

    The power of two that leaves 256 to 512 bytes of text to each, so that most tokens are seen
    often enough for a small model to learn them; 512 to 16,384.
    """
    return 1 << min(max((text_bytes >> 8).bit_length() - 1, 9), 14)


def _by_turns(found: Iterable[Session], me: str | None) -> list[str]:
    """Who speaks in *found*: *me* first, then by how often, then by name."""
    counts = Counter(turn.speaker for session in found for turn in session.turns)
    if me is not None and me not in counts:
        raise ChatError(f"{me!r} says nothing in the conversations that are left; choose another")
    return sorted(counts, key=lambda speaker: (speaker != me, -counts[speaker], speaker))


def _trained(
    found: Sequence[Session], template: Template, vocab: int | None, progress: Progress | None
) -> Tokenizer:
    """A tokenizer that has seen nothing but *found*."""
    texts = [turn.text for session in found for turn in session.turns]
    special = (END_OF_TEXT, *template.special_tokens)
    if vocab is not None:
        return train(texts, vocab, special_tokens=special, name="chat", progress=progress)
    vocab = usual_vocab(sum(len(text.encode()) for text in texts)) + len(special)
    with warnings.catch_warnings():  # that there are fewer: nobody asked for so many
        warnings.simplefilter("ignore", UserWarning)
        return train(texts, vocab, special_tokens=special, name="chat", progress=progress)


def _text_bytes(conversation: Conversation) -> int:
    said = (turn.text for turn in conversation.turns)
    return sum(len(text.encode()) for text in (conversation.system or "", *said))
