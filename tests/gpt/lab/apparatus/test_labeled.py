"""Classifiers of an experiment, and the opinions that they are trained on."""

from __future__ import annotations

from collections import Counter

import pytest

from gpt.data.labeled_files import TRAIN, split_file
from gpt.data.labeled_texts import LabeledText, read_labeled
from gpt.lab.apparatus.labeled import classified, figures, forgotten, labeled, pooling_error
from gpt.lab.apparatus.opinions import CLASSES, by_words, reviews
from gpt.lab.apparatus.texts import english, shards_of
from gpt.lab.apparatus.training import Run
from gpt.lab.apparatus.tuning import base_run
from gpt.lab.experiment import Setting
from gpt.model import classifier
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery

BODY = Architecture(
    context=16, layers=1, width=16, attention=GroupedQuery(heads=2, kv_heads=2), position=None
)


def test_a_head_that_reads_another_token_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one of the row instead of the text, for example."""
    assert pooling_error(BODY, "last", 0) < 1e-10

    monkeypatch.setitem(classifier.POOLINGS, "last", lambda hidden, lengths: hidden[:, -1])
    assert pooling_error(BODY, "last", 0) > 0.1


def test_labeled_texts_are_those_that_are_given() -> None:
    """Without those that are held out."""
    texts = [LabeledText(f"text {number}", "ab"[number % 2]) for number in range(40)]
    folder = labeled("test-labeled", texts, texts[:2])
    known = {each.text for each in read_labeled(split_file(folder, TRAIN))}

    assert known < {each.text for each in texts}
    assert len(known) == 38


@pytest.mark.parametrize(("train", "forgets"), [("head", False), ("all", True)])
def test_a_body_that_is_not_trained_forgets_nothing(train: str, forgets: bool) -> None:
    """Its predictions of other text are the same bit for bit."""
    shards = shards_of("test-forgotten", [english()[:20_000]], 300)
    base = base_run("test-forgotten-base", BODY, Run(steps=2, rows=2, data=shards))
    data = labeled("test-forgotten-data", reviews(40, 1), reviews(8, 2))
    found = classified(Setting(arm="", size={"epochs": 1}, rate=1e-2), base, data, train=train)

    assert (forgotten(found, base, shards) != 0) == forgets


def test_no_classifier_is_the_worst() -> None:
    """A run that diverged has a figure."""
    assert figures(None)["error"] == 1.0


def test_words_say_something_of_an_opinion_but_not_all() -> None:
    """By design: a word of either opinion can be turned around."""
    train, test = list(reviews(300, 1)), list(reviews(300, 2))

    assert set(Counter(each.label for each in train)) == set(CLASSES)
    assert 0.4 < by_words(train, test)["accuracy"] < 0.7
