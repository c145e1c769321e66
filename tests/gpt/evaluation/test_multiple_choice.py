"""Multiple choice, against a computation with transformers on the exported model."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import pytok
from gpt.__main__ import main
from gpt.errors import DataError
from gpt.evaluation.interval import QUANTILE, Accuracy
from gpt.evaluation.multiple_choice import (
    Question,
    choose_all,
    encode_pair,
    log_likelihoods,
    read_questions,
)
from gpt.interop.huggingface import export_folder
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.runs.reading import Checkpoint
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.pattern import Causal, Window
from tests.gpt.interop.exportable import SHAPES, make_run, make_tokenizer

CPU = Runtime.choose("cpu", "float32")
TEXT = "the cat sat on a mat and saw owls jump over quick zebras with five dozen jugs"
WORDS = TEXT.split(" ")
QUESTIONS = [
    Question(
        context=" ".join(WORDS[number % 7 : number % 7 + 3 + number]),
        choices=tuple(
            " ".join(WORDS[start : start + 1 + (number + start) % 4]) + "é" * (start % 3)
            for start in (number % 5, 5, 8, 11)
        ),
        answer=number % 4,
    )
    for number in range(12)
]


@pytest.fixture(scope="module", params=["gpt2", "llama", "qwen3"])
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Checkpoint, Path]:
    """A random model as a run, and as a folder for transformers."""
    folder = tmp_path_factory.mktemp(request.param)
    checkpoint = make_run(folder / "run", SHAPES[request.param], make_tokenizer())
    export_folder(checkpoint, folder / "hf")
    return checkpoint, folder / "hf"


def by_transformers(folder: Path, question: Question) -> list[float]:
    """Return the log-likelihoods of the choices, each from its own forward pass."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    sums = []
    for choice in question.choices:
        context = len(tokenizer(question.context).input_ids)
        ids = torch.tensor([tokenizer(f"{question.context} {choice}").input_ids])
        with torch.inference_mode():
            probabilities = model(ids).logits.log_softmax(-1)[0, :-1]
        each = probabilities.gather(-1, ids[0, 1:, None])[:, 0]
        sums.append(each[context - 1 :].sum().item())
    return sums


def test_choices_equal_those_of_transformers(exported: tuple[Checkpoint, Path]) -> None:
    """The same log-likelihoods and accuracies, with and without normalization by bytes."""
    checkpoint, folder = exported
    model, tokenizer = checkpoint.model(), checkpoint.tokenizer()
    correct = correct_normed = 0
    for question in QUESTIONS:
        theirs = by_transformers(folder, question)
        rows = [encode_pair(tokenizer, question.context, f" {c}") for c in question.choices]
        ours = log_likelihoods(model, rows, runtime=CPU)
        by_byte = [s / len(c.encode()) for s, c in zip(theirs, question.choices, strict=True)]
        correct += theirs.index(max(theirs)) == question.answer
        correct_normed += by_byte.index(max(by_byte)) == question.answer
        assert ours == pytest.approx(theirs, abs=1e-3)
    result = choose_all(model, tokenizer, QUESTIONS, runtime=CPU)

    assert (result.acc.rate, result.acc_norm.rate) == (correct / 12, correct_normed / 12)
    assert result.questions == 12


@pytest.mark.parametrize("window", [None, 3])
def test_sharing_a_context_changes_no_score(window: int | None) -> None:
    """Choices of any length have the same scores in a batch as alone without a cache."""
    pattern = Causal() if window is None else Window(size=window)
    attention = GroupedQuery(heads=2, kv_heads=1, pattern=pattern)
    model = GPT(GPTConfig(vocab_size=50, context=24, layers=2, width=32, attention=attention))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=torch.Generator())
    rows = [([7, 8, 9, 3], [5]), ([7, 8, 9, 3], [5, 6, 1, 2]), ([4], [9, 9]), ([4], [1])]
    alone = []
    for context, ending in rows:
        ids = torch.tensor([context + ending])
        probabilities = model.eval()(ids[:, :-1]).log_softmax(-1)[0]
        each = probabilities.gather(-1, ids[0, 1:, None])[:, 0]
        alone.append(each[len(context) - 1 :].sum().item())

    assert log_likelihoods(model, rows, runtime=CPU) == pytest.approx(alone, abs=1e-4)


