"""Multiple choice by likelihood: HellaSwag (Zellers 2019, arXiv:1905.07830) and files like it.

Questions, borders between tokens, and scores are those of EleutherAI's lm-evaluation-harness, so
that figures can be held against others'. Nothing is generated: the model scores each answer, and
its choice is the likeliest, as a sum over tokens (acc) or by the answer's length (acc_norm).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpt.errors import DataError
from gpt.evaluation.interval import Accuracy
from gpt.model.gpt import GPT
from gpt.nn.cache import KeyValueCache
from gpt.parallel.runtime import Runtime
from pytok.definition import END_OF_TEXT
from pytok.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class Question:
    """A text, and what may come next."""

    context: str
    choices: tuple[str, ...]
    """Each follows the context after a space."""
    answer: int
    """Which of them is right, from 0."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How a model chose."""

    questions: int
    acc: Accuracy
    """The answer of the greatest sum of log-likelihoods is the right one."""
    acc_norm: Accuracy
    """The same with sums divided by the answer's UTF-8 bytes."""


def choose_all(
    model: GPT,
    tokenizer: Tokenizer,
    questions: Sequence[Question],
    *,
    runtime: Runtime,
    progress: Callable[[int, int], object] | None = None,
) -> Choices:
    """Have *model*, in evaluation mode, answer *questions*.

    *progress* is told, after each question, how many tokens of answers have been scored, and of how
    many. Raises DataError for a question that does not fit the model.
    """
    encoded = [_encoded(tokenizer, question, model.config.context) for question in questions]
    total, done = sum(len(ending) for rows in encoded for _, ending in rows), 0
    plain = normed = 0
    for question, rows in zip(questions, encoded, strict=True):
        sums = log_likelihoods(model, rows, runtime=runtime)
        lengths = [max(1, len(choice.encode())) for choice in question.choices]
        by_byte = [value / length for value, length in zip(sums, lengths, strict=True)]
        plain += sums.index(max(sums)) == question.answer
        normed += by_byte.index(max(by_byte)) == question.answer
        done += sum(len(ending) for _, ending in rows)
        if progress is not None:
            progress(done, total)
    return Choices(
        questions=len(questions),
        acc=Accuracy.of(plain, len(questions)),
        acc_norm=Accuracy.of(normed, len(questions)),
    )


@torch.inference_mode()
def log_likelihoods(
    model: GPT, rows: Sequence[tuple[Sequence[int], Sequence[int]]], *, runtime: Runtime
) -> list[float]:
    """Sum the log-probabilities, in nats, of each row's ending after its context.

    A context that several rows share is read once.
    """
    sums = [0.0] * len(rows)
    sharing: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, (context, _) in enumerate(rows):
        sharing[tuple(context)].append(place)
    for context, places in sharing.items():
        endings = [rows[place][1] for place in places]
        with runtime.autocast():
            scored = _scored(model, context, endings, runtime.device)
        for place, value in zip(places, scored.tolist(), strict=True):
            sums[place] = value
    return sums


def _scored(
    model: GPT, context: Sequence[int], endings: Sequence[Sequence[int]], device: torch.device
) -> Tensor:
    """Sums of the log-probabilities of *endings* after *context*: (endings,), float32."""
    cache = None
    if len(context) > 1:
        read = model.new_cache(1)
        model(torch.tensor([context[:-1]], device=device), cache=read)
        cache = [KeyValueCache.join([layer] * len(endings)) for layer in read]
    longest = max(map(len, endings))
    # Padding comes last, so that no token sees it.
    padded = torch.tensor(
        [[context[-1], *ending, *[0] * (longest - len(ending))] for ending in endings],
        device=device,
    )
    counted = torch.tensor(
        [[place < len(ending) for place in range(longest)] for ending in endings], device=device
    )
    logits: Tensor = model(padded[:, :-1], cache=cache).logits  # (endings, longest, V)
    probabilities = logits.log_softmax(-1, dtype=torch.float32).gather(-1, padded[:, 1:, None])
    return probabilities[..., 0].masked_fill(~counted, 0.0).sum(-1)


def encode_pair(tokenizer: Tokenizer, context: str, ending: str) -> tuple[list[int], list[int]]:
    """Tokens of *context*, and those that *ending* adds to them, as lm-evaluation-harness has it.

    White space at the context's end goes to the ending. Both are encoded together, and the ending
    is what follows as many tokens as the context has alone: where a token crosses the border, it
    counts as the context's. An empty context is the end-of-text token.
    """
    bare = context.rstrip()
    ending = context[len(bare) :] + ending
    if not bare:
        if END_OF_TEXT not in tokenizer.special_tokens:
            raise DataError(f"the vocabulary has no {END_OF_TEXT} for a question without a context")
        return [tokenizer.special_tokens[END_OF_TEXT]], tokenizer.encode_ordinary(ending)
    alone = tokenizer.encode_ordinary(bare)
    return alone, tokenizer.encode_ordinary(bare + ending)[len(alone) :]


def _encoded(
    tokenizer: Tokenizer, question: Question, longest: int
) -> list[tuple[list[int], list[int]]]:
    """Each choice as a row of context and ending, whose last tokens fit a context of *longest*."""
    rows = []
    for choice in question.choices:
        context, ending = encode_pair(tokenizer, question.context, f" {choice}")
        if not 0 < len(ending) <= longest:
            raise DataError(
                f"the choice {choice[:60]!r} has {len(ending)} tokens of its own, and the model's "
                f"context takes 1 to {longest}; leave its question out"
            )
        rows.append((context[-(longest + 1 - len(ending)) :], ending))
    return rows


def read_questions(path: Path) -> list[Question]:
    """Read the JSON lines of *path*: HellaSwag's own, or ``question``, ``choices``, ``answer``.

    HellaSwag's are ``ctx``, ``endings`` and ``label``; where ``activity_label``, ``ctx_a`` and
    ``ctx_b`` are there, too, the context is made of them as lm-evaluation-harness does. Raises
    DataError naming the line that is neither.
    """
    questions = []
    try:
        # Not splitlines, which also ends lines at what JSON may have in a string: U+2028, U+0085.
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            questions.append(_question(json.loads(line)))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}:{number}: not a question ({type(error).__name__}: {error}); it needs ctx, "
                "endings and label, or question, choices and answer"
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
        context, choices = _tidy(context), [_tidy(choice) for choice in choices]
    else:
        context, choices, answer = fields["question"], fields["choices"], fields["answer"]
    if isinstance(choices, str) or not all(isinstance(t, str) for t in (context, *choices)):
        raise TypeError("a text is not a string")
    answer = int(answer)  # a string in Hugging Face's copy of HellaSwag
    if not 0 <= answer < len(choices):
        raise ValueError(f"the answer is {answer}, of {len(choices)} choices counted from 0")
    return Question(context=context, choices=tuple(choices), answer=answer)


def _tidy(text: str) -> str:
    """Take out the marks that WikiHow left in HellaSwag's texts."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")
