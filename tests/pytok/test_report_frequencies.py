"""Frequencies of tokens: decades, the chart, the page and the file of all of them."""

import csv
import io
import json
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok import report
from pytok.byte_order import BYTE_ORDER
from pytok.definition import AddedToken, Definition, Unknown
from pytok.engine import EngineName
from pytok.report import charts
from pytok.report.frequencies import COLUMNS, decades, table, tokens_for
from tests.conftest import CORPUS
from tests.pytok.test_cli import command

counts = st.lists(st.integers(0, 2000), min_size=1, max_size=40)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: pytok.Tokenizer) -> None:
    """Work in a new folder with a corpus and a tokenizer."""
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_text("".join(CORPUS), encoding="utf-8", newline="")
    trained.save("tokenizer.json")


def figures() -> tuple[report.Figures, report.Usage]:
    measured = report.measure(pytok.load("tokenizer.json"), "corpus.txt")
    assert measured.usage is not None
    return measured, measured.usage


@given(uses=counts)
def test_decades_have_all_tokens_by_the_digits_of_their_uses(uses: list[int]) -> None:
    expected = Counter(0 if use == 0 else -1 if use == 1 else len(str(use)) for use in uses)

    rows = decades(np.array(uses))

    assert [row.tokens for row in rows] == [
        expected[key] for key in [0, -1, *range(1, len(rows) - 1)]
    ]
    assert sum(row.tokens for row in rows) == len(uses)
    assert sum(row.uses for row in rows) == sum(uses)
    assert rows[-1].most >= max(uses)


@given(uses=counts, fraction=st.sampled_from([0.1, 0.5, 0.9, 0.99, 1.0]))
def test_no_fewer_tokens_make_up_the_fraction(uses: list[int], fraction: float) -> None:
    ordered, count = sorted(uses, reverse=True), tokens_for(np.array(uses), fraction)

    assert sum(ordered[:count]) >= fraction * sum(uses)
    assert count == 0 or sum(ordered[: count - 1]) < fraction * sum(uses)


def test_the_chart_has_a_point_of_each_power_of_ten() -> None:
    points = [(1, 900), (2, 400), (10, 30), (37, 1)]

    root = ElementTree.fromstring(charts.frequencies(points, 2000))

    tooltips = [dot.findtext("title") for dot in root.iter("circle")]
    assert tooltips == [
        "the token at position 1: 900 uses",
        "the token at position 10: 30 uses",
    ]
    assert [line.get("class") for line in root.iter("polyline")] == ["law", "curve"]
    labels = [text.text for text in root.iter("text") if text.get("class") == "label"]
    assert labels == ["1", "10", "100", "1k", "1", "10"]


@pytest.mark.parametrize("points", [[(1, 1)], [(1, 10**9)], [(1, 1), (2, 1), (100_000, 1)]])
def test_the_chart_of_any_corpus_is_inside_its_frame(points: list[tuple[int, int]]) -> None:
    root = ElementTree.fromstring(charts.frequencies(points, points[0][1] + points[-1][0]))

    for line in root.iter("polyline"):
        for point in line.get("points", "").split():
            x, y = map(float, point.split(","))
            assert charts.LEFT <= x <= charts.WIDTH - charts.RIGHT
            assert charts.TOP <= y <= charts.HEIGHT - charts.BOTTOM


def test_the_page_shows_them() -> None:
    """A table of decades beside the chart."""
    measured, usage = figures()

    page = report.render(measured)

    assert "<h2>Token frequencies</h2>" in page
    never, once = decades(usage.uses)[:2]
    assert f'<th scope="row">never</th><td>{never.tokens}</td>' in page
    assert f'<th scope="row">once</th><td>{once.tokens}</td>' in page
    assert '<th scope="row">2 to 9</th>' in page


def test_the_page_of_an_empty_corpus_has_none() -> None:
    Path("empty.txt").write_text("")

    page = report.render(report.measure(pytok.load("tokenizer.json"), "empty.txt"))

    assert "Token frequencies" not in page


def test_uses_in_longer_tokens_are_those_of_all_merges() -> None:
    """Each use of a token counts for the tokens that it is merged from, recursively."""
    measured, usage = figures()
    merges = measured.tokenizer._core.merges()
    expected: Counter[int] = Counter()

    def add(rank: int, uses: int) -> None:
        for part in merges[rank] or ():
            expected[part] += uses
            add(part, uses)

    for rank, uses in enumerate(usage.uses.tolist()):
        add(rank, uses)
    assert usage.uses_in_longer.tolist() == [expected[rank] for rank in range(len(usage.uses))]