def test_a_boundary_within_a_token_is_split_as_in_the_harness() -> None:
    """The ending is what follows as many tokens as the context has alone."""
    text = "ab abc ab abc ab abc ab abc"
    tokenizer = pytok.train([text], vocab_size=260, pattern=r"[\s\S]+")
    context, ending = encode_pair(tokenizer, "ab a", "bc")
    joined, alone = tokenizer.encode_ordinary("ab abc"), tokenizer.encode_ordinary("ab a")

    assert alone + ending != joined  # a token crosses the boundary
    assert (context, ending) == (alone, joined[len(alone) :])


def test_white_space_at_the_boundary_belongs_to_the_ending() -> None:
    """As in the harness, since a token of a word starts with its space."""
    tokenizer = make_tokenizer()

    assert encode_pair(tokenizer, "the cat \n", " sat") == (
        tokenizer.encode_ordinary("the cat"),
        tokenizer.encode_ordinary("the cat \n sat")[len(tokenizer.encode_ordinary("the cat")) :],
    )


def test_an_empty_context_is_the_start_of_a_document() -> None:
    """It needs a vocabulary with an end-of-text token."""
    tokenizer = make_tokenizer()
    without = pytok.train(["abc"], vocab_size=257, special_tokens=())

    assert encode_pair(tokenizer, "", " a")[0] == [tokenizer.special_tokens["<|endoftext|>"]]
    with pytest.raises(DataError, match="for a question without a context"):
        encode_pair(without, " ", "a")


def test_a_long_context_is_cut_at_its_start(exported: tuple[Checkpoint, Path]) -> None:
    """The ending and the tokens before it remain, as many as fit the model."""
    checkpoint, _ = exported
    model, tokenizer = checkpoint.model(), checkpoint.tokenizer()
    far = Question(context="owl " * 200 + "the cat", choices=("sat", "saw owls"), answer=0)
    context, ending = encode_pair(tokenizer, far.context, " sat")
    cut = context[-(65 - len(ending)) :]

    assert len(cut) + len(ending) == 65
    assert choose_all(model, tokenizer, [far], runtime=CPU).questions == 1
    long = Question(context="a", choices=("owl " * 100,), answer=0)
    with pytest.raises(DataError, match="allows 1 to 64; remove the question"):
        choose_all(model, tokenizer, [long], runtime=CPU)


