"""Record commands as they run in a terminal: a cast (asciicast 2) with what they print, and when.

    python -m examples.pictures.record [--columns N] OUT.cast 'COMMAND' 'COMMAND' ...

The commands run one after another in the working folder. `terminal.py` draws the cast.
"""

import argparse
import itertools
import json
import os
import pty
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytok.atomic import replace_file

ROWS = 24
PROMPT = "\x1b[1m$ {}\x1b[0m\r\n"
TERMINAL = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the cast; a command that fails ends it with an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columns", type=int, default=72)
    parser.add_argument("out", type=Path)
    parser.add_argument("commands", nargs="+")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    lines = [json.dumps({"version": 2, "width": options.columns, "height": ROWS})]
    for command in options.commands:
        for text in itertools.chain([PROMPT.format(command)], output_of(command, options.columns)):
            lines.append(json.dumps([round(time.monotonic() - start, 2), "o", text]))
            print(text, end="", flush=True)
    replace_file(options.out, "\n".join(lines).encode() + b"\n")


def output_of(command: str, columns: int) -> Iterator[str]:
    """Run *command* in a terminal of its own; yield what it prints as it comes."""
    process, terminal = pty.fork()
    if process == 0:
        os.environ.update(TERMINAL)
        os.execvp("bash", ["bash", "-c", f"stty rows {ROWS} columns {columns}; {command}"])
    rest = b""
    while data := read(terminal):
        text, rest = decode(rest + data)
        yield text
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    if code := os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{command}: exit code {code}")


def read(terminal: int) -> bytes:
    """Return what the terminal has next, nothing at its end (which Linux reports as an error)."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def decode(data: bytes) -> tuple[str, bytes]:
    """Return the text of *data*, and the bytes of a character that is cut at its end."""
    for cut in range(min(4, len(data) + 1)):
        try:
            return data[: len(data) - cut].decode(), data[len(data) - cut :]
        except UnicodeDecodeError:
            continue
    return data.decode(errors="replace"), b""


if __name__ == "__main__":
    main()
