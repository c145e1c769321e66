"""Multiple choice by likelihood: HellaSwag (Zellers 2019, arXiv:1905.07830) and files like it.

Questions, token boundaries and scores are those of EleutherAI's lm-evaluation-harness, so results
are comparable. Nothing is generated: the model scores every choice and answers with the most likely
one, by the sum of log-probabilities (acc) or by that sum over the length of the choice (acc_norm).
"""

from __future__ import annotations

import codecs
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpt.data.boundaries import Boundaries
from gpt.data.json_files import parse_json
from gpt.errors import DataError
from gpt.evaluation.interval import Accuracy
from gpt.model.language_model import LanguageModel
from gpt.parallel.runtime import Runtime
from pytok.definition import END_OF_TEXT
from pytok.text import cut, quoted, repair
from pytok.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class Question:
    """A text and its possible continuations."""

    context: str
    choices: tuple[str, ...]
    """Continuations; each follows the context after a space."""
    answer: int
    """Index of the correct choice."""
    origin: str = field(default="the question", compare=False)
    """Where it is from, for errors: file and line."""


@dataclass(frozen=True, kw_only=True)
class MultipleChoice:
    """Result of a model on multiple-choice questions."""

    questions: int
    """Number of questions."""
    acc: Accuracy
    """Accuracy, choosing the highest sum of log-probabilities."""
    acc_norm: Accuracy
    """Accuracy, choosing the highest sum divided by the UTF-8 bytes of the choice."""


def choose_all(
    model: LanguageModel,
    tokenizer: Tokenizer,
    questions: Sequence[Question],
    *,
    runtime: Runtime,
    progress: Callable[[int, int], object] | None = None,
) -> MultipleChoice:
    """Answer *questions* with *model*, which is in evaluation mode.

    *progress* is called after each question with (tokens of choices scored, total). Raises
    DataError for a question that does not fit the model.
    """
    encoded = [_encode(tokenizer, question, model.context) for question in questions]
    total, done = sum(len(ending) for rows in encoded for _, ending in rows), 0
    correct = correct_normed = 0
    for question, rows in zip(questions, encoded, strict=True):
        sums = log_likelihoods(model, rows, runtime=runtime)
        lengths = [max(1, len(choice.encode())) for choice in question.choices]
        by_byte = [value / length for value, length in zip(sums, lengths, strict=True)]
        correct += sums.index(max(sums)) == question.answer
        correct_normed += by_byte.index(max(by_byte)) == question.answer
        done += sum(len(ending) for _, ending in rows)
        if progress is not None:
            progress(done, total)
    return MultipleChoice(
        questions=len(questions),
        acc=Accuracy.of(correct, len(questions)),
        acc_norm=Accuracy.of(correct_normed, len(questions)),
    )


@torch.inference_mode()
def log_likelihoods(
    model: LanguageModel, rows: Sequence[tuple[Sequence[int], Sequence[int]]], *, runtime: Runtime
) -> list[float]:
    """Return the log-probability of each row's ending given its context, in nats.

    A context that several rows share is read once.
    """
    sums = [0.0] * len(rows)
    by_context: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, (context, _) in enumerate(rows):
        by_context[tuple(context)].append(index)
    for context, indices in by_context.items():
        endings = [rows[index][1] for index in indices]
        with runtime.autocast():
            scores = _score(model, context, endings, runtime.device)
        for index, score in zip(indices, scores.tolist(), strict=True):
            sums[index] = score
    return sums


def _score(
    model: LanguageModel,
    context: Sequence[int],
    endings: Sequence[Sequence[int]],
    device: torch.device,
) -> Tensor:
    """Return the log-probabilities of *endings* given *context*: (endings,) float32."""
    cache = None
    if len(context) > 1:
        cache = model.new_cache(1)
        model(torch.tensor([context[:-1]], device=device), cache=cache)
        cache.select([0] * len(endings))
    longest = max(map(len, endings))
    # Padding comes last, so no token attends to it.
    padded = torch.tensor(
        [[context[-1], *ending, *[0] * (longest - len(ending))] for ending in endings],
        device=device,
    )
    is_token = torch.tensor(
        [[index < len(ending) for index in range(longest)] for ending in endings], device=device
    )
    logits: Tensor = model(padded[:, :-1], cache=cache)  # (endings, longest, V)
    log_probabilities = logits.log_softmax(-1, dtype=torch.float32)
    of_endings = log_probabilities.gather(-1, padded[:, 1:, None])[..., 0]
    return of_endings.masked_fill(~is_token, 0.0).sum(-1)


