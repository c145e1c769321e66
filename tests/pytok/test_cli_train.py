"""The options of `pytok train` for the rules of merging and for a base."""

from pathlib import Path

import pytest

import pytok
from tests.conftest import CORPUS
from tests.pytok.test_cli import check_failure, command

TEXT = "".join(CORPUS)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a new folder with a corpus."""
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
def test_options_of_merging_equal_those_of_the_library(
    arguments: list[str], options: dict[str, object]
) -> None:
    """Each changes the vocabulary."""
    assert command("train", "corpus.txt", "--vocab", 600, *arguments).code == 0

    fingerprint = pytok.load("tokenizer.json").fingerprint
    assert fingerprint == pytok.train([TEXT], 600, **options).fingerprint  # type: ignore[arg-type]
    assert fingerprint != pytok.train([TEXT], 600).fingerprint


def test_train_extends_a_base() -> None:
    """The file that is written has the pattern and the ids of the base."""
    base = pytok.train([TEXT[:2000]], 300, pattern="gpt2")
    base.save("base.json")

    result = command(
        "train", "corpus.txt", "--vocab", 400, "--base", "base.json", "--special", "<|new|>"
    )

    assert result.code == 0
    expected = pytok.train([TEXT], 400, base=base, special_tokens=["<|new|>"])
    assert pytok.load("tokenizer.json").fingerprint == expected.fingerprint


def test_a_pattern_other_than_that_of_the_base_is_rejected() -> None:
    """The error is one line."""
    pytok.train([TEXT], 300, pattern="gpt2").save("base.json")

    result = command(
        "train", "corpus.txt", "--vocab", 400, "--base", "base.json", "--pattern", "cl100k"
    )

    check_failure(result, "the pattern 'cl100k' differs from that of the base")
