"""BLEU of translations."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from gpt.__main__ import main
from tests.gpt.commands.test_translation import run  # noqa: F401 (a fixture)


def test_the_score_is_that_of_the_definition() -> None:
    """Papineni 2002: all precisions are 1, and the brevity penalty is exp(1 - 7 / 6)."""
    sacrebleu = pytest.importorskip("sacrebleu")
    from gpt.evaluation.bleu import bleu_of

    found = bleu_of(["the cat sat on the mat"], ["the cat sat on the mat again"])

    assert found.score == pytest.approx(100 * math.exp(1 - 7 / 6))
    assert (
        found.score
        == sacrebleu.corpus_bleu(
            ["the cat sat on the mat"], [["the cat sat on the mat again"]]
        ).score
    )
    assert "tok:13a" in found.signature


def test_a_run_is_measured(run: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    """`gpt eval --bleu`."""
    pytest.importorskip("sacrebleu")
    assert main(["eval", str(run), "--bleu", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)

    assert 0 <= figures["bleu"] <= 100
    assert figures["bleu_signature"].startswith("nrefs:1|")


def test_without_sacrebleu_the_error_says_how_to_install_it(
    run: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In one line."""
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.bleu", None)

    assert main(["eval", str(run), "--bleu"]) == 1
    assert "[bleu]" in capsys.readouterr().err
