"""The exceptions of pytok.

::

    PytokError
    ├── VocabError          (ValueError)  tokens that do not form a vocabulary
    ├── PatternError        (ValueError)  a pattern that does not compile, or fails on a text
    ├── SpecialTokenError   (ValueError)  a disallowed special token in a text
    ├── UnknownTokenError   (KeyError)    an id, or bytes, that are not in the vocabulary
    ├── TrainingError       (ValueError)  training arguments that cannot be met
    ├── FormatError         (ValueError)  a file of a tokenizer or of counts that is malformed
    ├── CorpusError         (ValueError)  a document that cannot be read
    ├── ShardError          (ValueError)  a shard that is malformed, or of another vocabulary
    └── ChatError           (ValueError)  an export, a history or a conversation that cannot be read

Each also derives from the built-in exception that ``tiktoken`` raises in the same case, so code
written for tiktoken keeps working. The native engine raises the same classes.
"""

LONGEST = 700
"""Characters of a message at most: it can quote a file, which can have millions on a line."""


class PytokError(Exception):
    """The base class: ``except PytokError`` catches every exception of pytok."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*map(abridged, arguments))

    @property
    def message(self) -> str:
        """The message without the quotes that ``str`` of a KeyError adds."""
        return str(self.args[0]) if self.args else type(self).__name__


class VocabError(PytokError, ValueError):
    """Tokens that do not form a vocabulary: a duplicate, a missing byte, ids that collide."""


class PatternError(PytokError, ValueError):
    """A pattern that does not compile, or that fails on a text."""


class SpecialTokenError(PytokError, ValueError):
    """A text contains a special token that the caller did not allow."""


class UnknownTokenError(PytokError, KeyError):
    """An id, or the bytes of a token, that are not in the vocabulary."""


class TrainingError(PytokError, ValueError):
    """Training arguments that cannot be met, such as a vocabulary of 100 tokens."""


class FormatError(PytokError, ValueError):
    """A file of a tokenizer, or of counts, that is malformed or cannot be represented exactly."""


class CorpusError(PytokError, ValueError):
    """A document that cannot be read: invalid UTF-8, malformed JSON, a missing field."""


class ShardError(PytokError, ValueError):
    """A shard that is malformed, or that was written with another vocabulary."""


class ChatError(PytokError, ValueError):
    """A chat export, a history or a conversation that is malformed, or cannot be represented."""


def abridged(message: object) -> object:
    """Return *message*, if it is a text without its middle where it is longer than `LONGEST`.

    Its beginning names the file, its end says what to do.

    >>> abridged("t.json: type is " + "a" * 13_000 + ": use BPE")[-30:]
    'aaaaaaaaaaaaaaaaaaaaa: use BPE'
    """
    if not isinstance(message, str) or len(message) <= LONGEST:
        return message
    return f"{message[: LONGEST * 2 // 3]} ... {message[-LONGEST // 3 + 5 :]}"
