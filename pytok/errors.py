"""Everything that pytok raises on purpose.

::

    PytokError
    ├── VocabError          (ValueError)  tokens that make no vocabulary
    ├── PatternError        (ValueError)  a pattern that does not compile, or cannot split a text
    ├── SpecialTokenError   (ValueError)  a disallowed special token in a text
    ├── UnknownTokenError   (KeyError)    an id, or bytes, that the vocabulary does not have
    ├── TrainingError       (ValueError)  a training request that cannot be met
    ├── FormatError         (ValueError)  a file of a tokenizer or of counts that is malformed
    ├── CorpusError         (ValueError)  a document that cannot be read
    ├── ShardError          (ValueError)  a shard that is malformed, or of another vocabulary
    └── ChatError           (ValueError)  an export, a history or a conversation that cannot be read

Each also derives from the built-in that ``tiktoken`` raises in its place, so code written for
tiktoken catches what it caught before. The native engine raises these same classes.
"""


class PytokError(Exception):
    """The root: ``except PytokError`` catches all that pytok raises on purpose."""

    @property
    def message(self) -> str:
        """The message alone, without the quotes that ``str`` of a KeyError adds."""
        return str(self.args[0]) if self.args else type(self).__name__


class VocabError(PytokError, ValueError):
    """Tokens that make no vocabulary: one occurs twice, a byte is missing, ids collide."""


class PatternError(PytokError, ValueError):
    """A pattern that does not compile, or that fails on a text."""


class SpecialTokenError(PytokError, ValueError):
    """A text holds a special token that the caller did not allow."""


class UnknownTokenError(PytokError, KeyError):
    """An id, or a token's bytes, that the vocabulary does not have."""


class TrainingError(PytokError, ValueError):
    """A training request that cannot be met, such as a vocabulary of 100 tokens."""


class FormatError(PytokError, ValueError):
    """A file of a tokenizer, or of counts, that is malformed or cannot be represented exactly."""


class CorpusError(PytokError, ValueError):
    """A document that cannot be read: invalid UTF-8, malformed JSON, a missing field."""


class ShardError(PytokError, ValueError):
    """A shard that is malformed, or that was written with another vocabulary."""


class ChatError(PytokError, ValueError):
    """A chat export, a history or a conversation that is malformed, or cannot be represented."""
