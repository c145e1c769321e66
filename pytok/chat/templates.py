"""The known chat templates, and which of them a run has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from pytok.chat.jinja_template import JinjaTemplate
from pytok.chat.template import ChatTemplate, Template
from pytok.errors import ChatError
from pytok.tokenizer import Tokenizer

TemplateName: TypeAlias = Literal["ours", "chatml", "llama3"]
"""Names of chat templates: pytok's own, and `KNOWN`."""

_CHATML = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- if message['role'] == 'assistant' -%}
{%- generation -%}{{- message['content'] + '<|im_end|>' -}}{%- endgeneration -%}
{%- else -%}
{{- message['content'] + '<|im_end|>' -}}
{%- endif -%}
{{- '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""
_LLAMA_3 = """\
{{- bos_token -}}
{%- for message in messages -%}
{%- set role = 'ipython' if message['role'] == 'tool' else message['role'] -%}
{{- '<|start_header_id|>' + role + '<|end_header_id|>\\n\\n' -}}
{%- if role == 'assistant' -%}
{%- generation -%}{{- message['content'] | trim + '<|eot_id|>' -}}{%- endgeneration -%}
{%- else -%}
{{- message['content'] | trim + '<|eot_id|>' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
{%- endif -%}
"""

KNOWN: Mapping[TemplateName, JinjaTemplate] = {
    "chatml": JinjaTemplate(_CHATML, ("<|im_start|>", "<|im_end|>")),
    "llama3": JinjaTemplate(_LLAMA_3, ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")),
}
"""The templates of other software that can be chosen: OpenAI's ChatML, and that of Llama 3, in
which texts are stripped and tools are called ipython."""


def stored_template(tokenizer: Tokenizer, document: bytes | None) -> ChatTemplate | None:
    """Return the chat template of a run, if it has one.

    That is *document*, the content of its chat.json, or else the ``chat_template`` in the settings
    of *tokenizer*. Raises ChatError if it is no template.
    """
    return JinjaTemplate.of(tokenizer) if document is None else Template.from_json(document)


def check_name(name: str) -> None:
    """Raise ChatError if *name* is not that of a template."""
    if name != "ours" and name not in KNOWN:
        raise ChatError(f"{name!r} is not a chat template; choose ours or {', '.join(KNOWN)}")
