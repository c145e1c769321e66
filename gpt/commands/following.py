"""The command that comes next, with which a command ends: it can be typed as it is."""

from __future__ import annotations

import shlex
from pathlib import Path

from gpt.runs.retention import find_checkpoint


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
    if model.reads_pairs:
        prompt = "SOURCE"
    elif not model.causal:
        prompt = f"The {mask_text(tokenizer)} is"
    elif not Boundaries.of(tokenizer).start:
        prompt = "The"
    given = [] if prompt is None else ["--prompt", prompt]
    return shlex.join(["gpt", "sample", str(run), *given])
