"""Conversations of a user and an assistant in the formats of other trainers, read.

The format of an object follows from its fields: ``conversations`` (ShareGPT), ``messages``
(OpenAI), ``instruction`` (Alpaca), ``turns`` (`pytok.chat.template.write_conversations`). Outputs
of tools are turns that are never trained on. A call of a tool is text of the assistant, as Hermes
and Qwen write it::

    <tool_call>
    {"name": "add", "arguments": {"a": 1, "b": 2}}
    </tool_call>
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from pytok.chat.template import ASSISTANT, ROLE_SYSTEM, TOOL, USER, Conversation, Turn, from_fields
from pytok.errors import ChatError
from pytok.text import cut, repair

Unread = Counter[str]
"""How often each field occurred that was not read, by its name."""

_CALL = "call"
"""Stands for a role of ShareGPT: the assistant, whose text is a call."""
_SHAREGPT_ROLES = {
    "system": ROLE_SYSTEM,
    "human": USER,
    "user": USER,
    "gpt": ASSISTANT,
    "assistant": ASSISTANT,
    "function_call": _CALL,
    "observation": TOOL,
    "tool": TOOL,
}
_OPENAI_ROLES = {
    "system": ROLE_SYSTEM,
    "developer": ROLE_SYSTEM,
    "user": USER,
    "assistant": ASSISTANT,
    "tool": TOOL,
    "function": TOOL,
}


def read_conversation(value: Any, unread: Unread) -> Conversation:
    """Return the conversation that *value*, an object of JSON, has in one of `FORMATS`.

    Counts fields that are not read in *unread*. Raises ChatError with the field that is wrong.
    """
    if not isinstance(value, dict):
        raise ChatError(f"expected an object with {_named_fields()}; got {_shown(value)}")
    found = next((read for field, read in FORMATS.items() if field in value), None)
    if found is None:
        raise ChatError(
            f"the object has none of the fields {_named_fields()}, which conversations have, and "
            "no text, which a corpus has"
        )
    return found(value, unread)


def _sharegpt(value: Mapping[str, Any], unread: Unread) -> Conversation:
    _count_unread(value, {"conversations", "system"}, unread, "")
    turns = []
    for number, message in enumerate(_list(value["conversations"], "conversations")):
        where = f"conversations[{number}]"
        fields = _object(message, where)
        _count_unread(fields, {"from", "value"}, unread, "conversations.")
        role = _role(fields.get("from"), f"{where}.from", _SHAREGPT_ROLES)
        text = _string(fields.get("value"), f"{where}.value")
        if role == _CALL:
            role, text = ASSISTANT, _tagged(text)
        turns.append(_turn(role, text))
    return _conversation(turns, value.get("system"), "conversations")


def _openai(value: Mapping[str, Any], unread: Unread) -> Conversation:
    _count_unread(value, {"messages"}, unread, "")
    turns = []
    for number, message in enumerate(_list(value["messages"], "messages")):
        where = f"messages[{number}]"
        fields = _object(message, where)
        read = {"role", "content", "tool_calls", "function_call", "weight"}
        _count_unread(fields, read, unread, "messages.")
        role = _role(fields.get("role"), f"{where}.role", _OPENAI_ROLES)
        weight = fields.get("weight", 1)
        if weight not in (0, 1):
            raise _wrong(f"{where}.weight", weight, "0 or 1, whether it is trained on")
        turn = _turn(role, "\n".join(_openai_texts(fields, where)))
        turns.append(turn if weight else Turn(turn.speaker, turn.text, False))
    return _conversation(turns, None, "messages")


def _openai_texts(fields: Mapping[str, Any], where: str) -> list[str]:
    """Return the content of a message, if there is any, and its calls."""
    calls = [
        (_object(call, f"{where}.tool_calls[{n}]").get("function"), f"{where}.tool_calls[{n}]")
        for n, call in enumerate(_list(fields.get("tool_calls") or [], f"{where}.tool_calls"))
    ]
    if fields.get("function_call") is not None:
        calls.append((fields["function_call"], where))
    texts = []
    if (content := fields.get("content")) is not None or not calls:
        texts.append(_content(content, f"{where}.content"))
    for call, of in calls:
        function = _object(call, f"{of}.function")
        name = _string(function.get("name"), f"{of}.function.name")
        texts.append(_call(name, function.get("arguments")))
    return [text for text in texts if text] or [""]


def _content(value: Any, where: str) -> str:
    """Return a text, or the texts of a list of parts."""
    if not isinstance(value, list):
        return _string(value, where)
    texts = []
    for number, part in enumerate(value):
        fields = _object(part, f"{where}[{number}]")
        if fields.get("type") != "text":
            raise _wrong(f"{where}[{number}].type", fields.get("type"), "'text'")
        texts.append(_string(fields.get("text"), f"{where}[{number}].text"))
    return "".join(texts)


def _call(name: str, arguments: Any) -> str:
    """Return a call of a tool as text; *arguments* is an object, or its JSON."""
    if isinstance(arguments, str):
        with suppress(ValueError, RecursionError):  # what is no JSON stays a text
            arguments = json.loads(arguments)
    return _tagged(repair(json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)))


def _tagged(call: str) -> str:
    return f"<tool_call>\n{call}\n</tool_call>"


def _alpaca(value: Mapping[str, Any], unread: Unread) -> Conversation:
    read = {"instruction", "input", "output", "system", "history"}
    _count_unread(value, read, unread, "")
    turns = []
    for number, pair in enumerate(_list(value.get("history") or [], "history")):
        where = f"history[{number}]"
        if not isinstance(pair, list) or len(pair) != 2:
            raise _wrong(where, pair, "a list of two texts, of the user and the assistant")
        turns += [
            Turn(role, _string(text, f"{where}[{n}]"))
            for n, (role, text) in enumerate(zip((USER, ASSISTANT), pair, strict=True))
        ]
    asked = [
        _string(value["instruction"], "instruction"),
        _optional(value.get("input"), "input") or "",
    ]
    turns.append(Turn(USER, "\n".join(text for text in asked if text)))
    turns.append(Turn(ASSISTANT, _string(value.get("output"), "output")))
    return _conversation(turns, value.get("system"), "instruction")


def _own(value: Mapping[str, Any], unread: Unread) -> Conversation:
    return from_fields(value)


FORMATS: Mapping[str, Callable[[Mapping[str, Any], Unread], Conversation]] = {
    "conversations": _sharegpt,
    "messages": _openai,
    "instruction": _alpaca,
    "turns": _own,
}
"""The formats, by the field that identifies each."""


def _named_fields() -> str:
    *fields, last = FORMATS
    return f"{', '.join(fields)} or {last}"


def _conversation(turns: Iterable[Turn], system: Any, field: str) -> Conversation:
    """Return *turns* as a conversation; a system prompt is *system*, or the first of them."""
    turns = list(turns)
    prompt = _optional(system, "system") or None
    if turns and turns[0].speaker == ROLE_SYSTEM and prompt is None:
        prompt = turns.pop(0).text
    if not turns:
        raise ChatError(f"{field} has no turn; remove the conversation")
    return Conversation(tuple(turns), prompt)


def _turn(role: str, text: str) -> Turn:
    return Turn(role, text, trained_on=role not in (ROLE_SYSTEM, TOOL))


def _role(value: Any, where: str, roles: Mapping[str, str]) -> str:
    if not isinstance(value, str) or value not in roles:
        raise _wrong(where, value, f"one of {', '.join(roles)}")
    return roles[value]


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(where, value, "a list")
    return value


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(where, value, "an object")
    return value


def _string(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong(where, value, "a string")
    return repair(value)


def _optional(value: Any, where: str) -> str | None:
    return None if value is None else _string(value, where)


def _wrong(where: str, value: Any, wanted: str) -> ChatError:
    return ChatError(f"{where} is {_shown(value)}, not {wanted}")


def _shown(value: Any) -> str:
    return cut(json.dumps(value, ensure_ascii=False), 60)


def _count_unread(fields: Mapping[str, Any], read: set[str], unread: Unread, prefix: str) -> None:
    unread.update(prefix + name for name in fields if name not in read)