def test_a_choice_that_does_not_fit_is_named_before_any_is_scored(
    exported: tuple[Checkpoint, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the line of its question."""
    path = tmp_path / "questions.jsonl"
    path.write_text(
        '{"question": "a", "choices": ["b"], "answer": 0}\n'
        f'{{"question": "a", "choices": ["{"owl " * 100}"], "answer": 0}}\n'
    )

    assert main(["eval", str(exported[0].folder), "--choices", str(path)]) == 1
    assert f"gpt: {path}:2: the choice 'owl owl" in capsys.readouterr().err


@pytest.mark.parametrize(("right", "total"), [(0, 7), (3, 7), (7, 7), (300, 1000)])
def test_the_interval_is_that_of_wilson(right: int, total: int) -> None:
    """The observed rate is QUANTILE standard deviations from each end."""
    accuracy = Accuracy.of(right, total)

    assert 0 <= accuracy.low <= accuracy.rate <= accuracy.high <= 1
    for end in (accuracy.low, accuracy.high):
        distance = QUANTILE * math.sqrt(end * (1 - end) / total)
        assert abs(accuracy.rate - end) == pytest.approx(distance, abs=1e-9)


HELLASWAG: dict[str, Any] = {
    "ind": 4,
    "activity_label": "Removing ice from car",
    "ctx_a": "Then, the man writes over the snow.",
    "ctx_b": "then",
    "ctx": "Then, the man writes over the snow. then",
    "endings": [", the man adds wax [step] to it.", "he  stops."],
    "label": 1,
}


@pytest.mark.parametrize(
    ("fields", "question"),
    [
        (
            HELLASWAG,
            Question(
                context="Removing ice from car: Then, the man writes over the snow. Then",
                choices=(", the man adds wax to it.", "he stops."),
                answer=1,
            ),
        ),
        (
            {"ctx": "A man [title] walks", "endings": ["on", "off"], "label": "0"},
            Question(context="A man. walks", choices=("on", "off"), answer=0),
        ),
        (
            {"question": "2 + 2 =", "choices": ["4", "5"], "answer": 0},
            Question(context="2 + 2 =", choices=("4", "5"), answer=0),
        ),
        (
            {"question": "2 + 2 =", "choices": ["4", "5"], "answer": "B"},
            Question(context="2 + 2 =", choices=("4", "5"), answer=1),
        ),
        (
            {
                "question": "2 + 2 =",
                "choices": {"text": ["4", "5"], "label": ["1", "2"]},
                "answerKey": "2",
            },
            Question(context="2 + 2 =", choices=("4", "5"), answer=1),
        ),
        (
            {"question": "a\u2028b\x85c", "choices": ["d"], "answer": 0},
            Question(context="a\u2028b\x85c", choices=("d",), answer=0),
        ),
    ],
)
def test_questions_are_read(fields: dict[str, Any], question: Question, tmp_path: Path) -> None:
    """HellaSwag with and without ctx_a and ctx_b, ARC, and plain questions, between blank lines.

    A byte order mark is no part of the first line.
    """
    path = tmp_path / "questions.jsonl"
    path.write_text(f"\ufeff\n{json.dumps(fields, ensure_ascii=False)}\n\n", encoding="utf-8")

    assert read_questions(path) == [question]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "jsonl:2: not a question"),
        ('{"question": "a", "choices": ["b"]}', r"jsonl:2: not a question \(KeyError: 'answer'"),
        (
            '{"question": "a", "choices": ["b"], "answer": 1}',
            "answer is 1, but there are 1 choices, counted from 0",
        ),
        ('{"question": "a", "choices": [5], "answer": 0}', "a text is not a string"),
        ("[]", "jsonl:2: not a question"),
        ('{"ctx": "a", "endings": [5], "label": 0}', "jsonl:2: not a question"),
        ('{"question": "a", "choices": ["b"], "answer": Infinity}', "jsonl:2: not a question"),
        ('{"question": "a", "choices": ["b"], "answer": true}', "the answer is True"),
        ('{"question": "a", "choices": ["b"], "answer": "B"}', "the answer is 1, but there are 1"),
        ("[" * 100_000, "nested too deeply"),
        (f'{{"question": "{"a" * 9000}", "choices": [], "answer": 0}}', "there are 0 choices"),
    ],
)
def test_other_lines_are_rejected(line: str, message: str, tmp_path: Path) -> None:
    """The error has their number."""
    path = tmp_path / "questions.jsonl"
    path.write_text(f'{{"question": "a", "choices": ["b"], "answer": 0}}\n{line}\n')

    with pytest.raises(DataError, match=message):
        read_questions(path)


def test_command_prints_both_accuracies(
    exported: tuple[Checkpoint, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As text and as JSON; the run needs no data."""
    path = tmp_path / "questions.jsonl"
    lines = [
        json.dumps({"question": q.context, "choices": q.choices, "answer": q.answer})
        for q in QUESTIONS
    ]
    path.write_text("\n".join(lines))
    given = ["eval", str(exported[0].folder), "--choices", str(path), "--dtype", "float32"]
    assert main(given) == 0
    text = capsys.readouterr().out
    assert main([*given, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)

    assert f"acc      {figures['acc']['rate']:.4f} (95%: {figures['acc']['low']:.4f}" in text
    assert f"acc_norm {figures['acc_norm']['rate']:.4f}" in text
    assert figures["questions"] == 12
