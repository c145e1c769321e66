"""Adapters of one base in `gpt chat`: opened by name, and switched while chatting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gpt.commands.options import SamplingOptions
from gpt.errors import ConfigError, GPTError
from gpt.generation.conversation import ChatSession, template_of
from pytok.errors import ChatError

if TYPE_CHECKING:
    from gpt.runs.reading import Checkpoint

BASE = "base"
"""Name of the base without an adapter."""


def named_paths(options: Sequence[str]) -> dict[str, Path]:
    """Return the folders of *options*, each NAME=FOLDER or a FOLDER, by their names.

    A folder without a name is called as its last part. Raises ConfigError for a name that is there
    twice, or that of the base.
    """
    paths: dict[str, Path] = {}
    for text in options:
        name, equals, folder = text.partition("=")
        path = Path(folder if equals else text)
        name = name if equals else path.resolve().name
        if not name or name in paths or name == BASE or " " in name:
            raise ConfigError(
                f"--adapter {text}: {name!r} is no name for it; write --adapter NAME=FOLDER, each "
                f"with another name, none of them {BASE}"
            )
        paths[name] = path
    return paths


class ChatAdapters:
    """The adapters of *base* in *paths*, of which one is in use, or the base alone."""

    def __init__(self, base: Checkpoint, paths: Mapping[str, Path], options: SamplingOptions):
        self._base, self._paths, self._options = base, paths, options
        self.active = next(iter(paths), BASE)
        """Name of that in use: the first, until another is chosen."""

    @property
    def names(self) -> list[str]:
        """All names, the base included."""
        return [*self._paths, BASE]

    def open(self, name: str) -> Checkpoint:
        """Return the base with the adapter *name*; raises ChatError if there is none."""
        if name == BASE:
            return self._base
        if name not in self._paths:
            raise ChatError(f"no adapter {name!r}; there are {', '.join(self.names)}")
        from gpt.interop.adapters import adapted_checkpoint  # not needed without adapters

        return adapted_checkpoint(self._base, self._paths[name])

    def switch(self, session: ChatSession, name: str) -> None:
        """Continue *session* with the adapter *name*, by its own tokenizer and chat template.

        Raises ChatError, and changes nothing, for one that cannot be read, for one of another chat,
        which lacks a speaker of the session or plays another, and if its template cannot render the
        conversation.
        """
        try:
            checkpoint = self.open(name)
            template, roles = template_of(checkpoint), session.roles
        except GPTError as error:
            raise ChatError(str(error)) from None
        known = {roles.you, *roles.played} <= {*template.speakers}
        if not known or template.me not in (None, session.template.me, *roles.played):
            raise ChatError(
                f"{name} was tuned on another chat than {self.active}; start `gpt chat` with it "
                "alone"
            )
        session.switch(self._options.model(checkpoint), checkpoint.tokenizer(), template)
        self.active = name
