"""Record the commands of `recordings.py` as they run in a terminal: what they print, and when.

    python -m examples.pictures.record TEXT [NAME...]

writes docs/images/NAME.cast (asciicast 2), by default all. TEXT becomes shakespeare.txt in a folder
that is removed at the end. Other programs should not run meanwhile: two minutes of training are as
good as the machine is free. `terminal.py` draws the casts; the README shows the same output.
"""

import itertools
import json
import os
import pty
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from examples.pictures.recordings import RECORDINGS, TEXT, Recording
from pytok.atomic import replace_file

ROWS = 24
PROMPT = "\x1b[1m$ {}\x1b[0m\r\n"
TERMINAL = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


def main(arguments: Sequence[str]) -> None:
    """Write the casts; a command that fails ends it with an error."""
    text, *names = arguments
    for name in names or RECORDINGS:
        recording = RECORDINGS[name]
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(text, Path(folder, TEXT))
            cast = record(recording, Path(folder))
        replace_file(recording.cast(name), cast.encode())


def record(recording: Recording, folder: Path) -> str:
    """Run the commands of *recording* in *folder*; return the cast."""
    for command in recording.prepare:
        subprocess.run(command, shell=True, cwd=folder, check=True)
    start = time.monotonic()
    lines = [json.dumps({"version": 2, "width": recording.columns, "height": ROWS})]
    for command in recording.commands:
        printed = output_of(command, recording.columns, folder)
        for text in itertools.chain([PROMPT.format(command)], printed):
            lines.append(json.dumps([round(time.monotonic() - start, 2), "o", text]))
            print(text, end="", flush=True)
    return "\n".join(lines) + "\n"


def output_of(command: str, columns: int, folder: Path) -> Iterator[str]:
    """Run *command* in a terminal of its own; yield what it prints as it comes."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
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
    main(sys.argv[1:])
