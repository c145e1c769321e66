"""`CloneOptions`: what to clone, and how."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from gpt.errors import ConfigError
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.checks import above_zero
from gpt.spec.presets import PRESETS
from pytok.chat.conversations import DEFAULT_GAP
from pytok.chat.importing import ImportOptions


@dataclass(frozen=True, kw_only=True)
class CloneOptions:
    """The person to imitate, the exports of the chat, and how to train."""

    exports: tuple[Path, ...]
    """Exports of one chat, in any format that `pytok.chat.importing` reads."""
    me: str | None
    """The person to imitate: a name or prefix that `find_speaker` resolves. If None, `clone` lists
    all senders and raises ChatError."""
    out: Path
    """Folder of all stages."""
    import_options: ImportOptions = dataclasses.field(default_factory=ImportOptions)
    """Information that the exports do not contain."""
    base: Path | None = None
    """Run to tune. If None, a new model is trained on the chat first."""
    adapter: LoRA | DoRA | None = None
    """Adapters to train. If None, all weights are tuned."""
    seconds: float = 600.0
    """Training time at most, about."""
    gap: timedelta = DEFAULT_GAP
    """Pause that ends a conversation."""
    preset: str = "fast"
    """Architecture of a new model, a name in `PRESETS`."""
    seed: int = 0

    def __post_init__(self) -> None:
        above_zero(seconds=self.seconds)
        for export in self.exports:
            if export.is_dir() and self.out.resolve().is_relative_to(export.resolve()):
                raise ConfigError(
                    f"{self.out} is in {export}, the folder of the chat; give an --out elsewhere"
                )
        if self.preset not in PRESETS:
            raise ConfigError(f"unknown preset {self.preset!r}; use one of {', '.join(PRESETS)}")
