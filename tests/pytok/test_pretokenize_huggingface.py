"""Known patterns split text as Hugging Face tokenizers does with the same regex.

The regexes of llama3 and qwen2 are those of the published ``tokenizer.json``, which runs on another
engine (Oniguruma) than tiktoken's.
"""

import pydoc_data.topics
import random
import unicodedata

import pytest
from hypothesis import given
from tokenizers import Regex, pre_tokenizers

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.patterns import PATTERNS
from tests.conftest import CORPUS, ENGINES
from tests.pytok.strategies import texts

NAMES = ["llama3", "qwen2"]
ORDINARY = {bytes([byte]): rank for rank, byte in enumerate(BYTE_ORDER)}

OURS = {
    (name, engine): pytok.Tokenizer(
        name, pat_str=name, mergeable_ranks=ORDINARY, special_tokens={}, engine=engine
    )
    for name in NAMES
    for engine in ENGINES
}
THEIRS = {name: pre_tokenizers.Split(Regex(PATTERNS[name]), "isolated") for name in NAMES}


def their_pieces(name: str, text: str) -> list[str]:
    """The pieces that Hugging Face's Split finds."""
    return [piece for piece, _ in THEIRS[name].pre_tokenize_str(text)]


@pytest.mark.parametrize("name", NAMES)
@given(text=texts())
def test_any_text_splits_as_in_hugging_face(name: str, text: str) -> None:
    """With much white space, and many contractions, marks and digits."""
    expected = their_pieces(name, text)

    assert [OURS[name, engine].pieces(text) for engine in ENGINES] == [expected] * 2


@pytest.mark.parametrize("name", NAMES)
def test_every_character_splits_as_in_hugging_face(name: str) -> None:
    """Every assigned one, next to a letter, a digit, a space, an apostrophe and a newline."""
    for start in range(0, 0x110000, 0x400):
        characters = [
            character
            for character in map(chr, range(start, start + 0x400))
            if unicodedata.category(character) not in {"Cn", "Cs"}
        ]
        text = "".join(f"a{one}B {one}1'{one}\n{one}{one} " for one in characters)
        assert OURS[name, "native"].pieces(text) == their_pieces(name, text)


@pytest.mark.parametrize("name", NAMES)
def test_a_manual_splits_as_in_hugging_face(name: str) -> None:
    """Half a megabyte of Python's documentation, and a few lines in several scripts."""
    for text in [*CORPUS, *pydoc_data.topics.topics.values()]:
        assert OURS[name, "native"].pieces(text) == their_pieces(name, text)


@pytest.mark.parametrize("name", NAMES)
def test_random_runs_split_as_in_hugging_face(name: str) -> None:
    """Runs of one kind of character, up to a hundred long."""
    source = random.Random(11)
    kinds = [
        *"aZ15 \t\n\r!/'",
        "é",
        "É",
        "漢",
        "ʰ",
        "ǅ",
        "\u0301",
        "٣",
        "½",
        "\x85",
        "\u3000",
        "😀",
    ]
    for _ in range(300):
        runs = [source.choice(kinds) * int(1 + source.expovariate(0.1)) for _ in range(40)]
        text = "".join(runs)
        assert OURS[name, "native"].pieces(text) == their_pieces(name, text)
