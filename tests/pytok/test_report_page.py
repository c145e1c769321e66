"""The page of a report: well-formed, self-contained, and safe against markup in tokens."""

import re
from pathlib import Path
from xml.etree import ElementTree

import html5lib
import pytest

import pytok
from pytok import report
from pytok.engine import EngineName
from pytok.report import charts
from pytok.report.excerpts import units
from pytok.report.glyphs import glyphs
from tests.conftest import CORPUS
from tests.pytok.test_report import LANGUAGES, tokenizer_of, written

HOSTILE = [
    "<script>alert(1)</script>",
    "</pre></style><img src=x onerror=alert(1)>",
    "&lt;b&gt; \"quoted\" 'twice' {{ 7 * 7 }} {% if %}",
    "\u202eesrever \x00\x1b[31m \ufeff\u200b\u0301 ]]> <!-- -->",
]


def parsed(page: str) -> ElementTree.Element:
    """Parse *page*; html5lib raises ParseError for every error of the HTML standard."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    tree: ElementTree.Element = parser.parse(page)
    return tree


def page_of(tokenizer: pytok.Tokenizer, folder: Path, documents: list[str]) -> str:
    """Render the report of *tokenizer* on *documents*."""
    return report.render(report.measure(tokenizer, written(folder, documents)))


def text_of(element: ElementTree.Element) -> str:
    return "".join(element.itertext())


def section(tree: ElementTree.Element, title: str) -> ElementTree.Element:
    """Return the section with that heading."""
    (found,) = (each for each in tree.iter("section") if each.findtext("h2") == title)
    return found


@pytest.fixture(scope="module")
def hostile() -> pytok.Tokenizer:
    """Build a tokenizer with markup in its tokens, special tokens and name."""
    ranks = pytok.train(HOSTILE * 9, 340, special_tokens=()).vocab
    specials = {"<|end|>": 900, "<svg onload=alert(1)>": 901, '"><b>': 902, "\u202e": 903}
    return pytok.Tokenizer(
        "<h6>name</h6>", pat_str="<s>|[^<]+|<", mergeable_ranks=ranks, special_tokens=specials
    )


@pytest.mark.parametrize("documents", [CORPUS, LANGUAGES, HOSTILE, [""], ["a"], ["1"]])
def test_the_page_is_well_formed(
    documents: list[str], hostile: pytok.Tokenizer, tmp_path: Path
) -> None:
    """The parser is a strict HTML5 parser."""
    tree = parsed(page_of(hostile, tmp_path, documents))

    assert tree.find("body/main/header/h1") is not None


def test_the_page_without_a_corpus_is_well_formed(trained: pytok.Tokenizer) -> None:
    tree = parsed(report.render(report.measure(trained)))

    assert "No corpus was given" in text_of(tree)
    assert [each.findtext("h2") for each in tree.iter("section")] == [
        "Token lengths",
        "Tokens",
        "Definition",
    ]


def test_the_page_reports_an_empty_corpus(trained: pytok.Tokenizer, tmp_path: Path) -> None:
    page = page_of(trained, tmp_path, [])

    assert "The corpus is empty" in page
    assert "nan" not in page


def test_markup_in_tokens_is_text(hostile: pytok.Tokenizer, tmp_path: Path) -> None:
    """The same holds for special tokens, names, patterns, file names and excerpts."""
    folder = tmp_path / "<u>&amp;"
    folder.mkdir()
    tree = parsed(page_of(hostile, folder, [*HOSTILE, '"><b><|end|>']))
    tags = {element.tag.split("}")[-1] for element in tree.iter() if isinstance(element.tag, str)}
    attributes = {name for element in tree.iter() for name in element.keys()}  # noqa: SIM118

    assert not tags & {"script", "img", "b", "h6", "s", "u"}
    assert not {name for name in attributes if name.startswith("on")}
    assert text_of(tree).count("<script>") > 0
    assert tree.findtext("body/main/header/h1") == "<h6>name</h6>"
    assert "<u>&amp;" in text_of(tree)


def test_the_page_is_self_contained(trained: pytok.Tokenizer, tmp_path: Path) -> None:
    """It has no script, URL or import."""
    page = page_of(trained, tmp_path, ["plain text of a plain corpus"] * 3)
    tree = parsed(page)

    assert not any(element.get("src") or element.get("href") for element in tree.iter())
    assert not re.search(r"<script|<link|@import|url\(|https?:", page)


def test_invisible_characters_are_shown_by_name(hostile: pytok.Tokenizer, tmp_path: Path) -> None:
    """Text must not change the writing direction of the page, or be hidden in it."""
    shown = text_of(section(parsed(page_of(hostile, tmp_path, HOSTILE)), "Text, token by token"))

    assert not set(shown) & set("\u202e\x00\x1b\ufeff\u200b")
    assert "U+202E" in shown


def test_a_split_invisible_character_is_shown_by_name(tmp_path: Path) -> None:
    """The name is above its bytes, and in their tooltip."""
    (ruby,) = parsed(page_of(tokenizer_of(), tmp_path, ["\u202e"])).iter("ruby")

    assert ruby.get("title") == "U+202E is split over 3 tokens"
    assert text_of(ruby) == "e280aeU+202E"


def test_an_excerpt_shows_the_complete_text(trained: pytok.Tokenizer, tmp_path: Path) -> None:
    tree = parsed(page_of(trained, tmp_path, ["one text\nof two lines,  no more"]))
    (excerpt,) = tree.iter("pre")

    assert text_of(excerpt) == "one text⏎\nof two lines,  no more"
    tokens = [element.get("title") for element in excerpt.iter("span")]
    ids = trained.encode("one text\nof two lines,  no more")
    assert [title.split(",")[0] for title in tokens if title] == [f"id {id}" for id in ids]


def test_a_split_character_is_above_its_bytes(tmp_path: Path) -> None:
    """Other characters of its tokens are not."""
    east, capital = "東".encode(), "京".encode()
    tokenizer = tokenizer_of(capital[:2], capital, east[:2], east[2:] + capital)
    (ruby,) = parsed(page_of(tokenizer, tmp_path, ["東京"])).iter("ruby")

    assert [text_of(span) for span in ruby.iter("span")] == ["e69d", "b1京"]
    assert ruby.findtext("rt") == "東"


def test_special_tokens_are_marked_in_excerpts(hostile: pytok.Tokenizer, tmp_path: Path) -> None:
    """The tooltip says so."""
    tree = parsed(page_of(hostile, tmp_path, ["before<|end|>after"]))
    (excerpt,) = tree.iter("pre")
    (special,) = (each for each in excerpt.iter("span") if "special" in (each.get("class") or ""))

    assert text_of(special) == "<|end|>"
    assert special.get("title") == "id 900, 7 bytes, special token"


def test_a_given_text_replaces_the_excerpts(trained: pytok.Tokenizer) -> None:
    """No corpus is required."""
    tree = parsed(report.render(report.measure(trained), text="my own <text>"))
    (excerpt,) = tree.iter("pre")

    assert text_of(excerpt) == "my own <text>"


def test_equal_figures_make_equal_pages(
    twins: dict[EngineName, pytok.Tokenizer], tmp_path: Path
) -> None:
    native, reference = (page_of(twins[name], tmp_path, CORPUS) for name in ("native", "reference"))

    assert native == reference


def test_the_page_says_why_there_are_no_smaller_vocabularies(tmp_path: Path) -> None:
    """It shows a token that no merge makes."""
    tree = parsed(page_of(tokenizer_of(b"hel"), tmp_path, ["hel hello"]))
    words = " ".join(text_of(section(tree, "Compression by vocabulary size")).split())

    assert "no merge of two tokens of lower rank makes 1 of its tokens, for example hel." in words
    assert not section(tree, "Compression by vocabulary size").findall("figure")


def test_the_table_of_sizes_has_the_figures(trained: pytok.Tokenizer, tmp_path: Path) -> None:
    figures = report.measure(trained, written(tmp_path, CORPUS))
    assert figures.usage is not None
    tree = parsed(report.render(figures))
    rows = section(tree, "Compression by vocabulary size").findall(".//tbody/tr")

    assert [[text_of(cell) for cell in row][:2] for row in rows] == [
        [f"{size}", f"{figures.usage.tokens_at(size):,}"] for size in (256, 512, 599)
    ]


@pytest.mark.parametrize(
    ("documents", "shown"),
    [(LANGUAGES, True), (LANGUAGES[:1], False), (["Latin " * 9999, "one я"], False)],
)
def test_scripts_are_shown_if_there_are_several(
    documents: list[str], shown: bool, trained: pytok.Tokenizer, tmp_path: Path
) -> None:
    """Scripts with a very small fraction of the text do not count."""
    titles = [each.findtext("h2") for each in parsed(page_of(trained, tmp_path, documents)).iter()]

    assert ("Scripts" in titles) is shown


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (b" a\n", "␣a⏎"),
        (b"\t\r", "⇥␍"),
        (b"\xe2\x80", "e2 80"),
        (b"\x80abc\xe6", "80 abc e6"),
        ("é".encode(), "é"),
        ("\u0301a".encode(), "◌\u0301a"),
        ("\u00a0\u202e".encode(), "U+00A0 U+202E"),
        (b"-" * 8, "--------"),
        (b"x" + b"-" * 64, "x-------- ×64"),
        (b" " * 10, "␣␣␣␣␣␣␣␣ ×10"),
        (b"\xff" * 9, "ff ff ff ff ff ff ff ff ×9"),
    ],
)
def test_glyphs_show_what_cannot_be_printed(token: bytes, shown: str) -> None:
    """Bytes are in hexadecimal, invisible characters have names, long runs a length."""
    assert "".join(glyph.text for glyph in glyphs(token)) == shown.replace(" ", "")


@pytest.mark.parametrize("text", [*LANGUAGES, *HOSTILE, "👋🏽\ud800\n\n", ""])
def test_units_have_the_tokens_of_the_text(text: str, hostile: pytok.Tokenizer) -> None:
    ids = [span.id for unit in units(hostile, text) for span in unit.spans]

    assert ids == hostile.encode(text, allowed_special="all")


@pytest.mark.parametrize(
    "points", [[(256, 1.0)], [(256, 1.0), (257, 1.0)], [(256, 1.0), (300, 1.5), (199_998, 4.9)]]
)
def test_the_curve_stays_inside_the_chart(points: list[tuple[int, float]]) -> None:
    svg = ElementTree.fromstring(charts.curve(points, [size for size, _ in points]))
    dots = [(float(dot.get("cx", "")), float(dot.get("cy", ""))) for dot in svg.iter("circle")]

    assert len(dots) == len(points)
    for x, y in dots:
        assert charts.LEFT - 0.01 <= x <= charts.WIDTH - charts.RIGHT + 0.01
        assert charts.TOP - 0.01 <= y <= charts.HEIGHT - charts.BOTTOM + 0.01


def test_the_heights_of_bars_are_proportional_to_their_fractions() -> None:
    """The top of the scale is the smallest round number above the highest bar."""
    series = [charts.Series("one", [0.5, 0.25]), charts.Series("two", [0.0, 1.0])]
    svg = ElementTree.fromstring(charts.bars(["a", "b"], series, x_title="things"))
    heights = [float(bar.get("height", "")) for bar in svg.iter("rect")]

    full = charts.HEIGHT - charts.TOP - charts.BOTTOM
    labels = [text.text for text in svg.iter("text") if text.get("text-anchor") == "end"]
    assert labels == ["0", "20", "40", "60", "80", "100"]
    assert heights == pytest.approx([full / 2, 0, full / 4, full])
    assert svg.findtext("rect/title") == "one, a things: 50.0%"
