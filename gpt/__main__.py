"""The `gpt` command: its subcommands (`gpt.commands`) and its exit codes.

Exit codes: 0 for success; 1 for a failure, described in one line; 2 for wrong arguments; 130, 143
and 129 for a run that Ctrl-C, SIGTERM or SIGHUP stopped.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

from gpt.errors import ConfigError, GPTError, PeerError
from gpt.parallel.launch import launched
from pytok.commands.help import INPUTS, Group, LazyCommand, version_option
from pytok.distribution import EXTRAS, install
from pytok.errors import abridged
from pytok.terminal import ClosedStdout, failure_of, say
from pytok.termination import exiting_on_signals

COMMANDS = [
    LazyCommand("train", "gpt.commands.train:train", "Train a model on text, or resume a run."),
    LazyCommand(
        "tune", "gpt.commands.tune:tune", "Tune a trained model on conversations or more text."
    ),
    LazyCommand(
        "clone",
        "gpt.commands.clone:clone",
        "Train a model that writes like one person in your chat.",
    ),
    LazyCommand(
        "sample",
        "gpt.commands.sample:sample",
        "Generate text from a trained model; one sample is streamed.",
    ),
    LazyCommand("chat", "gpt.commands.chat:chat", "Chat with a model that was trained on a chat."),
    LazyCommand(
        "eval",
        "gpt.commands.evaluate:evaluate",
        "Measure a model: bits per byte, choices, style, translations.",
    ),
    LazyCommand(
        "classify",
        "gpt.commands.classify:classify",
        "Train and use a classifier of texts, such as spam or ham.",
    ),
    LazyCommand("plot", "gpt.commands.plot:plot", "Plot the loss curves of runs."),
    LazyCommand(
        "report", "gpt.commands.report:report", "Write a run's report.md and loss.png again."
    ),
    LazyCommand(
        "export",
        "gpt.commands.convert:export",
        "Write a trained model for transformers, llama.cpp or peft.",
    ),
    LazyCommand(
        "import",
        "gpt.commands.convert:import_",
        "Import a model of other software as a run.",
    ),
    LazyCommand(
        "average",
        "gpt.commands.convert:average",
        "Average the weights of the last checkpoints of a run.",
    ),
    LazyCommand(
        "show", "gpt.commands.show:show", "Show the parts of a model and draw one of its blocks."
    ),
    LazyCommand(
        "mechanisms",
        "gpt.commands.mechanisms:mechanisms",
        "List the mechanisms that a model can have, with their sources.",
    ),
    LazyCommand(
        "lab", "gpt.commands.lab:lab", "Test claims of papers: experiments with computed verdicts."
    ),
    LazyCommand("prune", "gpt.commands.convert:prune", "Shrink the vocabulary of a model."),
    LazyCommand(
        "convert",
        "gpt.commands.convert:convert",
        "Turn multi-head attention into grouped-query attention.",
    ),
]
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""Variables that say how threads of OpenMP wait for each other; torch's library reads them."""
SPINS = "2000"
"""Rounds for which they wait awake, some 0.1 ms. By default it is so long that threads which wait
for one that another process has displaced displace others in turn: beside two other processes on
two cores a step took 2.5 seconds, now 0.2."""


ALLOCATION = "allocate memory"
"""Words in the RuntimeError of torch when the memory of the machine is not enough."""


@click.group(
    cls=Group,
    commands=COMMANDS,
    examples="""
    gpt train --data corpus.txt
    gpt sample runs/corpus --prompt "The "
    gpt eval runs/corpus
    gpt clone 'WhatsApp Chat with Ada.zip' --me Ada
    """,
    epilog="""
    For completion in bash, add these lines to ~/.bashrc; zsh_source and fish_source are for other
    shells:

    \b
      eval "$(_GPT_COMPLETE=bash_source gpt)"
      eval "$(_PYTOK_COMPLETE=bash_source pytok)"
    """,
)
@version_option
def cli() -> None:
    """Train small GPTs on your own text, sample from them, measure them, export them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with *arguments*, by default those of the process; return the exit code."""
    sys.stdout = sys.stdout or ClosedStdout()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what it cannot encode is written escaped
            stream.reconfigure(errors="backslashreplace")
    given = None if arguments is None else list(arguments)
    if not any(name in os.environ for name in WAITING):
        os.environ["GOMP_SPINCOUNT"] = SPINS  # before torch is imported
    try:
        with exiting_on_signals(), warnings.catch_warnings():
            warnings.showwarning = _warn
            code = _run(given)
        sys.stdout.flush()  # here, since a failure at Python's exit has no message
        return code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except PeerError:  # the process that failed first describes the error
        return 1
    except GPTError as error:
        return _fail(str(error))
    except ImportError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0], "gpt")
        return _fail(f"{error}: {install(extra)}")
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None:
            # It is an error of stdout: close it, or Python would write again and fail at its exit.
            with contextlib.suppress(OSError):
                sys.stdout.close()
            if isinstance(error, BrokenPipeError):  # its reader has closed it, as `head` does
                return 1
        if isinstance(error, RuntimeError) and ALLOCATION in str(error):
            error = MemoryError()
        return _fail(failure_of(error, getattr(error, INPUTS, ())))


def _run(given: list[str] | None) -> int:
    """Parse the arguments and run the command; return the exit code."""
    try:
        return int(cli.main(given, prog_name="gpt", standalone_mode=False, obj=given) or 0)
    except ConfigError as error:
        from gpt.commands.settings import OptionsError  # here, since `gpt --help` needs no recipe

        if isinstance(error, OptionsError):
            return _misused(f"gpt: {error}")
        raise
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        return _misused(shown.getvalue().rstrip())


def _warn(message: Warning | str, *where: Any, **more: Any) -> None:
    """Print a warning without the line of the source that gives it, which means nothing here."""
    say(f"gpt: warning: {abridged(str(message))}")


def _fail(message: str) -> int:
    say(f"gpt: {message}")
    return 1


def _misused(message: str) -> int:
    """Print *message*, the error in the arguments, in one of the run's processes; 2 in each."""
    if launched() > 1:
        from gpt.parallel.world import World

        try:
            with World.join("cpu"):
                raise ConfigError(message)
        except PeerError:
            return 2
        except ConfigError:  # in the process that failed first
            pass
    print(message, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
