"""The `gpt` command: its subcommands (`gpt.commands`), and how each of them ends.

Exit codes: 0; 1, with one line that says what failed and what to do; 2 for usage; 130 and 143 for a
run that Ctrl-C or SIGTERM stopped.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr
from typing import Annotated, Any, Union

try:
    import tyro
except ImportError:
    sys.exit("gpt: PyTorch and what else it needs is not installed: pip install 'pytok[gpt]'")

from gpt.commands.chat import Chat
from gpt.commands.clone import Clone
from gpt.commands.convert import Export, Import
from gpt.commands.evaluate import Evaluate
from gpt.commands.plot import Plot
from gpt.commands.report import Report
from gpt.commands.sample import Sample
from gpt.commands.train import Train, train_defaults
from gpt.commands.tune import Tune
from gpt.errors import ConfigError, GPTError, PeerError
from gpt.parallel.launch import launched
from pytok.errors import PytokError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command of *arguments* (else of the process); return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what it cannot show, it shows escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(given)
    except PeerError:  # the other process tells
        return 1
    except (GPTError, PytokError) as error:
        message = error.message if isinstance(error, PytokError) else str(error)
        print(f"gpt: {message}", file=sys.stderr)
        return 1
    except ImportError as error:
        extras = {"gguf": "gguf", "tensorboard": "tensorboard", "sklearn": "style"}
        extra = extras.get(error.name or "", "gpt")
        print(f"gpt: {error}: pip install 'pytok[{extra}]'", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of stdout left, as `head` does. Python would complain once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"gpt: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(given: Sequence[str]) -> int:
    """Parse *given*, for which `gpt train` may have data to prepare, and run the command."""
    several, told = launched() > 1, io.StringIO()
    try:
        commands = _commands(train_defaults(given))
        with redirect_stderr(told) if several else nullcontext():
            command: Any = tyro.cli(
                commands,
                prog="gpt",
                description="Train a GPT on text or tokens, write with it, measure it, pass it on.",
                args=given,
            )
    except ConfigError as error:
        return _misused(f"gpt: {error}")
    except SystemExit as ended:
        if several and ended.code:
            return _misused(told.getvalue().rstrip())
        raise
    return int(command())


def _misused(words: str) -> int:
    """Print *words*, what is wrong with the arguments, in one of the processes; 2 in each."""
    if launched() > 1:
        from gpt.parallel.world import World

        try:
            with World.join("cpu"):
                raise ConfigError(words)
        except PeerError:
            return 2
        except ConfigError:  # the first to fail, and so the one that tells
            pass
    print(words, file=sys.stderr)
    return 2


def _commands(train: Train) -> Any:
    """Build the union that tyro makes subcommands of; *train* holds that one's defaults."""
    return Union[  # noqa: UP007 (Annotated has no | in Python 3.10)
        Annotated[Train, tyro.conf.subcommand("train", default=train)],
        Annotated[Tune, tyro.conf.subcommand("tune")],
        Annotated[Clone, tyro.conf.subcommand("clone")],
        Annotated[Sample, tyro.conf.subcommand("sample")],
        Annotated[Chat, tyro.conf.subcommand("chat")],
        Annotated[Evaluate, tyro.conf.subcommand("eval")],
        Annotated[Plot, tyro.conf.subcommand("plot")],
        Annotated[Report, tyro.conf.subcommand("report")],
        Annotated[Export, tyro.conf.subcommand("export")],
        Annotated[Import, tyro.conf.subcommand("import")],
    ]


if __name__ == "__main__":
    sys.exit(main())
