"""Problems that are generated, and their rewards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpt.data.problems.build import build_problems
from gpt.data.problems.problem import Problem, split_of
from gpt.errors import ConfigError
from gpt.spec.problems import SHIPPED, Addition, AnyProblems, Format, Parity, Sorting

NOTHING = Path()
"""No file is read."""
SPECS = [Addition(), Sorting(), Parity(), Format()]


def answer(spec: AnyProblems, prompt: str) -> str:
    """The answer to *prompt*, computed from its text alone."""
    body = prompt.removesuffix("=").split(" ", 1)[-1]
    if isinstance(spec, Addition):
        return str(sum(map(int, body.split("+"))))
    if isinstance(spec, Sorting):
        return "".join(sorted(body))
    if isinstance(spec, Parity):
        return "odd" if body.count("1") % 2 else "even"
    return json.dumps(body.split(), separators=(",", ":"))


def kind(spec: AnyProblems) -> str:
    return type(spec).__name__


@pytest.mark.parametrize("spec", SPECS, ids=kind)
def test_a_problem_is_a_function_of_seed_and_index(spec: AnyProblems) -> None:
    """Whichever problems were asked for before."""
    one, other = build_problems(spec, NOTHING), build_problems(spec, NOTHING)
    found = [one.problem("train", 5, index) for index in range(20)]

    assert [other.problem("train", 5, index) for index in reversed(range(20))] == found[::-1]
    assert [one.problem("train", 6, index) for index in range(20)] != found


@pytest.mark.parametrize("spec", SPECS, ids=kind)
def test_a_problem_is_in_one_split(spec: AnyProblems) -> None:
    """It follows from the prompt, so no seed can mix them."""
    source = build_problems(spec, NOTHING)
    train = {source.problem("train", seed, index).prompt for seed in (0, 1) for index in range(300)}
    held_out = {source.problem("val", seed, index).prompt for seed in (0, 2) for index in range(99)}

    assert not train & held_out
    assert {split_of(prompt) for prompt in held_out} == {"val"}


@pytest.mark.parametrize("spec", SPECS, ids=kind)
def test_the_right_answer_has_the_reward_1(spec: AnyProblems) -> None:
    """And what was asked for with another prompt has not."""
    source = build_problems(spec, NOTHING)
    problems = [source.problem("val", 1, index) for index in range(50)]
    right = [answer(spec, problem.prompt) for problem in problems]

    assert source.rewards(problems, right) == [1.0] * 50
    assert max(source.rewards(problems, ["x" + text for text in right])) == 0
    assert max(source.rewards(problems, [""] * 50)) == 0


def test_a_list_in_another_form_is_right_and_another_list_is_half_right() -> None:
    """The format is checked by parsing."""
    source = build_problems(Format(), NOTHING)
    problem = Problem("json owl pig=", '["owl","pig"]')
    completions = ['[ "owl" ,\n "pig" ]', '["pig"]', '["owl", 1]', "owl", '["owl"', "[" * 10**5]

    assert source.rewards([problem] * 6, completions) == [1, 0.5, 0, 0, 0, 0]


def test_too_few_problems_for_two_splits_is_an_error() -> None:
    """Instead of an endless search for a held-out problem."""
    with pytest.raises(ConfigError, match="parity of this size has too few problems"):
        build_problems(Parity(bits=2), NOTHING)


@pytest.mark.parametrize("text", ["digits=0", "digits=19"])
def test_a_size_out_of_range_is_named(text: str) -> None:
    """In one line."""
    with pytest.raises(ConfigError, match="digits must be from 1 to 18"):
        Addition(digits=int(text.partition("=")[2]))


def test_every_shipped_kind_has_a_name() -> None:
    """That of its spec, in lower case."""
    assert {name: type(spec) for name, spec in zip(SHIPPED, SPECS, strict=True)} == SHIPPED
