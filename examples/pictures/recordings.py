"""The recorded pictures of the README: which commands, and how a terminal shows them."""

from dataclasses import dataclass
from pathlib import Path

from examples.pictures.svg import IMAGES

TEXT = "shakespeare.txt"
"""The name of the text in the commands."""


@dataclass(frozen=True)
class Recording:
    """Commands that are recorded in a terminal of *columns*, and how they are drawn.

    *prepare* are commands before, which are not recorded. The picture has the last *rows* lines; in
    *seconds*, if not 0, it plays what was recorded.
    """

    title: str
    commands: tuple[str, ...]
    columns: int
    rows: int
    seconds: float = 0.0
    prepare: tuple[str, ...] = ()

    def cast(self, name: str) -> Path:
        """Return the file of the recording *name*, in the format asciicast 2."""
        return IMAGES / f"{name}.cast"


SENTENCE = "To be, or not to be tokenized, that is the question."
TRAIN = f"pytok train {TEXT} --vocab 4096 -o tokenizer.json"
RECORDINGS = {
    "tokens": Recording(
        "A sentence with one color per token, and the ids of the tokens",
        (f'pytok show tokenizer.json --text "{SENTENCE}"',),
        columns=54,
        rows=3,
        prepare=(TRAIN,),
    ),
    "training": Recording(
        "A tokenizer is trained, then a model, whose loss falls, and the model writes",
        (
            TRAIN,
            f"gpt train --data {TEXT} --tokenizer tokenizer.json",
            'gpt sample runs/shakespeare --prompt "ROMEO:" --tokens 100',
        ),
        columns=72,
        rows=24,
        seconds=14,
    ),
}
"""By the name of their files in docs/images."""
