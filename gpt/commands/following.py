"""The command that comes next, with which a command ends: it can be typed as it is."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from gpt.runs.retention import find_checkpoint

if TYPE_CHECKING:
    from pytok.tokenizer import Tokenizer


def next_command(run: Path) -> str:
    """Return the command that uses the model of the run folder *run*.

    It chats if the model was trained on a chat, classifies if it predicts classes, translates if it
    reads pairs, fills in masks if it reads in both directions, and otherwise writes a text; with a
    prompt if the vocabulary has no token to start with.
    """
    import pytok
    from gpt.data.boundaries import Boundaries
    from gpt.data.masking import mask_text
    from gpt.runs.reading import TOKENIZER_CONFIG, read_state
    from pytok.chat.template import TEMPLATE_FILE

    folder = find_checkpoint(run)
    assert folder is not None
    if (folder / TEMPLATE_FILE).exists():
        return shlex.join(["gpt", "chat", str(run)])
    model = read_state(folder).config
    if model.classifies:
        return shlex.join(["gpt", "classify", "predict", str(run), "TEXT"])
    is_set = (folder / TOKENIZER_CONFIG).exists()
    tokenizer = pytok.load(folder if is_set else folder / "tokenizer.json")
    prompt = None
    if model.causal and not model.reads_pairs and _chats(tokenizer):
        return shlex.join(["gpt", "chat", str(run)])
    if model.reads_pairs:
        prompt = "SOURCE"
    elif not model.causal:
        prompt = f"The {mask_text(tokenizer)} is"
    elif not Boundaries.of(tokenizer).start:
        prompt = "The"
    given = [] if prompt is None else ["--prompt", prompt]
    return shlex.join(["gpt", "sample", str(run), *given])


def _chats(tokenizer: Tokenizer) -> bool:
    """Return whether *tokenizer* has a chat template with which a model can answer."""
    from pytok.chat.jinja_template import JinjaTemplate
    from pytok.errors import ChatError

    try:
        template = JinjaTemplate.of(tokenizer)
        return template is not None and bool(template.end_ids(tokenizer))
    except ChatError:
        return False
