"""The workloads of the encoders: documents, messages, one long document.

A workload is a list of texts. It is passed to the measuring processes as a file of JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benches import texts

DOCUMENTS, MESSAGES, LONG = "documents", "messages", "one document"

MAX_MESSAGES_BYTES = 1_000_000
"""Maximum size of all messages: each is a call."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A named list of texts."""

    name: str
    texts: list[str]

    @property
    def size(self) -> int:
        """Total bytes of the texts."""
        return size(self.texts)

    @property
    def heading(self) -> str:
        """Name, size and number of texts."""
        return f"{self.name} ({readable(self.size)}, {len(self.texts):,})"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes in bytes of each kind of text, of the batch of documents, and of the long document."""

    kind: int
    batch: int
    long: int


@dataclass(frozen=True, slots=True)
class Workloads:
    """All workloads of a run."""

    kinds: list[Workload]
    """Documents of one kind of text each."""
    messages: Workload
    batch: Workload
    """Documents of all kinds of text."""
    long: Workload
    """One text of all kinds."""
    distinct: int
    """Bytes of the long text before it repeats."""

    @property
    def short(self) -> list[Workload]:
        """The workloads that are encoded one text at a time."""
        return [*self.kinds, self.messages]


def size(sample: list[str]) -> int:
    """Return the total bytes of the texts of *sample*."""
    return sum(len(text.encode()) for text in sample)


def readable(count: int) -> str:
    """Format *count* bytes in kB or MB."""
    if count < 100_000:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.{0 if count >= 10**7 else 1}f} MB"


def make(files: Mapping[str, str], sizes: Sizes) -> Workloads:
    """Make workloads of *files* (text by name), or of the default texts if there are none."""
    sources = files or _default_texts(sizes.long)
    kinds = [
        Workload(name, texts.leading(texts.documents(text), sizes.kind))
        for name, text in sources.items()
    ]
    mixture = texts.interleave(*sources.values())
    even = texts.interleave(*("".join(kind.texts) for kind in kinds))
    messages = list(texts.messages(even))
    Random(0).shuffle(messages)
    length = len(mixture.encode())
    long = "".join(texts.leading([mixture * -(-sizes.long // length)], sizes.long))
    return Workloads(
        kinds,
        Workload(MESSAGES, texts.leading(messages, min(sizes.kind, MAX_MESSAGES_BYTES))),
        Workload(DOCUMENTS, texts.leading(texts.documents(long), sizes.batch)),
        Workload(LONG, [long]),
        min(length, sizes.long),
    )


def _default_texts(max_bytes: int) -> dict[str, str]:
    """Return the English and code, up to *max_bytes*, and a quarter as much text of scripts."""
    code = "".join(texts.leading(texts.code(), max_bytes))
    return {
        "English": texts.english(),
        "code": code,
        "scripts": texts.many_scripts(len(code) // 4),
    }


def write(workload: Workload, path: Path) -> None:
    """Write the texts of *workload* to *path*."""
    path.write_text(json.dumps(workload.texts, ensure_ascii=False), encoding="utf-8")


def read(path: Path) -> list[str]:
    """Read the texts that `write` wrote."""
    sample: list[str] = json.loads(path.read_text(encoding="utf-8"))
    return sample