def encode_pair(tokenizer: Tokenizer, context: str, ending: str) -> tuple[list[int], list[int]]:
    """Return the tokens of *context* and those of *ending*, split as lm-evaluation-harness does.

    White space at the end of the context moves to the ending. Both are encoded together, and the
    ending starts after as many tokens as the context has alone: a token across the boundary belongs
    to the context. The context begins with the ids that the tokenizer puts before a text, such as
    BOS; an empty one is the token that starts a text.
    """
    bare = context.rstrip()
    ending = context[len(bare) :] + ending
    prefix, start, _ = Boundaries.of(tokenizer)
    if not bare:
        if not start:
            raise DataError(f"the vocabulary has no {END_OF_TEXT} for a question without a context")
        return start, tokenizer.encode_ordinary(ending)
    alone = tokenizer.encode_ordinary(bare)
    return [*prefix, *alone], tokenizer.encode_ordinary(bare + ending)[len(alone) :]


def _encode(
    tokenizer: Tokenizer, question: Question, longest: int
) -> list[tuple[list[int], list[int]]]:
    """Return context and ending of each choice, cut at the left to *longest* input tokens."""
    rows = []
    for choice in question.choices:
        context, ending = encode_pair(tokenizer, question.context, f" {choice}")
        if not 0 < len(ending) <= longest:
            raise DataError(
                f"{question.origin}: the choice {quoted(choice)} has {len(ending)} tokens, and the "
                f"model's context allows 1 to {longest}; remove the question"
            )
        rows.append((context[-(longest + 1 - len(ending)) :], ending))
    return rows


def read_questions(path: Path) -> list[Question]:
    """Read JSON lines: those of HellaSwag or ARC, or with ``question``, ``choices``, ``answer``.

    HellaSwag has ``ctx``, ``endings`` and ``label``; if ``activity_label``, ``ctx_a`` and ``ctx_b``
    are present, too, the context is built from them as lm-evaluation-harness does. ARC has the
    choices as a table of ``text`` and ``label``, and the label of the answer as ``answerKey``. An
    answer is an index from 0, or a letter from A. Raises DataError naming the line that is neither.
    """
    questions = []
    try:
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    # Not splitlines, which also splits at U+2028 and U+0085, valid inside JSON strings.
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            questions.append(replace(_question(parse_json(line)), origin=f"{path}:{number}"))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}:{number}: not a question ({type(error).__name__}: {cut(str(error), 200)});"
                " it needs ctx, endings and label, or question, choices and answer"
            ) from None
    if not questions:
        raise DataError(f"{path}: has no questions")
    return questions


def _question(fields: Mapping[str, Any]) -> Question:
    if "endings" in fields:
        context, choices, answer = fields["ctx"], fields["endings"], fields["label"]
        if {"activity_label", "ctx_a", "ctx_b"} <= fields.keys():
            after = fields["ctx_b"].capitalize()
            context = f"{fields['activity_label']}: {fields['ctx_a']} {after}"
        context, choices = _clean(context), [_clean(choice) for choice in choices]
    elif "answerKey" in fields:
        context, choices = fields["question"], fields["choices"]["text"]
        answer = [*fields["choices"]["label"]].index(fields["answerKey"])
    else:
        context, choices, answer = fields["question"], fields["choices"], fields["answer"]
    if isinstance(choices, str) or not all(isinstance(t, str) for t in (context, *choices)):
        raise TypeError("a text is not a string")
    if isinstance(answer, str) and len(answer) == 1 and "A" <= answer <= "Z":
        answer = ord(answer) - ord("A")
    if isinstance(answer, bool | float):
        raise TypeError(f"the answer is {answer!r}, not an index or a letter")
    answer = int(answer)  # a string in Hugging Face's copy of HellaSwag
    if not 0 <= answer < len(choices):
        raise ValueError(
            f"the answer is {quoted(answer)}, but there are {len(choices)} choices, counted from 0"
        )
    return Question(context=repair(context), choices=tuple(map(repair, choices)), answer=answer)


# A bracket that nothing closes matches up to the end of its line, so that no search begins in it.
_BRACKETS = re.compile(r"\[[^\]\n]*(?:\]|(?=\n)|\Z)")


def _clean(text: str) -> str:
    """Remove the WikiHow markup from a text of HellaSwag."""
    text = text.strip().replace(" [title]", ". ")
    return _BRACKETS.sub(lambda found: "" if found[0].endswith("]") else found[0], text).replace(
        "  ", " "
    )
