"""The `pytok` command: its subcommands (`pytok.commands`), and how each of them ends.

Exit codes: 0; 1 it failed, and one line says what and what to do; 2 the arguments are wrong;
130 Ctrl-C.
"""

import contextlib
import io
import sys
from typing import NoReturn

import click

from pytok.commands.chat import chat
from pytok.commands.coding import count, decode, encode
from pytok.commands.converting import convert, shard
from pytok.commands.showing import show
from pytok.commands.training import count_pieces, train
from pytok.errors import PytokError
from pytok.terminal import say


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytok")
def cli() -> None:
    """Train byte-level BPE tokenizers, and use them.

    \b
    pytok train corpus.txt --vocab 50257 -o tokenizer.json
    pytok show tokenizer.json --text "How is this split?"
    echo "some text" | pytok encode -t tokenizer.json
    pytok shard corpus.txt -t tokenizer.json -o data/
    """  # noqa: D301 (click wants a backspace)


for command in (train, count_pieces, encode, decode, count, show, shard, convert, chat):
    cli.add_command(command)


def _fail(message: str) -> NoReturn:
    say(f"pytok: {message}")
    sys.exit(1)


def main() -> None:
    """Run the command; the entry point."""
    if sys.stdout is None:
        _fail("stdout is closed, and results go there")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what it cannot show, it shows escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        cli.main(standalone_mode=False)
        sys.stdout.flush()  # or Python would do it at the end, and leave with 120 if it cannot
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except (PytokError, ImportError) as error:
        _fail(error.message if isinstance(error, PytokError) else str(error))
    except OSError as error:
        if error.filename is None:
            # It is stdout's own, and Python would write the rest once more at the end, and say so.
            with contextlib.suppress(OSError):
                sys.stdout.close()
        _fail(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "))
    except RuntimeError:
        if sys.stdin is not None:
            raise
        _fail("stdin is closed; name a file instead")
    except MemoryError:
        _fail("out of memory")


if __name__ == "__main__":
    main()
