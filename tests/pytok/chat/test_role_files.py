"""Conversations in the formats of other trainers: what is read, and what a wrong line is."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytok.chat.exporting import export
from pytok.chat.role_files import holds_conversations, read_records
from pytok.chat.role_formats import Unread, read_conversation
from pytok.chat.template import Conversation, Turn, write_conversations
from pytok.errors import ChatError

USER, ANSWER = Turn("user", "2 + 2?"), Turn("assistant", "4")


def read(value: Any) -> Conversation:
    """Return *value* as a conversation."""
    return read_conversation(value, Unread())


@pytest.mark.parametrize(
    "value",
    [
        {
            "conversations": [
                {"from": "system", "value": "Be brief."},
                {"from": "human", "value": "2 + 2?"},
                {"from": "gpt", "value": "4"},
            ]
        },
        {
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "2 + "}, {"type": "text", "text": "2?"}],
                },
                {"role": "assistant", "content": "4"},
            ]
        },
        {"instruction": "2 + 2?", "input": "", "output": "4", "system": "Be brief."},
        {
            "turns": [
                {"speaker": "user", "text": "2 + 2?"},
                {"speaker": "assistant", "text": "4"},
            ],
            "system": "Be brief.",
        },
    ],
    ids=["sharegpt", "openai", "alpaca", "own"],
)  # fmt: skip
def test_formats_are_found_by_their_fields(value: Any) -> None:
    """Each says the same conversation."""
    assert read(value) == Conversation((USER, ANSWER), "Be brief.")


def test_the_input_of_alpaca_follows_its_instruction() -> None:
    """After the turns of the history."""
    value = {"instruction": "Add.", "input": "1, 2", "output": "3", "history": [["Hi", "Hello"]]}

    assert read(value).turns == (
        Turn("user", "Hi"),
        Turn("assistant", "Hello"),
        Turn("user", "Add.\n1, 2"),
        Turn("assistant", "3"),
    )


def test_calls_of_tools_are_text_and_outputs_are_not_trained_on() -> None:
    """In both formats that have them."""
    call = '<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": "ü"}}\n</tool_call>'
    sharegpt = [
        {"from": "human", "value": "2 + 2?"},
        {"from": "function_call", "value": '{"name": "add", "arguments": {"a": 2, "b": "ü"}}'},
        {"from": "observation", "value": "4"},
        {"from": "gpt", "value": "4"},
    ]
    function = {"name": "add", "arguments": '{"a": 2, "b": "\\u00fc"}'}
    openai = [
        {"role": "user", "content": "2 + 2?"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": function}]},
        {"role": "tool", "tool_call_id": "1", "content": "4"},
        {"role": "assistant", "content": "4"},
    ]
    turns = (USER, Turn("assistant", call), Turn("tool", "4", trained_on=False), ANSWER)

    assert read({"conversations": sharegpt}).turns == turns
    assert read({"messages": openai}).turns == turns


def test_a_message_can_have_a_text_and_calls() -> None:
    """Arguments can be an object or a text that is no JSON; function_call is an older name."""
    calls = [{"function": {"name": "f", "arguments": {}}}]
    first = {"role": "assistant", "content": "Well", "tool_calls": calls}
    second = {"role": "assistant", "function_call": {"name": "g", "arguments": "{"}}

    assert [turn.text for turn in read({"messages": [first, second]}).turns] == [
        'Well\n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>',
        '<tool_call>\n{"name": "g", "arguments": "{"}\n</tool_call>',
    ]


def test_a_weight_of_zero_is_not_trained_on() -> None:
    """As OpenAI's fine-tuning has it; nor are instructions in the middle of a conversation."""
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "weight": 0},
        {"role": "system", "content": "c"},
        {"role": "assistant", "content": "d", "weight": 1},
    ]

    assert [turn.trained_on for turn in read({"messages": messages}).turns] == [
        True,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (5, "expected an object with conversations, messages, instruction or turns; got 5"),
        ({"prompt": "x"}, "none of the fields conversations, messages, instruction or turns"),
        ({"messages": []}, "messages has no turn; remove the conversation"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages has no turn"),
        ({"messages": {}}, "messages is {}, not a list"),
        ({"messages": ["x"]}, r'messages\[0\] is "x", not an object'),
        ({"messages": [{"role": "bot", "content": "x"}]}, r'messages\[0\].role is "bot", not one'),
        ({"messages": [{"role": "user"}]}, r"messages\[0\].content is null, not a string"),
        ({"messages": [{"role": "user", "content": 1}]}, r"messages\[0\].content is 1, not a str"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
         r"messages\[0\].content\[0\].type is \"image_url\", not 'text'"),
        ({"messages": [{"role": "assistant", "content": "", "weight": 2}]},
         r"messages\[0\].weight is 2, not 0 or 1"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]},
         r"messages\[0\].tool_calls\[0\].function.name is null, not a string"),
        ({"conversations": [{"from": "human", "value": None}]},
         r"conversations\[0\].value is null, not a string"),
        ({"conversations": [{"from": 1, "value": ""}]}, r"conversations\[0\].from is 1, not one"),
        ({"instruction": "x"}, "output is null, not a string"),
        ({"instruction": "x", "output": "y", "history": [["a"]]}, r"history\[0\] is \[\"a\"\]"),
        ({"turns": [{"speaker": "user"}]}, "a turn is not an object of two strings"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(value: Any, complaint: str) -> None:
    """With its value, and what it should be."""
    with pytest.raises(ChatError, match=complaint):
        read(value)


def test_fields_that_are_not_read_are_counted(tmp_path: Path) -> None:
    """Nothing is ignored in silence."""
    message = {"role": "user", "content": "x", "name": "Ada"}
    path = tmp_path / "talks.jsonl"
    path.write_text(json.dumps({"messages": [message, message], "id": 1}) + "\n")
    unread = Unread()
    list(read_records(path, unread))

    assert unread == {"messages.name": 2, "id": 1}


LINES = [json.dumps({"instruction": each, "output": each}) for each in "abc"]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("\n".join(LINES), [1, 2, 3]),
        ("\ufeff" + "\r\n".join(LINES) + "\n\n", [1, 2, 3]),
        ("\n\n".join(LINES), [1, 3, 5]),
        ("[" + ",".join(LINES) + "]", [1, 1, 1]),
        ("\ufeff \n[\n" + "\n,\n".join(LINES) + "\n]\n", [3, 5, 7]),
        (json.dumps([json.loads(line) for line in LINES], indent=1), [2, 6, 10]),
    ],
)
def test_lines_and_arrays_are_read_with_the_line_of_each(
    tmp_path: Path, content: str, lines: list[int]
) -> None:
    """Whatever the line breaks are."""
    path = tmp_path / "talks.json"
    path.write_text(content, encoding="utf-8", newline="")
    records = list(read_records(path))

    assert [record.where for record in records] == [f"{path}, line {line}" for line in lines]
    assert [record.conversation.turns[0].text for record in records] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (LINES[0].encode() + b"\n{", "line 2: not JSON .*; expected a conversation per line, or"),
        (LINES[0].encode() + b'\n{"instruction": 1}', "line 2: instruction is 1, not a string"),
        (b"\n\xff", r"line 2: not JSON \(not UTF-8\)"),
        (b"[\n\xff]", r"line 2: not JSON \(not UTF-8\)"),
        (b'{"a": ' + b"[" * 100_000, r"line 1: not JSON \(nested too deeply\)"),
        (b"[" * 100_000, r"line 1: not JSON \(nested too deeply\)"),
        (b'[\n{"turns": []},\n{]', r"line 3: not JSON"),
        (b"[\n" + LINES[0].encode() + b"\n" + LINES[1].encode(), "line 3: .*expected , or ]"),
        (b"[]\nx", "line 1: .*more after the end"),
        (b"[", "line 1: not JSON"),
        (b"[\n1]", "line 2: expected an object"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, content: bytes, complaint: str) -> None:
    """Whatever is wrong with it."""
    path = tmp_path / "talks.jsonl"
    path.write_bytes(content)

    with pytest.raises(ChatError, match=rf"talks.jsonl, {complaint}"):
        list(read_records(path))


