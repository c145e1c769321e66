"""Rendering of chat templates in Jinja by the rules of transformers, in a sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import Template as CompiledTemplate
from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from pytok.chat.jinja_sandbox import BoundedEnvironment
from pytok.errors import ChatError

BEGIN, END = "\ufdd0", "\ufdd1"
"""Marks around what a model writes, by ``{% generation %}``. Unicode has them for such use."""


class _Generation(Extension):
    """Puts `BEGIN` and `END` around the content of ``{% generation %}`` blocks."""

    tags = {"generation"}  # noqa: RUF012 (Jinja's own declaration)

    def parse(self, parser: Parser) -> nodes.Node:
        """Parse a block, whose content becomes the caller of `_marked`."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_marked"), [], [], body).set_lineno(line)

    def _marked(self, caller: Callable[[], str]) -> str:
        return f"{BEGIN}{caller()}{END}"


def _reject(message: str) -> NoReturn:
    raise TemplateError(message)


def _to_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    """Return *value* as JSON; Jinja's own filter escapes what is markup in HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


@lru_cache(maxsize=16)
def _compiled(source: str) -> CompiledTemplate:
    """Compile *source* by the rules of transformers, in a sandbox.

    ``strftime_now`` is missing: a template then writes a date of its own, and the rows of a run do
    not depend on the day.
    """
    environment = BoundedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_Generation, "jinja2.ext.loopcontrols"],
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _reject
    return environment.from_string(source)


def render_source(
    source: str,
    variables: Sequence[tuple[str, str]],
    messages: Sequence[Mapping[str, str]],
    prompts: bool,
    *,
    marked: bool = False,
) -> str:
    """Render *messages*, with a generation prompt if it *prompts*; *marked* keeps the marks.

    Raises ChatError for whatever the template raises.
    """
    try:
        with BoundedEnvironment.rendering():
            text = _compiled(source).render(
                messages=messages,
                tools=None,
                documents=None,
                add_generation_prompt=prompts,
                **dict(variables),
            )
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        where = "" if line is None else f" (line {line})"
        raise ChatError(f"the chat template rejects it{where}: {error.message}") from None
    except Exception as error:  # a template is a program of others, which can fail in any way
        raise ChatError(f"the chat template fails: {type(error).__name__}: {error}") from None
    return text if marked else text.replace(BEGIN, "").replace(END, "")
