"""Prediction of masked tokens: the cross-entropy of the targets of rows that are masked."""

from __future__ import annotations

from gpt.model.objectives.next_token import CrossEntropy
from gpt.spec import objective


class MaskedLM(CrossEntropy):
    """-Σ log p(token | masked row), over the tokens that are predicted. Devlin 2018, BERT.

    arXiv:1810.04805, section 3.1. The rows come masked (`gpt.data.masking`): the target of an input
    is the token that it stands for, or none.
    """

    def __init__(self, spec: objective.MaskedLM) -> None:
        super().__init__(objective.CrossEntropy())