FIELDS = ("messages", "role", "content", "weight", "tool_calls", "function", "name", "arguments")
FIELDS += ("conversations", "from", "value", "instruction", "input", "output", "history", "system")
FIELDS += ("turns", "speaker", "text", "trained_on")
values = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["user", "gpt"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4)
    ),
)


@given(values)
def test_whatever_an_object_has_is_read_or_rejected(value: Any) -> None:
    """By a ChatError."""
    with suppress(ChatError):
        assert read(value).turns or "turns" in value


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", LINES[0], True),
        ("a.json", f"[{LINES[0]}]", True),
        ("a.jsonl", '{"instruction": "x", "output": "y", "text": "z"}', True),
        ("a.jsonl", '{"prompt": "x"}', True),
        ("a.jsonl", '{"text": "x"}', False),
        ("a.jsonl", "", False),
        ("a.jsonl", "{", False),
        ("a.jsonl", "[1]", False),
        ("a.txt", LINES[0], False),
    ],
)
def test_a_corpus_is_not_conversations(
    tmp_path: Path, name: str, content: str, expected: bool
) -> None:
    """A corpus of JSON lines has a text in each."""
    (tmp_path / name).write_text(content)

    assert holds_conversations(tmp_path / name) is expected
    assert not holds_conversations(tmp_path)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(said=st.lists(texts, min_size=2, max_size=6), system=st.none() | texts)
@pytest.mark.parametrize("to", ["sharegpt", "openai"])
def test_what_is_exported_is_read_again(to: str, said: list[str], system: str | None) -> None:
    """The formats of `pytok chat export`."""
    said = said[: len(said) // 2 * 2]
    turns = tuple(Turn(("Bo", "Ada")[n % 2], text) for n, text in enumerate(said))
    [exported] = export([Conversation(turns, system)], "Ada", to).conversations

    found = read(exported)
    assert found.system == system
    assert [(turn.speaker, turn.text) for turn in found.turns] == [
        (("user", "assistant")[n % 2], text) for n, text in enumerate(said)
    ]


def test_what_chat_saves_is_read(tmp_path: Path) -> None:
    """`write_conversations` is one of the formats, with what is not trained on."""
    talk = Conversation((USER, Turn("tool", "x", trained_on=False), ANSWER), "s")
    write_conversations(tmp_path / "saved.jsonl", [talk])

    assert [each.conversation for each in read_records(tmp_path / "saved.jsonl")] == [talk]
