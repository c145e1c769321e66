"""Does it sound like them? Whose turns a model writes, by a classifier that has read the real ones.

Character n-grams tell authors apart (Stamatatos 2009, A survey of modern authorship attribution
methods). The classifier learns the turns of train.jsonl; the model answers the held-out
conversations of val.jsonl, as each author whom it is to sound like.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gpt.errors import DataError
from gpt.evaluation.interval import Accuracy
from gpt.generation.conversation import recent_turns
from gpt.generation.sampling import Sampling
from gpt.generation.text import generate_batch
from gpt.model.gpt import GPT
from gpt.runs.reading import Checkpoint
from pytok.chat.template import (
    END_OF_TURN,
    TEMPLATE_FILE,
    Conversation,
    Template,
    Turn,
    read_conversations,
)
from pytok.tokenizer import Tokenizer

BATCH = 32
"""Turns written at a time."""


class Held(NamedTuple):
    """A held-out turn, and what was said before it."""

    before: Conversation
    turn: Turn


@dataclass(frozen=True, kw_only=True)
class Style:
    """Of as many held-out turns, which share the classifier gives to their authors."""

    turns: int
    real: Accuracy
    """The turns as they were said: how well authors can be told apart at all."""
    written: Accuracy
    """The turns that the model wrote in their places."""
    against: Accuracy | None = None
    """Those of another model, such as the one before tuning."""


class Classifier:
    """Tells authors apart by their texts; needs scikit-learn, the extra ``style``."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        """TrainOn from *turns*; raises DataError where they are of fewer than two authors."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        authors = [turn.speaker for turn in turns]
        if len(set(authors)) < 2:
            raise DataError("one author cannot be told from another where there is only one")
        ngrams = TfidfVectorizer(
            analyzer="char", ngram_range=(1, 4), lowercase=False, sublinear_tf=True
        )
        # Balanced: who says more is not the likelier author of what is unclear.
        regression = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
        self._model: Any = make_pipeline(ngrams, regression)
        self._model.fit([turn.text for turn in turns], authors)

    def authors(self, texts: Sequence[str]) -> list[str]:
        """Say whose each of *texts* looks like."""
        return [str(author) for author in self._model.predict(texts)]


def measure_style(
    checkpoint: Checkpoint,
    model: GPT,
    data: Path,
    *,
    against: tuple[Checkpoint, GPT] | None = None,
    turns: int = 200,
    max_tokens: int = 128,
    sampling: Sampling | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Style:
    """Have *model*, of *checkpoint*, write *turns* of the held-out ones of the chat folder *data*.

    They are those of whose turns the chat's models learn, or everyone's, drawn by the seed of
    *sampling*. *against* does the same; one that has learnt no chat is given it as lines of text.
    *progress* is told how many turns are written, and of how many. Raises DataError where *data*
    is no chat, or holds nothing out.
    """
    sampling = sampling or Sampling()
    for name in (TEMPLATE_FILE, "train.jsonl", "val.jsonl"):
        if not (data / name).exists():
            raise DataError(f"{data / name}: not found; --data names what `pytok chat build` wrote")
    template = Template.load(data / TEMPLATE_FILE)
    learnt = read_conversations(data / "train.jsonl")
    classifier = Classifier([turn for each in learnt for turn in each.turns])
    held = held_out(read_conversations(data / "val.jsonl"), template.me)
    if not held:
        raise DataError(f"{data / 'val.jsonl'}: no turn to answer; hold out more with --val")
    held = random.Random(sampling.seed).sample(held, min(turns, len(held)))
    wanted = [each.turn.speaker for each in held]
    models = [(checkpoint, model), *([against] if against else [])]

    def right(texts: Sequence[str]) -> Accuracy:
        pairs = zip(texts, classifier.authors(texts), wanted, strict=True)
        return Accuracy.of(sum(bool(text) and is_ == who for text, is_, who in pairs), len(texts))

    written = []
    for number, (whose, writer) in enumerate(models):
        document = whose.data_files.get(TEMPLATE_FILE)
        spoken = None if document is None else Template.from_json(document)
        texts: list[str] = []
        for first in range(0, len(held), BATCH):
            batch = held[first : first + BATCH]
            texts += write(writer, whose.tokenizer(), spoken, batch, max_tokens, sampling)
            if progress is not None:
                progress(number * len(held) + len(texts), len(models) * len(held))
        written.append(right(texts))
    return Style(
        turns=len(held),
        real=right([each.turn.text for each in held]),
        written=written[0],
        against=written[1] if against else None,
    )


def held_out(conversations: Iterable[Conversation], author: str | None) -> list[Held]:
    """The turns of *author*, or everyone's, in *conversations* that answer something."""
    return [
        Held(Conversation(each.turns[:place], each.system), turn)
        for each in conversations
        for place, turn in enumerate(each.turns)
        if place and author in (None, turn.speaker)
    ]


def write(
    model: GPT,
    tokenizer: Tokenizer,
    template: Template | None,
    held: Sequence[Held],
    max_tokens: int,
    sampling: Sampling,
) -> list[str]:
    """What *model* says in the place of each of *held*; without *template*, after lines of text."""
    prompts: list[str | list[int]] = []
    excluded_ids: set[int] = set()
    ends: set[int] = set()
    if template is None:
        prompts += [
            "".join(f"{said.speaker}: {said.text}\n" for said in before.turns) + f"{turn.speaker}:"
            for before, turn in held
        ]
    else:
        ends = {tokenizer.special_tokens[END_OF_TURN]}
        excluded_ids = set(tokenizer.special_tokens.values()) - ends
        limit = max(model.config.context - max_tokens, model.config.context // 2)
        for before, turn in held:
            kept = recent_turns(template, tokenizer, before, limit)
            prompts.append(template.prompt(kept, tokenizer, turn.speaker))
    texts = [""] * len(held)
    pieces = generate_batch(
        model,
        tokenizer,
        prompts,
        max_tokens=max_tokens,
        sampling=sampling,
        stop=("\n",) if template is None else (),
        stop_ids=ends,
        excluded_ids=excluded_ids,
    )
    for row, piece in pieces:
        texts[row] += piece
    return [text.strip() for text in texts]
