"""What the encoders are asked on: documents, messages, one long document.

A workload is a list of texts. It goes to the processes that measure as a file of JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benches import texts

DOCUMENTS, MESSAGES, LONG = "documents", "messages", "one document"

MESSAGES_BYTES = 1_000_000
"""Messages at most: each is a call."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Texts with a name."""

    name: str
    texts: list[str]

    @property
    def size(self) -> int:
        """Bytes of all texts."""
        return size(self.texts)

    @property
    def heading(self) -> str:
        """The name, the bytes, and the number of texts."""
        return f"{self.name} ({readable(self.size)}, {len(self.texts):,})"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of each kind of text, of the batch of documents, and of the long document."""

    kind: int
    batch: int
    long: int


@dataclass(frozen=True, slots=True)
class Workloads:
    """*kinds* are documents of one kind each; *batch* is documents of all kinds.

    *long* is one text of all kinds; *distinct* bytes of it are not repeated.
    """

    kinds: list[Workload]
    messages: Workload
    batch: Workload
    long: Workload
    distinct: int

    @property
    def short(self) -> list[Workload]:
        """Those that are encoded text by text."""
        return [*self.kinds, self.messages]


def size(sample: list[str]) -> int:
    """Bytes of all texts of *sample*."""
    return sum(len(text.encode()) for text in sample)


def readable(count: int) -> str:
    """*count* bytes, for a person."""
    if count < 100_000:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.{0 if count >= 10**7 else 1}f} MB"


def make(files: Mapping[str, str], sizes: Sizes) -> Workloads:
    """Workloads out of *files* (text by name), or out of what every Python carries if none."""
    sources = files or _carried(sizes.long)
    kinds = [
        Workload(name, texts.leading(texts.documents(text), sizes.kind))
        for name, text in sources.items()
    ]
    blend = texts.mixed(*sources.values())
    even = texts.mixed(*("".join(kind.texts) for kind in kinds))
    messages = list(texts.messages(even))
    Random(0).shuffle(messages)
    length = len(blend.encode())
    long = "".join(texts.leading([blend * -(-sizes.long // length)], sizes.long))
    return Workloads(
        kinds,
        Workload(MESSAGES, texts.leading(messages, min(sizes.kind, MESSAGES_BYTES))),
        Workload(DOCUMENTS, texts.leading(texts.documents(long), sizes.batch)),
        Workload(LONG, [long]),
        min(length, sizes.long),
    )


def _carried(most: int) -> dict[str, str]:
    """All the English and code there is, up to *most* bytes, and a quarter as much of scripts."""
    code = "".join(texts.leading(texts.code(), most))
    return {
        "English": texts.english(),
        "code": code,
        "scripts": texts.many_scripts(len(code) // 4),
    }


def write(workload: Workload, path: Path) -> None:
    """Write the texts of *workload* to *path*."""
    path.write_text(json.dumps(workload.texts, ensure_ascii=False), encoding="utf-8")


def read(path: Path) -> list[str]:
    """The texts that `write` wrote."""
    found: list[str] = json.loads(path.read_text(encoding="utf-8"))
    return found
