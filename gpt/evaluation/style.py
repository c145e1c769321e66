"""Style: how often a classifier attributes generated turns to the author that they imitate.

Character n-grams identify authors (Stamatatos 2009, A survey of modern authorship attribution
methods). The classifier is trained on the turns of train.jsonl; the model answers the held-out
conversations of val.jsonl as each author that it imitates.
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
from gpt.model.language_model import LanguageModel
from gpt.runs.reading import Checkpoint
from pytok.chat.template import (
    TEMPLATE_FILE,
    ChatTemplate,
    Conversation,
    Template,
    Turn,
    read_conversations,
)
from pytok.tokenizer import Tokenizer

BATCH = 32
"""Turns generated at a time."""


class HeldOutTurn(NamedTuple):
    """A held-out turn and the conversation before it."""

    before: Conversation
    turn: Turn


@dataclass(frozen=True, kw_only=True)
class Style:
    """Rates of turns that the classifier attributes to their authors."""

    turns: int
    """Number of held-out turns."""
    real: Accuracy
    """On the real turns: an upper bound, set by how different the authors are."""
    written: Accuracy
    """On the turns that the model generated instead."""
    against: Accuracy | None = None
    """On the turns of another model, such as the base before tuning."""


class Classifier:
    """An author classifier on texts; needs scikit-learn, the extra ``style``."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        """Train on *turns*; raises DataError if they have fewer than two authors."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        authors = [turn.speaker for turn in turns]
        if len(set(authors)) < 2:
            raise DataError("style needs turns of at least two authors, and there is only one")
        ngrams = TfidfVectorizer(
            analyzer="char", ngram_range=(1, 4), lowercase=False, sublinear_tf=True
        )
        # Balanced, so that frequent writers are not preferred for texts without evidence.
        regression = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
        self._model: Any = make_pipeline(ngrams, regression)
        self._model.fit([turn.text for turn in turns], authors)

    def authors(self, texts: Sequence[str]) -> list[str]:
        """Return the most likely author of each of *texts*."""
        return [str(author) for author in self._model.predict(texts)]


def measure_style(
    checkpoint: Checkpoint,
    model: LanguageModel,
    data: Path,
    *,
    against: tuple[Checkpoint, LanguageModel] | None = None,
    turns: int = 200,
    max_tokens: int = 128,
    sampling: Sampling | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Style:
    """Generate *turns* of the held-out turns of the chat folder *data*, and classify them.

    *model* belongs to *checkpoint*. The turns are those of the chat's ``me``, or everyone's, chosen
    by the seed of *sampling*. *against* generates the same turns; if it was not trained on a chat,
    it reads the conversation as lines of text. *progress* is called with (turns generated, total).
    Raises DataError if *data* is not a chat or has no held-out turns.
    """
    sampling = sampling or Sampling()
    for name in (TEMPLATE_FILE, "train.jsonl", "val.jsonl"):
        if not (data / name).exists():
            raise DataError(f"{data / name}: not found; pass --data a folder of `pytok chat build`")
    template = Template.load(data / TEMPLATE_FILE)
    trained_on = read_conversations(data / "train.jsonl")
    classifier = Classifier([turn for each in trained_on for turn in each.turns])
    held = held_out(read_conversations(data / "val.jsonl"), template.me)
    if not held:
        raise DataError(f"{data / 'val.jsonl'}: no turn to answer; hold out more with --val")
    # A sample of the same turns for every model with this seed, so that rates are comparable.
    held = random.Random(sampling.seed).sample(held, min(turns, len(held)))
    authors = [each.turn.speaker for each in held]
    models = [(checkpoint, model), *([against] if against else [])]

    def accuracy(texts: Sequence[str]) -> Accuracy:
        results = zip(texts, classifier.authors(texts), authors, strict=True)
        # An empty turn counts as wrong: it has no style.
        right = sum(bool(text) and found == author for text, found, author in results)
        return Accuracy.of(right, len(texts))

    written = []
    for number, (source, writer) in enumerate(models):
        # *against* can be a base that never saw the chat: then it has no template.
        own_template = source.chat_template() if TEMPLATE_FILE in source.data_files else None
        texts: list[str] = []
        for first in range(0, len(held), BATCH):
            batch = held[first : first + BATCH]
            texts += write(writer, source.tokenizer(), own_template, batch, max_tokens, sampling)
            if progress is not None:
                progress(number * len(held) + len(texts), len(models) * len(held))
        written.append(accuracy(texts))
    return Style(
        turns=len(held),
        real=accuracy([each.turn.text for each in held]),
        written=written[0],
        against=written[1] if against else None,
    )


def held_out(conversations: Iterable[Conversation], author: str | None) -> list[HeldOutTurn]:
    """Return the turns of *author*, or all if None, that follow another turn."""
    return [
        HeldOutTurn(Conversation(each.turns[:index], each.system), turn)
        for each in conversations
        for index, turn in enumerate(each.turns)
        if index and author in (None, turn.speaker)
    ]


def write(
    model: LanguageModel,
    tokenizer: Tokenizer,
    template: ChatTemplate | None,
    held: Sequence[HeldOutTurn],
    max_tokens: int,
    sampling: Sampling,
) -> list[str]:
    """Generate a turn instead of each of *held*; without *template*, from plain lines of text."""
    prompts: list[str | list[int]] = []
    excluded_ids: set[int] = set()
    stop_ids: set[int] = set()
    if template is None:
        prompts += [
            "".join(f"{each.speaker}: {each.text}\n" for each in before.turns) + f"{turn.speaker}:"
            for before, turn in held
        ]
    else:
        stop_ids = set(template.end_ids(tokenizer))
        excluded_ids = set(tokenizer.special_tokens.values()) - stop_ids
        limit = max(model.context - max_tokens, model.context // 2)
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
        stop_ids=stop_ids,
        excluded_ids=excluded_ids,
    )
    for row, piece in pieces:
        texts[row] += piece
    return [text.strip() for text in texts]
