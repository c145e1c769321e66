"""OpenAI's ``bpe_simple_vocab_16e6.txt``: the merges of CLIP, from which the vocabulary follows."""

from pathlib import Path

from pytok.byte_order import BYTE_ORDER, LETTERS
from pytok.definition import Definition
from pytok.formats import tokenizer_json
from pytok.formats.beside import Beside
from pytok.formats.classes import CLASSES
from pytok.formats.converter import document
from pytok.formats.fields import Fields, read_text
from pytok.formats.gpt2 import TwoFiles
from pytok.formats.merge_list import ListedMerges

_MERGES = 48_894
"""Number of merges; the lines after them are not used."""
_CLASS = "CLIPTokenizer"


def read(path: Path, data: bytes) -> tuple[Definition, ListedMerges]:
    """Read *data*, the content of *path*: its definition, and the merges that it lists.

    Text is normalized and split as by the CLIPTokenizer of transformers.
    """
    known = CLASSES[_CLASS]
    letters = [LETTERS[byte] for byte in BYTE_ORDER]
    entries = [*letters, *(letter + known.suffix for letter in letters)]
    lines = read_text(path, data).splitlines()[1 : 1 + _MERGES]
    reader = Fields(path)
    pairs = {
        (where := f"line {number}"): reader.pair(line, where)
        for number, line in enumerate(lines, 2)
    }
    entries += [left + right for left, right in pairs.values()]
    entries += [known.tokens["bos_token"], known.tokens["eos_token"]]
    files = TwoFiles(path, {entry: id for id, entry in enumerate(entries)}, pairs)
    beside = Beside(path)  # there are no files below it
    beside.class_name = _CLASS
    return tokenizer_json.read_document(path, document(beside, files))
