"""Everything that gpt raises on purpose.

::

    GPTError
    ├── ConfigError                         a model or a recipe that cannot be built
    ├── DataError           (ValueError)    token shards that do not fit the model or the recipe
    ├── CheckpointError     (ValueError)    a checkpoint that is damaged, foreign, or of another run
    ├── FormatError         (ValueError)    a model that another format, or gpt, cannot hold
    ├── TrainingError       (RuntimeError)  a run that cannot go on: its loss is no longer a number
    └── PeerError           (RuntimeError)  a run whose other process failed, and says why

Each message says what is wrong, where, and what to do.
"""


class GPTError(Exception):
    """The root: ``except GPTError`` catches all that gpt raises on purpose."""


class ConfigError(GPTError):
    """A model or a recipe that cannot be built, or that asks for the impossible."""


class DataError(GPTError, ValueError):
    """Token shards that do not fit the model or the recipe."""


class CheckpointError(GPTError, ValueError):
    """A checkpoint that is damaged, foreign, or of another run."""


class FormatError(GPTError, ValueError):
    """A model that another format cannot hold, or one in such a format that gpt cannot."""


class TrainingError(GPTError, RuntimeError):
    """A run that cannot go on: its loss is no longer a number."""


class PeerError(GPTError, RuntimeError):
    """A run whose other process failed: that one tells the reason."""
