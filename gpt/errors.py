"""The exceptions that gpt raises for problems that a user can fix.

::

    GPTError
    ├── ConfigError                         a model or a recipe that cannot be built
    ├── DataError           (ValueError)    data that does not fit the model or the recipe
    ├── CheckpointError     (ValueError)    a damaged checkpoint, or one of another run or version
    ├── FormatError         (ValueError)    a model that cannot be exported or imported
    ├── TrainingError       (RuntimeError)  a run that cannot continue
    └── PeerError           (RuntimeError)  a run in which another process failed

Each message says what is wrong, where, and what to do.
"""

from pytok.errors import abridged


class GPTError(Exception):
    """Base class of all errors of gpt."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*map(abridged, arguments))


class ConfigError(GPTError):
    """A model or a recipe that cannot be built, or options that contradict each other."""


class DataError(GPTError, ValueError):
    """Data that is missing or damaged, or does not fit the model or the recipe."""


class CheckpointError(GPTError, ValueError):
    """A checkpoint that is missing or damaged, or belongs to another run or version."""


class FormatError(GPTError, ValueError):
    """A model that another format cannot represent, or a file that gpt cannot import."""


class TrainingError(GPTError, RuntimeError):
    """A run that cannot continue: it diverged, ran out of memory, or lost a process."""


class PeerError(GPTError, RuntimeError):
    """A run in which another process failed; that process reports the reason."""
