"""`pytok chat build` and `pytok chat export`: a history to what models learn from."""

import warnings
from collections import Counter

import click

from pytok.chat.conversations import Division, conversations, sessions, told
from pytok.chat.exporting import FORMATS, export
from pytok.chat.jsonl import write_lines
from pytok.chat.record import Message
from pytok.chat.speakers import find_speaker, speakers_of
from pytok.commands.chat_options import division_options, history_options
from pytok.counted import counted
from pytok.encodings import open_tokenizer
from pytok.errors import ChatError
from pytok.terminal import Bars, say

_TOKENIZER = "A tokenizer.json, a .tiktoken file, a folder, or an encoding's name. "


@click.command()
@history_options
@click.option("-o", "--out", type=click.Path(), required=True, help="The folder to write.")
@click.option(
    "--me",
    metavar="NAME",
    help="Whose turns a model is to learn: a name, or how only one begins.  [default: everybody's]",
)
@click.option(
    "--vocab",
    type=click.IntRange(256),
    help="How many ids the tokenizer has that is trained on the chat.  [default: by its length]",
)
@click.option(
    "-t",
    "--tokenizer",
    "name",
    metavar="TOKENIZER",
    help=_TOKENIZER + "It gets the special tokens of the chat.  [default: train one]",
)
@click.option(
    "--val",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="The share of the conversations, the last ones, to hold out for validation.",
)
@division_options
@click.option("--overwrite", is_flag=True, help="Replace the folder if it is there.")
def build(
    messages: list[Message],
    out: str,
    me: str | None,
    vocab: int | None,
    name: str | None,
    val: float,
    division: Division,
    overwrite: bool,
) -> None:
    """Divide a history into conversations for `gpt train` and `gpt tune`.

    HISTORY is what `pytok chat import` wrote. A conversation ends where nobody says anything for
    an hour (--gap); the last tenth of them is held out (--val), so that what a model is measured
    on comes after all that it has learnt. A tokenizer is trained on the rest, or yours is used
    (-t).

    \b
    pytok chat build chat.jsonl -o data/ --me Ada
    pytok chat build chat.jsonl -o data/ --me Ada --gap 30m --max-tokens 512
    pytok chat build group.jsonl -o data/ --split count:40 --no-merge

    The folder holds token shards (shards.json, train_*.bin, val_*.bin), tokenizer.json, the
    template of turns (chat.json) and the conversations as text (train.jsonl, val.jsonl).
    """  # noqa: D301 (click wants a backspace)
    from pytok.chat import building  # here, since it loads numpy

    if vocab is not None and name is not None:
        raise click.UsageError("--vocab is for a tokenizer that is trained: leave it or -t away")
    tokenizer = None if name is None else open_tokenizer(name)
    with Bars() as bars, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        built = building.build(
            messages,
            out,
            me=me,
            division=division,
            val=val,
            vocab=vocab,
            tokenizer=tokenizer,
            overwrite=overwrite,
            progress=bars.update,
        )
    for warning in said:
        say(str(warning.message))
    speakers = len(built.template.speakers)
    say(
        f"{out}: {counted(len(messages), 'message')}, {counted(speakers, 'speaker')}, "
        f"a vocabulary of {built.shards.vocab_size:,} ids"
        + (" trained on the training part" if name is None else "")
    )
    for kind, part in built.shards.splits.items():
        say(
            f"{out}: {kind}: {counted(part.documents, 'conversation')}, "
            f"{counted(built.turns[kind], 'turn')}, {counted(part.tokens, 'token')} of "
            f"{counted(part.bytes, 'byte')}"
        )
    _say_left_out(out, built.left_out)


@click.command(name="export")
@history_options
@click.option(
    "--to", type=click.Choice(list(FORMATS)), required=True, help="Whose format to write."
)
@click.option("-o", "--out", type=click.Path(), required=True, help="The .jsonl file to write.")
@click.option(
    "--me",
    metavar="NAME",
    required=True,
    help="Whose turns are the assistant's: a name, or how only one begins.",
)
@click.option(
    "-t",
    "--tokenizer",
    "name",
    metavar="TOKENIZER",
    help=_TOKENIZER + "--max-tokens is counted with it.",
)
@division_options
def export_conversations(
    messages: list[Message],
    to: str,
    out: str,
    me: str,
    name: str | None,
    division: Division,
) -> None:
    """Write the conversations of a history for other trainers.

    \b
    sharegpt   {"conversations": [{"from": "human" or "gpt", "value": ...}]}
    openai     {"messages": [{"role": "user" or "assistant", "content": ...}]}

    HISTORY is what `pytok chat import` wrote. Your turns (--me) are the assistant's. In a group,
    the others' names stand before what they say. A conversation ends with your last turn, since
    nothing is learnt from what follows.
    """  # noqa: D301 (click wants a backspace)
    who = find_speaker(me, speakers_of(messages))
    found, left_out = sessions(messages, division)
    talks = conversations(found, division, None if name is None else open_tokenizer(name), left_out)
    exported, after = export(talks, who, to)
    if not exported:
        raise ChatError(f"{who!r} says nothing in the conversations that are left; choose another")
    write_lines(out, exported)
    say(
        f"{out}: {len(exported):,} of {counted(len(talks), 'conversation')}; {who!r} is the "
        "assistant"
    )
    if after:
        say(f"{out}: left out: {counted(after, 'turn')} that {who!r} does not answer")
    _say_left_out(out, left_out)


def _say_left_out(out: str, left_out: Counter[str]) -> None:
    if left_out.keys() - {"cut turns"}:
        say(f"{out}: left out: {told(left_out)}")
    if cut := left_out["cut turns"]:
        say(f"{out}: {counted(cut, 'turn')} longer than --max-tokens became several each")
