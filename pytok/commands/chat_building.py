"""`pytok chat build` and `pytok chat export`: a history to training data."""

import shlex
import warnings
from collections import Counter

import click

from pytok.chat.conversations import (
    ConversationOptions,
    describe_omitted,
    make_conversations,
    split_into_sessions,
)
from pytok.chat.explaining import why_no_conversation, why_no_turns
from pytok.chat.exporting import FORMATS, export
from pytok.chat.jsonl import write_lines
from pytok.chat.record import Message
from pytok.chat.speakers import find_speaker, speakers_of
from pytok.commands.chat_options import conversation_options, history_options
from pytok.commands.help import Command, option
from pytok.commands.options import saying_warnings
from pytok.commands.paths import Input, Output
from pytok.counted import counted
from pytok.encodings import open_tokenizer
from pytok.errors import ChatError
from pytok.terminal import Bars, say

_TOKENIZER = "A tokenizer.json, a .tiktoken file, a folder, or the name of an encoding"


@click.command(
    cls=Command,
    examples="""
    pytok chat build chat.jsonl -o data/ --me Ada
    pytok chat build chat.jsonl -o data/ --me Ada --gap 30m --max-tokens 512
    pytok chat build group.jsonl -o data/ --split count:40 --no-merge
    """,
)
@history_options
@option("-o", "--out", type=Output(), required=True, help="Folder to write.")
@option(
    "--me",
    metavar="NAME",
    show_default="all speakers",
    help="Whom a model is to imitate: a name in the chat, or its beginning.",
)
@option(
    "--vocab",
    type=click.IntRange(256),
    metavar="N",
    show_default="depends on the length of the chat",
    help="Vocabulary size of a new tokenizer.",
)
@option(
    "-t",
    "--tokenizer",
    "name",
    type=Input(),
    metavar="TOKENIZER",
    show_default="train a new one",
    help=_TOKENIZER + ". The special tokens of the chat are added.",
)
@option(
    "--val",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="FRACTION",
    default=0.1,
    help="Fraction of the conversations, from the end, to hold out for validation.",
)
@conversation_options
@option("--overwrite", is_flag=True, help="Replace an existing folder.")
def build(
    messages: list[Message],
    out: str,
    me: str | None,
    vocab: int | None,
    name: str | None,
    val: float,
    options: ConversationOptions,
    overwrite: bool,
) -> None:
    """Build training data for `gpt train` and `gpt tune`.

    HISTORY is the output of `pytok chat import`. It is divided into conversations, which end when
    nobody writes for an hour (--gap). The last tenth is held out for validation (--val). A new
    tokenizer is trained on the rest, unless one is given (-t).

    The folder contains token shards (shards.json, train_*.bin, val_*.bin), tokenizer.json, the chat
    template (chat.json), and the conversations as text (train.jsonl, val.jsonl).
    """
    from pytok.chat import building  # here, since it loads numpy

    if vocab is not None and name is not None:
        raise click.UsageError("remove --vocab or -t: --vocab applies to a new tokenizer only")
    with saying_warnings():
        tokenizer = None if name is None else open_tokenizer(name)
    with Bars() as bars, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        built = building.build(
            messages,
            out,
            me=me,
            options=options,
            val=val,
            vocab=vocab,
            tokenizer=tokenizer,
            overwrite=overwrite,
            progress=bars.update,
        )
    for warning in caught:
        say(str(warning.message))
    speakers = len(built.template.speakers)
    say(
        f"{out}: {counted(len(messages), 'message')}, {counted(speakers, 'speaker')}, "
        f"a vocabulary of {built.shards.vocab_size:,} ids"
        + (" trained on the training split" if name is None else "")
    )
    for kind, part in built.shards.splits.items():
        say(
            f"{out}: {kind}: {counted(part.documents, 'conversation')}, "
            f"{counted(built.turns[kind], 'turn')}, {counted(part.tokens, 'token')} for "
            f"{counted(part.bytes, 'byte')}"
        )
    _say_omitted(out, built.omitted)
    say(f"next: {shlex.join(['gpt', 'train', '--data', out])}")


@click.command(
    name="export",
    cls=Command,
    examples="""
    pytok chat export chat.jsonl --to sharegpt --me Ada -o ada.jsonl
    pytok chat export chat.jsonl --to openai --me Ada -o ada.jsonl -t gpt2 --max-tokens 1024
    """,
)
@history_options
@option("--to", type=click.Choice(list(FORMATS)), required=True, help="Format to write.")
@option("-o", "--out", type=Output(), required=True, help="The .jsonl file to write.")
@option(
    "--me",
    metavar="NAME",
    required=True,
    help="Whom a model is to imitate, as the assistant: a name in the chat, or its beginning.",
)
@option(
    "-t",
    "--tokenizer",
    "name",
    type=Input(),
    metavar="TOKENIZER",
    help=_TOKENIZER + ", to count --max-tokens.",
)
@conversation_options
def export_conversations(
    messages: list[Message],
    to: str,
    out: str,
    me: str,
    name: str | None,
    options: ConversationOptions,
) -> None:
    """Export conversations for other trainers.

    HISTORY is the output of `pytok chat import`. The turns of --me become the assistant's. In a
    group, the names of the other speakers precede their texts. A conversation begins with somebody
    else and ends with the last turn of --me, and consecutive turns of one role are joined, as the
    chat templates of most models require.

    \b
    Formats:
      sharegpt   {"conversations": [{"from": "human" or "gpt", "value": ...}]}
      openai     {"messages": [{"role": "user" or "assistant", "content": ...}]}
    """  # noqa: D301 (click requires the backslash)
    speaker = find_speaker(me, speakers_of(messages))
    sessions, omitted = split_into_sessions(messages, options)
    with saying_warnings():
        tokenizer = None if name is None else open_tokenizer(name)
    conversations = make_conversations(sessions, options, tokenizer, omitted)
    if not sessions:
        raise ChatError(why_no_conversation(messages, options))
    exported = export(conversations, speaker, to, min_turns=options.min_turns)
    if not exported.conversations:
        if not any(turn.speaker == speaker for each in conversations for turn in each.turns):
            raise ChatError(why_no_turns(speaker, messages, options))
        raise ChatError(
            f"{speaker!r} answers nobody in this chat, so there is nothing to learn from; choose "
            "another person"
        )
    write_lines(out, exported.conversations)
    say(
        f"{out}: {len(exported.conversations):,} of "
        f"{counted(len(conversations), 'conversation')}; {speaker!r} is the assistant"
    )
    for turns, reason in (
        (exported.unanswered, f"that {speaker!r} does not answer"),
        (exported.unasked, f"of {speaker!r} before anybody else writes"),
        (exported.short, f"of conversations with fewer than {options.min_turns} turns"),
    ):
        if turns:
            say(f"{out}: left out: {counted(turns, 'turn')} {reason}")
    _say_omitted(out, omitted)


def _say_omitted(out: str, omitted: Counter[str]) -> None:
    if omitted.keys() - {"cut turns"}:
        say(f"{out}: left out: {describe_omitted(omitted)}")
    if cut := omitted["cut turns"]:
        say(f"{out}: split {counted(cut, 'turn')} longer than --max-tokens")
