"""What an export says of a chat model: its chat template, and where a turn ends."""

from __future__ import annotations

from gpt.errors import FormatError
from gpt.runs.reading import Checkpoint
from pytok.chat.jinja_template import SETTING
from pytok.chat.template import TEMPLATE_FILE
from pytok.errors import ChatError


def chat_template(checkpoint: Checkpoint) -> str | None:
    """Return the chat template of *checkpoint* in Jinja, if it has one; raises FormatError.

    A template of other software is returned as it was read, whether gpt can use it or not.
    """
    if TEMPLATE_FILE not in checkpoint.data_files:
        found = checkpoint.tokenizer().definition.settings.config.get(SETTING)
        return found if isinstance(found, str) else None
    try:
        template = checkpoint.chat_template()
    except ChatError as error:
        raise FormatError(str(error)) from error
    return None if template is None else template.jinja()


def turn_ends(checkpoint: Checkpoint) -> frozenset[int]:
    """Return the ids at which a turn of the model ends, if it has a chat template that gpt uses."""
    try:
        template = checkpoint.chat_template()
        return frozenset() if template is None else template.end_ids(checkpoint.tokenizer())
    except ChatError as error:
        if TEMPLATE_FILE in checkpoint.data_files:
            raise FormatError(str(error)) from error
        return frozenset()
