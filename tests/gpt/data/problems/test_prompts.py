"""A user's prompts, and a user's reward function, whatever is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpt.data.contents import Message, plain
from gpt.data.problems.calling import RewardFunction
from gpt.data.problems.problem import Problem, split_of
from gpt.data.problems.prompts import Prompts
from gpt.errors import ConfigError, DataError
from gpt.spec import problems

REWARDS = """
import math, os, time
import numpy

def length(prompt, completion, most=10, **rest):
    print("printed by the function")
    return min(1.0, len(completion) / most)

def broken(prompt, completion, **rest):
    return 1 / len(completion)

def hangs(prompt, completion, **rest):
    while True:
        time.sleep(1)

def ends(prompt, completion, **rest):
    os._exit(3)

def exits(prompt, completion, **rest):
    raise SystemExit("bye")

def nan(prompt, completion, **rest):
    return math.nan

def text(prompt, completion, **rest):
    return "1.0"

def nothing(prompt, completion, **rest):
    pass

def large(prompt, completion, **rest):
    return 1.5

def array(prompt, completion, **rest):
    return numpy.float32(0.25)

def truth(prompt, completion, **rest):
    return completion == "b"
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of reward functions."""
    path = tmp_path_factory.mktemp("rewards") / "reward.py"
    path.write_text(REWARDS)
    return path


def reward(file: Path, function: str, completion: str = "b", seconds: float = 30) -> float:
    """The reward of *completion*."""
    called = RewardFunction(f"{file}:{function}", seconds)
    try:
        problem = Problem("2+2=", None, {"most": 4}, "p.jsonl, line 7")
        (found,) = called([problem], [completion])
        return found
    finally:
        called.close()


def test_a_function_receives_prompt_completion_and_fields(file: Path) -> None:
    """What it prints is not taken for its answer."""
    assert reward(file, "length", "abc") == 0.75


@pytest.mark.parametrize(("function", "value"), [("array", 0.25), ("truth", 1.0)])
def test_what_converts_to_a_number_is_one(file: Path, function: str, value: float) -> None:
    """NumPy's scalars, and truth values."""
    assert reward(file, function) == value


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        ("broken", "line 10: ZeroDivisionError: division by zero"),
        ("exits", "line 20: SystemExit: bye"),
        ("ends", "its process ended with exit code 3"),
        ("nan", "returned nan; return a number from 0 to 1"),
        ("text", "returned '1.0'; return a number from 0 to 1"),
        ("nothing", "returned None; return a number from 0 to 1"),
        ("large", "returned 1.5; return a number from 0 to 1"),
    ],
)
def test_a_function_that_fails_is_one_line_with_the_prompt(
    file: Path, function: str, problem: str
) -> None:
    """What, where in the file, and for which prompt and completion."""
    with pytest.raises(DataError) as caught:
        reward(file, function, "")

    called = "; p.jsonl, line 7: prompt '2+2=', completion ''"
    assert str(caught.value) == f"{file}:{function}: {problem}{called}"


def test_a_function_that_hangs_is_ended(file: Path) -> None:
    """After its time; its process does not survive."""
    called = RewardFunction(f"{file}:hangs", 0.2)

    with pytest.raises(DataError, match=r"hangs: no answer in 0\.2 s; .* prompt '2\+2='"):
        called([Problem("2+2=", None)], ["4"])
    assert called._process.poll() is not None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("reward.py:lenght", "no function lenght; it has array, broken, "),
        ("missing.py:length", "not a Python file"),
        ("syntax.py:length", "line 2: SyntaxError: "),
        ("raises.py:length", "line 1: ModuleNotFoundError: No module named 'torhc'"),
    ],
)
def test_a_function_that_cannot_be_loaded_is_an_error(file: Path, name: str, problem: str) -> None:
    """Before anything is generated."""
    file.with_name("syntax.py").write_text("x = 1\ndef length(:\n")
    file.with_name("raises.py").write_text("import torhc\n")
    path = file.with_name(name)

    with pytest.raises(DataError) as caught:
        RewardFunction(str(path), 1)
    assert str(caught.value).startswith(f"{path}: {problem}")


