"""What the benchmarks read: texts that every Python carries, or the user's own files.

The defaults are the help texts of Python (English), the sources of its standard library (code), and
words made up from a fixed seed (many scripts). Nothing is downloaded.
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
"""After a single line end, or before a single space, between two visible characters: every known
pattern splits there, so a text has the same pieces whole and cut. (o200k's lets punctuation take a
line end and the slashes after it.)"""

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
    """Python's own reference manual, as ``help()`` shows it: about half a megabyte."""
    return "\n".join(topics.values())


def code() -> Iterator[str]:
    """The modules of the standard library in the order of their paths, without its tests.

    Files that are not UTF-8 are left out: a few sources declare another encoding.
    """
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        if not {"site-packages", "dist-packages", "test", "tests"} & set(path.parts):
            try:
                yield path.read_bytes().decode()
            except UnicodeDecodeError:
                continue


def many_scripts(size: int) -> str:
    """Made-up words in eleven scripts, about *size* bytes, the same in every run.

    Each script has 5,000 words of one to eight letters; both letters and words are drawn with
    frequencies that fall off as 1/rank. A line is in one script. It has the byte lengths and the
    repetition of real text, not its words, so its tokens are shorter than those of real text.
    """
    draw = random.Random(20_000)
    scripts = [_words(alphabet, draw) for alphabet in _ALPHABETS]
    weights = [1 / rank for rank in range(1, len(scripts[0]) + 1)]
    lines: list[str] = []
    while size > 0:
        words = draw.choices(draw.choice(scripts), weights, k=draw.randint(4, 40))
        line = " ".join(words) + draw.choice(".!?,") + "\n"
        size -= len(line.encode())
        lines.append(line)
    return "".join(lines)


def _words(alphabet: str, draw: random.Random) -> list[str]:
    weights = [1 / rank for rank in range(1, len(alphabet) + 1)]
    letters = draw.sample(alphabet, len(alphabet))
    return ["".join(draw.choices(letters, weights, k=draw.randint(1, 8))) for _ in range(5_000)]


def documents(text: str) -> Iterator[str]:
    """*text* in documents of about `DOCUMENT_CHARACTERS`, longer where nothing allows a cut."""
    start = 0
    while start < len(text):
        cut = _CUT.search(text, start + DOCUMENT_CHARACTERS)
        end = cut.end() if cut else len(text)
        yield text[start:end]
        start = end


def messages(text: str) -> Iterator[str]:
    """The lines of *text* that are not blank, each at most `MESSAGE_CHARACTERS` long."""
    for line in text.splitlines():
        message = line.strip()[:MESSAGE_CHARACTERS]
        if message:
            yield message


def leading(texts: Iterable[str], size: int) -> list[str]:
    """The first of *texts* up to *size* bytes; the last is cut to fit, between characters."""
    taken: list[str] = []
    for text in texts:
        data = text.encode()
        if len(data) >= size:
            part = data[:size].decode(errors="ignore")
            return [*taken, part] if part else taken
        taken.append(text)
        size -= len(data)
    return taken


def mixed(*texts: str) -> str:
    """The documents of *texts* in turn, so that any stretch holds some of each."""
    rest = [documents(text) for text in texts]
    parts: list[str] = []
    while rest:
        for source in list(rest):
            part = next(source, None)
            if part is None:
                rest.remove(source)
            else:
                parts.append(part)
    return "".join(parts)
