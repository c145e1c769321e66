"""The texts of the benchmarks: from Python's standard library, or the user's files.

The defaults are Python's help texts (English), the sources of its standard library (code), and
words generated from a fixed seed (many scripts). Nothing is downloaded.
"""

import random
import re
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from pydoc_data.topics import topics

DOCUMENT_CHARACTERS = 8_000

MESSAGE_CHARACTERS = 200

_CUT = re.compile(r"(?<=\S)(?:\n(?=[^\s/])|(?= \S))")
"""After a single line end, or before a single space, between two visible characters. Every known
pattern splits there, so cutting a text changes no piece. (In o200k, punctuation can be followed by
a line end and slashes in one piece.)"""

_ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyzàâäçéèêëîïñôöùûüß",
    "абвгдежзийклмнопрстуфхцчшщъыьэюяії",
    "αβγδεζηθικλμνξοπρστυφχψωάέήίόύώ",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "אבגדהוזחטיכלמנסעפצקרשת",
    "अआइईउऊएऐओऔकखगघचछजझटठडढणतथदधनपफबभमयरलवशषसहािीुूेैोौ्ं",
    "กขคงจฉชซญดตถทธนบปผฝพฟภมยรลวศสหอะาิีึืุูเแโใไ่้",
    "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをん",
    "".join(map(chr, range(0x4E00, 0x5200))),
    "".join(map(chr, range(0xAC00, 0xB000))),
    "".join(map(chr, range(0x1F600, 0x1F640))),
)
"""Latin, Cyrillic, Greek, Arabic, Hebrew, Devanagari, Thai, Hiragana, Han, Hangul, emoji."""


def english() -> str:
    """Return Python's reference manual, as ``help()`` shows it: about half a megabyte."""
    return "\n".join(topics.values())


def code() -> Iterator[str]:
    """Yield the modules of the standard library in the order of their paths, without its tests.

    Files that are not UTF-8 are omitted: a few sources declare another encoding.
    """
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        if not {"site-packages", "dist-packages", "test", "tests"} & set(path.parts):
            try:
                yield path.read_bytes().decode()
            except UnicodeDecodeError:
                continue


def many_scripts(size: int) -> str:
    """Return random words in eleven scripts, about *size* bytes, the same in every run.

    Each script has 5,000 words of one to eight letters; the frequencies of letters and of words are
    proportional to 1/rank. A line is in one script. The text has the byte lengths and the
    repetition of real text, but not its words, so its tokens are shorter.
    """
    generator = random.Random(20_000)
    scripts = [_words(alphabet, generator) for alphabet in _ALPHABETS]
    weights = [1 / rank for rank in range(1, len(scripts[0]) + 1)]
    lines: list[str] = []
    while size > 0:
        words = generator.choices(generator.choice(scripts), weights, k=generator.randint(4, 40))
        line = " ".join(words) + generator.choice(".!?,") + "\n"
        size -= len(line.encode())
        lines.append(line)
    return "".join(lines)


def _words(alphabet: str, generator: random.Random) -> list[str]:
    weights = [1 / rank for rank in range(1, len(alphabet) + 1)]
    letters = generator.sample(alphabet, len(alphabet))
    return [
        "".join(generator.choices(letters, weights, k=generator.randint(1, 8)))
        for _ in range(5_000)
    ]


def documents(text: str) -> Iterator[str]:
    """Cut *text* into documents of about `DOCUMENT_CHARACTERS`, where a cut changes no piece."""
    start = 0
    while start < len(text):
        cut = _CUT.search(text, start + DOCUMENT_CHARACTERS)
        end = cut.end() if cut else len(text)
        yield text[start:end]
        start = end


def messages(text: str) -> Iterator[str]:
    """Yield the lines of *text* that are not blank, cut to `MESSAGE_CHARACTERS`."""
    for line in text.splitlines():
        message = line.strip()[:MESSAGE_CHARACTERS]
        if message:
            yield message


def leading(texts: Iterable[str], size: int) -> list[str]:
    """Return the first *size* bytes of *texts*; the last text is cut between characters."""
    taken: list[str] = []
    for text in texts:
        data = text.encode()
        if len(data) >= size:
            part = data[:size].decode(errors="ignore")
            return [*taken, part] if part else taken
        taken.append(text)
        size -= len(data)
    return taken


def interleave(*texts: str) -> str:
    """Join the documents of *texts* in turn, so that every part has some of each."""
    sources = [documents(text) for text in texts]
    parts: list[str] = []
    while sources:
        for source in list(sources):
            part = next(source, None)
            if part is None:
                sources.remove(source)
            else:
                parts.append(part)
    return "".join(parts)