@pytest.mark.parametrize("name", ["reward.py", ":score", "reward.py:"])
def test_a_name_without_file_or_function_is_an_error(name: str) -> None:
    """In the recipe, before any file is read."""
    with pytest.raises(ConfigError, match=r"FILE\.py:FUNCTION"):
        problems.Prompts(reward=name)


@pytest.fixture
def prompts(tmp_path: Path) -> Prompts:
    """A hundred prompts with answers."""
    path = tmp_path / "prompts.jsonl"
    lines = ({"prompt": f"{n}?", "answer": str(n), "source": "book"} for n in range(100))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Prompts(problems.Prompts(), path)


def test_an_epoch_has_every_prompt_once_in_a_new_order(prompts: Prompts) -> None:
    """And no prompt that is held out."""
    count = sum(split_of(f"{n}?") == "train" for n in range(100))
    epochs = [
        [prompts.problem("train", 0, epoch * count + n).prompt for n in range(count)]
        for epoch in range(2)
    ]

    assert set(epochs[0]) == {f"{n}?" for n in range(100) if split_of(f"{n}?") == "train"}
    assert sorted(epochs[0]) == sorted(epochs[1])
    assert epochs[0] != epochs[1]
    assert prompts.summary.startswith("100 prompts of ")


def test_without_a_function_the_answer_is_compared(prompts: Prompts) -> None:
    """Character by character."""
    problem = prompts.problem("train", 0, 0)
    right = problem.answer or ""

    assert problem.fields == {"answer": right, "source": "book"}
    assert prompts.rewards([problem] * 2, [right, right + " "]) == [1, 0]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "Expecting property name enclosed in double quotes"),
        ("[1]", "expected an object with the field prompt, got [1]"),
        ('{"answer": "1"}', 'no field prompt; expected {"prompt": "..."}, a text or a list of'),
        ('{"prompt": ""}', "field prompt is empty"),
        ('{"prompt": 3}', "field prompt is 3, not text"),
        ('{"prompt": [{"role": "user"}]}', "field prompt, message 1: content is None, not text"),
        ('{"prompt": "a", "answer": 1}', "answer must be the text of a right completion; got 1"),
        ('{"prompt": "a", "answer": "b", "completion": "c"}', "the field completion has the name"),
        ("[" * 10**5, "nested too deeply"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    """By file and number."""
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "a", "answer": "b"}\n\n' + line + "\n")

    with pytest.raises(DataError) as caught:
        Prompts(problems.Prompts(), path)
    assert str(caught.value).startswith(f"{path}, line 3: {problem}")


MESSAGES = [{"role": "user", "content": "2 + 2?"}]


def test_a_prompt_can_be_messages(tmp_path: Path) -> None:
    """Which a chat template renders."""
    path = tmp_path / "prompts.jsonl"
    lines = [[{"role": "user", "content": f"{n} + 2?"}] for n in range(9)]
    path.write_text("".join(json.dumps({"prompt": p, "answer": "4"}) + "\n" for p in lines))
    prompts = Prompts(problems.Prompts(), path)

    assert prompts.templated
    assert plain(prompts.problem("train", 0, 0).prompt) in lines


def test_a_function_receives_messages_as_the_file_has_them(tmp_path: Path) -> None:
    """Objects with role and content."""
    path = tmp_path / "reward.py"
    path.write_text("def right(prompt, completion): return prompt[0]['content'] == completion\n")
    called = RewardFunction(f"{path}:right", 30)
    try:
        asked = Problem((Message("user", "2 + 2?"),), None)
        assert called([asked, asked], ["2 + 2?", "4"]) == [1, 0]
    finally:
        called.close()


def test_text_and_messages_do_not_mix(tmp_path: Path) -> None:
    """Both lines are named."""
    path = tmp_path / "prompts.jsonl"
    lines = ({"prompt": prompt, "answer": "4"} for prompt in ("2 + 2 =", MESSAGES))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    with pytest.raises(DataError, match=r"line 1 is text, and line 2 a list of messages"):
        Prompts(problems.Prompts(), path)


@pytest.mark.parametrize("content", [None, b"", b"\n \n"])
def test_a_file_without_prompts_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    """Missing or empty."""
    path = tmp_path / "prompts.jsonl"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(DataError, match=r"prompts\.jsonl: "):
        Prompts(problems.Prompts(), path)