def test_the_file_has_all_tokens_the_most_used_first() -> None:
    result = command(
        "show", "tokenizer.json", "--corpus", "corpus.txt", "--frequencies", "tokens.csv"
    )

    measured, usage = figures()
    assert (result.code, result.err) == (0, "tokens.csv: frequencies written\n")
    with Path("tokens.csv").open(encoding="utf-8", newline="") as file:
        columns, *rows = csv.reader(file)
    assert tuple(columns) == COLUMNS
    assert sorted(bytes.fromhex(row[2]) for row in rows) == sorted(measured.tokens)
    assert [int(row[3]) for row in rows] == sorted(usage.uses.tolist(), reverse=True)
    vocab = measured.tokenizer.vocab
    for id, text, digits, uses, in_longer in rows:
        token = bytes.fromhex(digits)
        rank = measured.tokens.index(token)
        assert int(id) == vocab[token]
        assert json.loads(text).encode("utf-8", "surrogateescape") == token
        assert (int(uses), int(in_longer)) == (usage.uses[rank], usage.uses_in_longer[rank])


@pytest.mark.parametrize("token", [b"=1+1", b"@x", b"-1", b'a,"b"\n', b"\xff", "é\u2028".encode()])
def test_no_token_is_a_formula_or_breaks_a_line(token: bytes) -> None:
    """Programs that read the file see a quoted text."""
    data = table([7], [token], np.array([3]), np.array([0])).decode()

    [_, row] = csv.reader(io.StringIO(data, newline=""))
    assert row[1].startswith('"')
    assert "\n" not in row[1]
    assert row[2] == token.hex()


def test_frequencies_need_a_corpus() -> None:
    result = command("show", "tokenizer.json", "--frequencies", "tokens.csv")

    assert result.code == 2
    assert "--frequencies needs a text to count in: pass --corpus" in result.err


def test_the_corpus_is_never_replaced() -> None:
    result = command(
        "show", "tokenizer.json", "--corpus", "corpus.txt", "--frequencies", "corpus.txt"
    )

    assert result.code == 2
    assert "corpus.txt is an input file" in result.err


def test_json_has_the_decades() -> None:
    result = command("show", "tokenizer.json", "--json", "--corpus", "corpus.txt")

    _, usage = figures()
    expected = [decade._asdict() for decade in decades(usage.uses)]
    assert json.loads(result.out)["corpus"]["tokens_by_uses"] == expected


def test_a_tokenizer_that_changes_text_is_measured(engine: EngineName) -> None:
    """Normalization, added tokens with white space and unknown bytes change lengths."""
    tokens = [bytes([byte]) for byte in BYTE_ORDER if byte < 128]
    definition = Definition(
        "letters",
        [*tokens, b"th", b"the"],
        range(130),
        "gpt2",
        (AddedToken("<x>", 130, special=False, rstrip=True), AddedToken("<unk>", 131)),
        normalizer=(("NFC",), ("Lowercase",)),
        unknown=Unknown(131, fuse=True),
    )
    tokenizer = pytok.Tokenizer.from_definition(definition, engine)
    text = "The <x>  the Привет e\u0301"
    Path("corpus.txt").write_text(text, encoding="utf-8")

    measured = report.measure(tokenizer, "corpus.txt")

    usage, ids = measured.usage, tokenizer.encode_ordinary(text)
    assert usage is not None
    assert (usage.bytes, usage.tokens) == (len(text.encode()), len(ids))
    assert usage.other_uses == sum(id >= 130 for id in ids) > 1
    assert usage.tokens_by_size is None
    assert usage.only_in_longer is None
    assert sum(script.bytes for script in usage.scripts) == usage.bytes
    assert sum(script.tokens for script in usage.scripts) == pytest.approx(usage.tokens)
    page = report.render(measured)
    assert "it requires a vocabulary that starts with the 256 bytes" in page
    assert "128 bytes, 2 merged tokens" in page


def test_a_corpus_of_added_tokens_alone_is_measured() -> None:
    tokens = [bytes([byte]) for byte in BYTE_ORDER]
    added = (AddedToken("<x>", 256, special=False),)
    tokenizer = pytok.Tokenizer.from_definition(
        Definition("t", [*tokens], range(256), "gpt2", added)
    )
    Path("corpus.txt").write_text("<x><x>", encoding="utf-8")

    measured = report.measure(tokenizer, "corpus.txt")

    assert measured.usage is not None
    assert (measured.usage.tokens, measured.usage.other_uses) == (2, 2)
    assert "Token frequencies" not in report.render(measured)
