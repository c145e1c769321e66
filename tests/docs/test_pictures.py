"""The pictures of the README are those that the scripts in examples/pictures draw."""

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from examples.pictures import record, speed, svg, terminal
from examples.pictures.recordings import RECORDINGS
from examples.pictures.screen import Screen, Style
from examples.pictures.svg import IMAGES, PALETTES
from tests.docs.documents import ROOT, blocks, name_of

PICTURES = sorted(IMAGES.glob("*.svg"))


@pytest.mark.parametrize("palette", PALETTES, ids=lambda palette: palette.name)
def test_the_bars_are_the_figures_of_the_benchmarks(palette: svg.Palette, tmp_path: Path) -> None:
    """Of docs/benchmarks.md; `python -m examples.pictures.speed` draws them."""
    speed.draw(tmp_path / "speed.svg", palette)

    committed = IMAGES / f"speed-{palette.name}.svg"
    assert (tmp_path / "speed.svg").read_text() == committed.read_text()


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_terminals_are_those_of_the_recordings(name: str, tmp_path: Path) -> None:
    """In docs/images; `python -m examples.pictures.terminal` draws them."""
    terminal.draw_recording(name, tmp_path)

    for palette in PALETTES:
        picture = f"{name}-{palette.name}.svg"
        assert (tmp_path / picture).read_text() == (IMAGES / picture).read_text()


@pytest.mark.parametrize("path", PICTURES, ids=name_of)
def test_a_picture_needs_nothing_else(path: Path) -> None:
    """No script, nothing from the network, and a title for who does not see it."""
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}

    assert "script" not in tags
    assert not re.search(r"url\(|href|@import", path.read_text(encoding="utf-8"))
    assert root[0].tag.endswith("title")
    assert root[0].text


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_is_of_commands_of_the_readme(name: str) -> None:
    """And of no others."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, *events = RECORDINGS[name].cast(name).read_text(encoding="utf-8").splitlines()
    texts = [json.loads(event)[2] for event in events]
    prompts = [record.PROMPT.format(command) for command in RECORDINGS[name].commands]

    assert [text for text in texts if text.startswith(prompts[0][:6])] == prompts
    assert not [command for command in RECORDINGS[name].commands if command not in readme]


def test_the_readme_shows_what_was_recorded() -> None:
    """Of the training and the sample: one run is the picture and the text."""
    screen = Screen(columns=1000)  # so that no line is wrapped
    _, *events = RECORDINGS["training"].cast("training").read_text(encoding="utf-8").splitlines()
    for event in events:
        screen.feed(json.loads(event)[2])
    recorded = {"".join(cell for cell, _ in line).rstrip() for line in screen.lines()}
    shown = [
        block.text.splitlines()
        for block in blocks(ROOT / "README.md", "text")
        if block.text.startswith(("runs/shakespeare:", "ROMEO:"))
    ]

    assert len(shown) == 2
    assert {line for lines in shown for line in lines} <= recorded | {"..."}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one\r\ntwo", ["one", "two"]),
        ("1/2\r2/2", ["2/2"]),
        ("long\r\x1b[2Kgo", ["go"]),
        ("one\r\ntwo\x1b[1A\r\x1b[2K", ["", "two"]),
        ("abcdefgh", ["abcdef", "gh"]),
        ("a\x1b[?25lb", ["ab"]),
        ("ab\x1b[Kc", ["abc"]),
        ("abc\r\x1b[J", [""]),
    ],
)
def test_a_screen_shows_what_a_terminal_shows(text: str, lines: list[str]) -> None:
    """Of the control sequences that rich prints."""
    screen = Screen(columns=6)

    screen.feed(text)

    shown = ["".join(character for character, _ in line) for line in screen.lines()]
    assert shown == lines


def test_a_screen_keeps_colors() -> None:
    """Of a command that prints them, until they are reset."""
    screen = Screen(columns=10)

    screen.feed("\x1b[1;30;48;2;215;232;255ma\x1b[0m\x1b[32mb\x1b[39mc")

    styles = [style for _, style in screen.lines()[0]]
    assert styles == [Style("0", "#d7e8ff", bold=True), Style("2"), Style()]
