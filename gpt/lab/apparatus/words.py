"""Vocabularies of words, as lad-gpt has them, beside byte pair encoding: for one group's chat."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytok
from gpt.lab.apparatus.texts import END, english, once
from pytok import shards
from pytok.tokenizer import Tokenizer

WORD, SPACED = re.compile(r"\d|\w+|[^\s]"), re.compile(r" ?(?:\d|\w+|[^\s])")
"""Of a message's text: lad-gpt's, and the same with the space before it."""
TOKEN = re.compile(r"<\|word:(.*?)\|>")
SPEAKERS = tuple(f"<|{name}|>" for name in ("ann", "bo", "cy", "dee", "eli", "flo"))
TURN, UNKNOWN = "<|end|>", "<|unknown|>"
SPECIAL = (END, TURN, UNKNOWN, *SPEAKERS)
Message = tuple[str, str]
"""The token of the speaker, and the text."""


def group_chat(characters: int) -> tuple[list[Message], list[Message]]:
    """Return a group's messages, which are sentences of English in small letters; the last tenth.

    Words of generated chats are few. Those of the help texts are as rare as words are.
    """
    rng = random.Random(0)
    texts = re.split(r"(?<=[.:]) +|\n\n", english()[:characters].lower())
    chat = [(rng.choice(SPEAKERS), " ".join(text.split())) for text in texts if text.strip()]
    return chat[: len(chat) * 9 // 10], chat[len(chat) * 9 // 10 :]


@dataclass(frozen=True)
class Words:
    """The vocabulary of words that occur twice; others are unknown, or spelled in bytes."""

    tokenizer: Tokenizer
    """Holds the words as special tokens, after the bytes."""
    spells: bool = False
    spaced: bool = False
    """Whether a space is part of the word after it; otherwise spaces are lost."""

    @classmethod
    def of(cls, texts: Sequence[str], *, spells: bool = False, spaced: bool = False) -> Words:
        """Count the words of *texts*; with spaces, as many are known as without."""
        plain, ours = (
            Counter(word for text in texts for word in pattern.findall(text))
            for pattern in (WORD, SPACED if spaced else WORD)
        )
        known = sum(count > 1 for count in plain.values())
        words = sorted(word for word, count in ours.most_common(known) if count > 1)
        names = (*SPECIAL, *map(token, words))
        return cls(pytok.train([], 256 + len(names), special_tokens=names), spells, spaced)

    def encode(self, text: str) -> list[int]:
        """Return the ids of the words of *text*."""
        pattern = SPACED if self.spaced else WORD
        return [id for word in pattern.findall(text) for id in self._ids(word)]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text; without `spaced`, with a space before each word."""
        space = "" if self.spaced else " "
        return TOKEN.sub(space + r"\1", self.tokenizer.decode(ids)).removeprefix(space)

    def _ids(self, word: str) -> list[int]:
        special = self.tokenizer.special_tokens
        if token(word) in special:
            return [special[token(word)]]
        if self.spells:
            return self.tokenizer.encode_ordinary(word if self.spaced else f" {word}")
        return [special[UNKNOWN]]


def token(word: str) -> str:
    """Return the special token of *word*."""
    return f"<|word:{word}|>"


CODINGS: Mapping[str, Callable[[Sequence[str]], Words | Tokenizer]] = {
    "words": Words.of,
    "words, spelled": partial(Words.of, spells=True),
    "words, spaces": partial(Words.of, spells=True, spaced=True),
    "BPE": lambda texts: pytok.train(
        texts, Words.of(texts).tokenizer.n_vocab, special_tokens=SPECIAL
    ),
}
"""What makes a vocabulary of texts; BPE's has as many tokens as that of words."""


def data_of(arm: str, characters: int) -> tuple[Path, int]:
    """Return shards of the group's chat, and the size of the vocabulary.

    Of each message they have the speaker, the text and its end.
    """

    def make(folder: Path) -> None:
        parts = dict(zip(("train", "val"), group_chat(characters), strict=True))
        code = CODINGS[arm]([text for _, text in parts["train"]])
        tokenizer = code.tokenizer if isinstance(code, Words) else code
        special = tokenizer.special_tokens
        with shards.writing(folder / "shards", tokenizer, parts) as writer:
            for name, messages in parts.items():
                for speaker, text in messages:
                    ids = [special[speaker], *code.encode(text), special[TURN]]
                    writer.append(name, ids, len(text.encode()), ends_document=False)
                writer.flush()

    data = once(f"words-{arm}-{characters}", make) / "shards"
    return data, shards.open_shards(data).vocab_size
