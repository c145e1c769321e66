"""What a notebook shows of tokenizers, texts and progress."""

import html
import re
import sys
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest

import pytok
from pytok import notebook
from pytok.notebook import NotebookBars, ShownText

TOKENIZER = pytok.train(["she sells sea shells by the sea shore"] * 3, 270)
HOSTILE = "<script>alert(1)</script>\x1b[31m & \u202e"


class Output:
    """What the cell of a notebook shows: contents, and what replaced them."""

    def __init__(self) -> None:
        self.contents: list[str] = []

    def display(self, content: str, *, display_id: bool) -> "Output":
        """Show *content*."""
        assert display_id
        self.contents.append(content)
        return self

    def update(self, content: str) -> None:
        """Show *content* instead of the last one."""
        self.contents[-1] = content


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Output:
    """A kernel that runs, in so far as it matters."""
    shown = Output()
    ipython: Any = ModuleType("IPython")
    ipython.get_ipython = lambda: type("Shell", (), {"kernel": None})()
    ipython.display = ModuleType("IPython.display")
    ipython.display.HTML, ipython.display.display = str, shown.display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    monkeypatch.setattr(notebook, "BAR_DELAY", 0.0)
    return shown


def text_of(page: str) -> str:
    return html.unescape(re.sub("<[^>]*>", "", page))


def test_a_shown_text_has_all_of_the_text() -> None:
    """Each token in a span of its own, with its id."""
    shown = TOKENIZER.show("she sells <b>")
    spans = re.findall("<span title=.(\\d+):[^>]*>(.*?)</span>", shown._repr_html_())

    assert [int(id) for id, _ in spans] == TOKENIZER.encode("she sells <b>")
    assert html.unescape("".join(text for _, text in spans)) == "she sells <b>"


def test_neighbors_differ_and_are_legible_on_any_page() -> None:
    """Both colors are set, since a page can be dark."""
    page = TOKENIZER.show("she sells sea shells")._repr_html_()
    styles = re.findall("background:(#\\w+);color:(#\\w+)", page)

    assert all(one != other for one, other in pairwise(styles))
    assert {ink for _, ink in styles} == {notebook.INK}


def test_text_is_escaped() -> None:
    """Tags, controls of terminals, and characters that reverse the direction."""
    shown = TOKENIZER.show(HOSTILE)

    assert not re.search("<script|\x1b|\u202e", shown._repr_html_() + repr(shown))


def test_outside_of_notebooks_bars_are_between_tokens() -> None:
    """Bytes of an incomplete character are escaped."""
    assert repr(ShownText([b"a", b"\xe6\x97", b"\xa5"], [64, 9, 8])) == (
        "a|\\xe6\\x97|\\xa5\n3 tokens, 4 bytes, 1.33 bytes per token: [64, 9, 8]"
    )


def test_a_tokenizer_is_a_table() -> None:
    """Its size, pattern, special tokens and first merges."""
    text = text_of(TOKENIZER._repr_html_())

    assert re.search("ids270.*cl100k.*<\\|endoftext\\|> = 269.*first merges", text)


def test_a_special_token_cannot_inject_markup() -> None:
    """Which a file of others can have."""
    tokenizer = TOKENIZER.with_special_tokens(["<script>x</script>"])

    assert "<script" not in tokenizer._repr_html_()


def test_training_shows_its_progress_by_itself(output: Output) -> None:
    """One output, which is replaced: a bar for each stage."""
    pytok.train(["she sells sea shells by the sea shore"], 260)
    (content,) = output.contents

    assert content.count("<progress") == 2
    assert re.search('value="1.0000".*merge · 259 of 259 tokens', content)


def test_a_callback_is_used_instead(output: Output) -> None:
    """Nothing else is shown."""
    pytok.train(["she sells"], 257, progress=lambda stage, done, total: None)

    assert output.contents == []


def test_nothing_is_shown_elsewhere() -> None:
    """A script has no kernel, although IPython can be imported."""
    assert not notebook.is_running()


def test_short_work_shows_no_bar(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would only flash."""
    monkeypatch.setattr(notebook, "BAR_DELAY", 60.0)
    bars = NotebookBars()
    bars.update("count", 1, 1)

    assert output.contents == []
