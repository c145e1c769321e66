"""Construction of a training data folder from a history, for `pytok chat build`.

The folder holds token shards (`pytok.shards`), one document per conversation, the chat template
(chat.json), and the conversations as text (train.jsonl, val.jsonl) for models that have another
tokenizer.
"""

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytok import shards
from pytok.chat.conversations import (
    ConversationOptions,
    Session,
    describe_omitted,
    hold_out,
    make_conversations,
    split_into_sessions,
)
from pytok.chat.explaining import why_no_conversation, why_no_turns
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
class BuildResult:
    """Result of `build`."""

    shards: shards.Shards
    template: Template
    turns: dict[str, int]
    """Number of turns of each split."""
    omitted: Counter[str]
    """Counts of omitted messages and turns; see `split_into_sessions` and `make_conversations`."""


def build(
    messages: Sequence[Message],
    folder: str | os.PathLike[str],
    *,
    me: str | None = None,
    options: ConversationOptions | None = None,
    val: float = 0.1,
    vocab: int | None = None,
    tokenizer: Tokenizer | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> BuildResult:
    """Divide *messages* into conversations and write them to the new folder *folder*.

    *me* is the speaker to train on, resolved by `find_speaker`. The last conversations, a fraction
    *val* of all, are held out. *tokenizer* is extended by the special tokens of the template; if it
    is None, a vocabulary of *vocab* ids (by default `default_vocab_size`) is trained on the
    training split. The folder is written completely or not at all; *overwrite* replaces an existing
    one.

    Raises ChatError if no conversation is left, or if *me* is unknown or has no turns; ShardError
    if the folder exists or cannot be written; and the errors of `pytok.train`.
    """
    if vocab is not None and tokenizer is not None:
        raise ChatError("vocab sizes a new tokenizer: give either vocab or tokenizer")
    options = options or ConversationOptions()
    me = None if me is None else find_speaker(me, speakers_of(messages))
    sessions, omitted = split_into_sessions(messages, options)
    if not sessions:
        raise ChatError(why_no_conversation(messages, options))
    split = hold_out(sessions, val)
    speakers = _speakers_by_turns(sessions, me)
    if me is not None and me not in speakers:
        raise ChatError(why_no_turns(me, messages, options))
    template = Template(tuple(speakers), me)
    if tokenizer is None:
        tokenizer = _train_tokenizer(split.train, template, vocab, progress)
    tokenizer = template.extend(tokenizer)
    splits = {"train": make_conversations(split.train, options, tokenizer, omitted)}
    if val:
        splits["val"] = make_conversations(split.val, options, tokenizer, omitted)
    for name, conversations in splits.items():
        if not conversations:
            raise ChatError(
                f"no conversation is left for the {name} split (left out: "
                f"{describe_omitted(omitted)}); raise --max-tokens or lower --min-turns"
            )
    with shards.writing(folder, tokenizer, splits, overwrite=overwrite, private=True) as writer:
        for name, conversations in splits.items():
            for conversation in conversations:
                ids = template.render(conversation, tokenizer, train_on="all").ids
                # The writer starts each document with <|endoftext|> itself.
                writer.append(name, ids[1:], _text_bytes(conversation), ends_document=True)
            writer.flush()
            write_conversations(writer.folder / f"{name}.jsonl", conversations)
        template.save(writer.folder / TEMPLATE_FILE)
    turns = {
        name: sum(len(conversation.turns) for conversation in conversations)
        for name, conversations in splits.items()
    }
    return BuildResult(shards.open_shards(folder), template, turns, omitted)


def default_vocab_size(text_bytes: int) -> int:
    """Return the number of ids to train on *text_bytes* bytes of text, without special tokens.

    This is a power of two from 512 to 16,384, with 256 to 512 bytes of text per id where the range
    allows, so that most tokens occur often enough for a small model to learn them.
    """
    return 1 << min(max((text_bytes >> 8).bit_length() - 1, 9), 14)


def _speakers_by_turns(sessions: Iterable[Session], me: str | None) -> list[str]:
    """List the speakers of *sessions*: *me* first, then by number of turns, then by name."""
    counts = Counter(turn.speaker for session in sessions for turn in session.turns)
    return sorted(counts, key=lambda speaker: (speaker != me, -counts[speaker], speaker))


def _train_tokenizer(
    sessions: Sequence[Session], template: Template, vocab: int | None, progress: Progress | None
) -> Tokenizer:
    """Train a tokenizer on the text of *sessions* alone."""
    texts = [turn.text for session in sessions for turn in session.turns]
    special = (END_OF_TEXT, *template.special_tokens)
    if vocab is not None:
        return train(texts, vocab, special_tokens=special, name="chat", progress=progress)
    vocab = default_vocab_size(sum(len(text.encode()) for text in texts)) + len(special)
    with warnings.catch_warnings():  # a smaller vocabulary is fine: the user gave no size
        warnings.simplefilter("ignore", UserWarning)
        return train(texts, vocab, special_tokens=special, name="chat", progress=progress)


def _text_bytes(conversation: Conversation) -> int:
    texts = (turn.text for turn in conversation.turns)
    return sum(len(text.encode()) for text in (conversation.system or "", *texts))
