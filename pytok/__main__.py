"""The `pytok` command: its subcommands (`pytok.commands`) and its exit codes.

Exit codes: 0 for success; 1 for a failure, described in one line; 2 for wrong arguments; 130 for
Ctrl-C; 143 and 129 for SIGTERM and SIGHUP.
"""

import contextlib
import io
import sys
from typing import NoReturn

import click

from pytok.commands.help import INPUTS, Group, LazyCommand, version_option
from pytok.terminal import failure_of, say
from pytok.termination import exiting_on_signals

COMMANDS = [
    LazyCommand("train", "pytok.commands.training:train", "Train a tokenizer on text."),
    LazyCommand(
        "count-pieces",
        "pytok.commands.training:count_pieces",
        "Count pieces of text, to train on many machines.",
    ),
    LazyCommand("encode", "pytok.commands.coding:encode", "Encode a text as token ids."),
    LazyCommand("decode", "pytok.commands.coding:decode", "Decode token ids to text."),
    LazyCommand("count", "pytok.commands.coding:count", "Count tokens, and bytes per token."),
    LazyCommand("show", "pytok.commands.showing:show", "Show a tokenizer and how it splits text."),
    LazyCommand("shard", "pytok.commands.converting:shard", "Write token shards for `gpt train`."),
    LazyCommand(
        "convert", "pytok.commands.converting:convert", "Convert a tokenizer to another format."
    ),
    LazyCommand(
        "prune", "pytok.commands.pruning:prune", "Shrink a vocabulary to what a corpus needs."
    ),
    LazyCommand(
        "chat", "pytok.commands.chat:chat", "Turn a chat export into conversations to train on."
    ),
]


@click.group(
    cls=Group,
    commands=COMMANDS,
    examples="""
    pytok train corpus.txt --vocab 4096
    pytok show tokenizer.json --text "How is this split?"
    echo "some text" | pytok encode -t tokenizer.json
    pytok shard corpus.txt -t tokenizer.json -o data/
    """,
    epilog="""
    For completion in bash, add this line to ~/.bashrc; zsh_source and fish_source are for other
    shells:

    \b
      eval "$(_PYTOK_COMPLETE=bash_source pytok)"
    """,
)
@version_option
def cli() -> None:
    """Train byte-level BPE tokenizers and use them."""


def _fail(message: str) -> NoReturn:
    say(f"pytok: {message}")
    sys.exit(1)


def main() -> None:
    """Run the command line and exit: the entry point."""
    if sys.stdout is None:
        _fail("stdout is closed, and results go there")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # escape characters that it cannot encode
            stream.reconfigure(errors="backslashreplace")
    try:
        with exiting_on_signals():
            cli.main(prog_name="pytok", standalone_mode=False)
        sys.stdout.flush()  # here, since Python exits with 120 if it fails at shutdown
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None:
            # It is an error of stdout: close it, or Python would write again and fail at shutdown.
            with contextlib.suppress(OSError):
                sys.stdout.close()
        if isinstance(error, RuntimeError) and sys.stdin is None:
            _fail("stdin is closed; pass a file instead")
        _fail(failure_of(error, getattr(error, INPUTS, ())))


if __name__ == "__main__":
    main()
