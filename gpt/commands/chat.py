"""`gpt chat`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from gpt.commands.options import Drawing


@dataclass(frozen=True, kw_only=True)
class Chat:
    """Talk with a model that has learnt a chat. Reads lines, also from a pipe; /help lists more."""

    run: tyro.conf.Positional[Path]
    """A run's folder, for its newest checkpoint; RUN/best; or one checkpoint's folder."""
    you: Annotated[str | None, tyro.conf.arg(name="as")] = None
    """Who you are. None: the only one whom the model does not play."""
    played: Annotated[tuple[str, ...], tyro.conf.arg(name="with")] = ()
    """Whom the model plays. Empty: the one whose turns it has learnt, else everyone but you."""
    turns: int | None = None
    """Turns of the model before the floor is yours again. None: 1 where it plays one person, else
    4; it may give the floor back sooner."""
    tokens: int = 256
    """Tokens of a turn at most."""
    system: str | None = None
    """What the model is told before the first turn."""
    drawing: tyro.conf.OmitArgPrefixes[Drawing] = field(default_factory=Drawing)

    def __call__(self) -> int:
        """Talk; 0, or 143 where SIGTERM ended it."""
        from gpt.commands.terminal_chat import converse
        from gpt.generation.conversation import Roles, open_session, template_of
        from gpt.runs.reading import read_checkpoint

        checkpoint = read_checkpoint(self.run)
        roles = Roles.of(template_of(checkpoint), self.you, self.played)
        talk = open_session(
            checkpoint,
            roles,
            model=self.drawing.model(checkpoint),
            system=self.system,
            sampling=self.drawing.sampling(),
            max_tokens=self.tokens,
            max_turns=self.turns,
        )
        return converse(talk)
