"""BLEU of translations, as sacrebleu computes and signs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bleu:
    """BLEU of a corpus (Papineni 2002), from 0 to 100."""

    score: float
    """Geometric mean of the precisions of 1 to 4 words, times the brevity penalty."""
    signature: str
    """How it was computed, in sacrebleu's words: scores with the same signature are comparable."""


def bleu_of(translations: Sequence[str], targets: Sequence[str]) -> Bleu:
    """Return BLEU of *translations*, each with one of *targets*, in sacrebleu's default settings.

    Those are mteval-v13a's tokens and exponential smoothing (Post 2018, arXiv:1804.08771). Raises
    ImportError without sacrebleu.
    """
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU()
    score = metric.corpus_score(list(translations), [list(targets)]).score
    return Bleu(score, str(metric.get_signature()))
