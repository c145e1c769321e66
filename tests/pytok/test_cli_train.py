"""The options of `pytok train` that say which merges are made."""

from pathlib import Path

import pytest

import pytok
from tests.conftest import CORPUS
from tests.pytok.test_cli import check_failure, command

TEXT = "".join(CORPUS)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a corpus, to write in."""
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_text(TEXT, encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--ties", "cs336"], {"ties": "cs336"}),
        (["--ties", "first"], {"ties": "first"}),
        (["--min-frequency", "99"], {"min_frequency": 99}),
        (["--max-token-length", "4"], {"max_token_length": 4}),
        (["--limit-alphabet", "9"], {"limit_alphabet": 9}),
    ],
)
@pytest.mark.filterwarnings("ignore:the corpus has no more pairs")
def test_options_of_merging_are_those_of_the_library(
    arguments: list[str], options: dict[str, object]
) -> None:
    """Each changes the vocabulary."""
    assert command("train", "corpus.txt", "--vocab", 600, *arguments).code == 0

    learnt = pytok.load("tokenizer.json").fingerprint
    assert learnt == pytok.train([TEXT], 600, **options).fingerprint  # type: ignore[arg-type]
    assert learnt != pytok.train([TEXT], 600).fingerprint


def test_train_goes_on_from_a_base() -> None:
    """With its pattern and ids, in a file that reads back."""
    base = pytok.train([TEXT[:2000]], 300, pattern="gpt2")
    base.save("base.json")

    result = command(
        "train", "corpus.txt", "--vocab", 400, "--base", "base.json", "--special", "<|new|>"
    )

    assert result.code == 0
    expected = pytok.train([TEXT], 400, base=base, special_tokens=["<|new|>"])
    assert pytok.load("tokenizer.json").fingerprint == expected.fingerprint


def test_another_pattern_than_that_of_the_base_is_refused() -> None:
    """In one line."""
    pytok.train([TEXT], 300, pattern="gpt2").save("base.json")

    result = command(
        "train", "corpus.txt", "--vocab", 400, "--base", "base.json", "--pattern", "cl100k"
    )

    check_failure(result, "the pattern 'cl100k' is not that of the base")
