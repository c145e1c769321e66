"""``python -m benches.families FOLDER...``: which tokenizers load, and equal their own library.

Every tokenizer file below the folders, and every folder of transformers, is loaded and compared
with the library that it is for (tokenizers, tiktoken or transformers) on the same texts, by ids and
decoded text. The output is the table of docs/families.md.
"""

import base64
import itertools
import json
import logging
import os
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytok
from pytok.errors import FormatError
from pytok.formats import detect
from pytok.formats.detect import Kind
from pytok.patterns import pattern_name
from pytok.tokenizer import Tokenizer

_QWEN3_5 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PATTERNS = {
    50256: "gpt2",
    50257: "gpt2",
    100256: "cl100k",
    128000: "llama3",
    151643: "qwen2",
    199998: "o200k",
    200000: "o200k",
    248044: _QWEN3_5,
}
"""The pattern of published lists of ranks, which do not contain it, by their size."""

_SNIPPETS = (
    "The quick brown fox jumps over the lazy dog.",
    "I'll say: DON'T, we've, it's, THEY'RE, 'twas; rock 'n' roll",
    "12345 1,234.56 0x1F 3.14e-10 2026-11-29 +49 (0)30 1234567890123",
    "def f(x):\n    return x ** 2  # square\n\n\tif not x:\r\n\t\tpass\n",
    'for (int i = 0; i < n; ++i) { a[i] += b["key"]->c; }\n\n\n',
    "https://example.org/a/b?c=d&e=f#g user@example.com",
    "Größe, façade, naïve, Ångström, Straße, ǅ, ﬁne, İstanbul",
    "Привет, мир! Съешь же ещё этих мягких французских булок",
    "Γειά σου Κόσμε, ὁ ἄνθρωπος",
    "שלום עולם, مرحبا بالعالم ١٢٣",
    "नमस्ते दुनिया, বাংলা, தமிழ், ไทยภาษา",
    "你好，世界。这是一个测试。2026年11月29日",
    "こんにちは世界、カタカナ、ﾊﾝｶｸ゛",
    "안녕하세요 세계 각",
    "🙂 👩‍👩‍👧‍👦 🇩🇪 👍🏽 ☃️ ⌘ ∑∫√ ½ ² ⅷ ①",
    "  leading,   inner    and trailing   ",
    "\n \n\t\t \r\n\u00a0\u2003\u3000x",
    "!!! ??? ... --- *** ### === ((())) [[]] {{}} <|> </s> <s>",
    "<|endoftext|><|im_start|>user\nhi<|im_end|><mask> [INST] <unk>",
    "\ufeffBOM \u200b zero \u00ad soft \u0301 lone \u202e rtl",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "x" * 3 + " " * 40 + "y" + "\n" * 9 + "z",
)


def texts() -> list[str]:
    """Return the texts that are compared: the snippets, their forms, and pairs of them."""
    forms: Sequence[Callable[[str], str]] = (
        str,
        str.upper,
        str.lower,
        lambda text: " " + text,
        lambda text: text + "\n",
        lambda text: unicodedata.normalize("NFD", text),
        lambda text: unicodedata.normalize("NFC", text),
        lambda text: text[::-1],
        lambda text: text.replace(" ", "\n\n"),
        lambda text: text.replace(" ", ""),
        lambda text: f"{text} {text}",
        lambda text: text.title(),
        lambda text: "  " + text.replace(" ", "  "),
        lambda text: text[1::2],
    )
    changed = [form(text) for form in forms for text in _SNIPPETS]
    pairs = [a[:9] + b[-9:] for a, b in itertools.pairwise(_SNIPPETS)]
    return list(dict.fromkeys(["", *changed, *pairs]))


class Peer(NamedTuple):
    """The library that a file is for: its name, and how it encodes and decodes."""

    name: str
    encode: Callable[[str], Sequence[int]]
    decode: Callable[[Sequence[int]], str]


def _tokenizers(path: Path) -> Peer:
    import tokenizers

    theirs = tokenizers.Tokenizer.from_file(str(path))
    theirs.no_truncation()
    theirs.no_padding()
    return Peer(
        "tokenizers",
        lambda text: theirs.encode(text, add_special_tokens=False).ids,
        lambda ids: theirs.decode(list(ids), skip_special_tokens=False),
    )


def _transformers(path: Path) -> Peer:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(path)
    return Peer(
        "transformers",
        lambda text: theirs(text, add_special_tokens=False)["input_ids"],
        lambda ids: str(theirs.decode(list(ids), clean_up_tokenization_spaces=False)),
    )


def _tiktoken(ranks: dict[bytes, int], pattern: str, specials: dict[str, int], shift: int) -> Peer:
    import tiktoken

    theirs = tiktoken.Encoding(
        "theirs", pat_str=pattern, mergeable_ranks=ranks, special_tokens=specials
    )
    return Peer(
        "tiktoken",
        lambda text: [id + shift for id in theirs.encode(text, disallowed_special=())],
        lambda ids: theirs.decode([id - shift for id in ids]),
    )


def _two_files(folder: Path, ours: Tokenizer) -> Peer:
    """Open GPT-2's two files, for which there is no folder of transformers."""
    import tokenizers

    vocab, merges = next(
        (folder / vocab, folder / merges)
        for vocab, merges in (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))
        if (folder / vocab).exists()
    )
    theirs = tokenizers.ByteLevelBPETokenizer.from_file(str(vocab), str(merges))
    theirs.add_special_tokens(list(ours.special_tokens))
    return Peer(
        "tokenizers",
        lambda text: theirs.encode(text).ids,
        lambda ids: theirs.decode(list(ids), skip_special_tokens=False),
    )


def _ranks(data: bytes) -> dict[bytes, int]:
    lines = [line.split() for line in data.splitlines() if line.strip()]
    return {base64.b64decode(token): int(rank) for token, rank in lines if token != b"="}


def opened(path: Path) -> tuple[str, Tokenizer, Callable[[], Peer]]:
    """Return the format of *path*, its tokenizer, and a function that opens it in its library."""
    if path.is_dir():
        ours = pytok.load(path)
        if not (path / "tokenizer_config.json").exists():
            return "vocabulary, merges", ours, lambda: _two_files(path, ours)
        return "folder", ours, lambda: _transformers(path)
    kind, data = detect.read_tokenizer(path)
    if kind is Kind.RANKS:
        ranks = _ranks(data)
        if len(ranks) not in PATTERNS:
            raise FormatError(f"{path}: a list of {len(ranks):,} ranks, whose pattern is unknown")
        ours = pytok.load(path, pattern=PATTERNS[len(ranks)])
        return "list of ranks", ours, lambda: _tiktoken(ranks, ours.pattern, {}, 0)
    ours = pytok.load(path)
    if kind is not Kind.TOKENIZER_JSON and "vocab" in (document := json.loads(data)):
        shift = len(ours.special_tokens)
        ranks = {
            base64.b64decode(token["token_bytes"]): rank
            for rank, token in enumerate(document["vocab"][: len(ours.vocab)])
        }
        return "tekken.json", ours, lambda: _tiktoken(ranks, ours.pattern, {}, shift)
    return "tokenizer.json", ours, lambda: _tokenizers(path)


def compare(ours: Tokenizer, theirs: Peer) -> str:
    """Return how many texts have equal ids, and how many of these decode to equal text."""
    total = ids = decoded = 0
    special = theirs.name != "tiktoken"
    for text in texts():
        expected = list(theirs.encode(text))
        found = ours.encode(text, allowed_special="all") if special else ours.encode_ordinary(text)
        total += 1
        ids += found == expected
        text = ours.decode(expected)
        if suffix := ours.definition.end_of_word_suffix:  # as transformers decodes
            text = text.replace(suffix, " ").strip()
        decoded += text == theirs.decode(expected)
    if ids == decoded == total:
        return f"{total} of {total}, {theirs.name}"
    return f"**{ids} of {total} by ids, {decoded} decoded**, {theirs.name}"


def row(root: Path, path: Path) -> str:
    """Return the row of the table for the tokenizer *path*, which is below *root*."""
    name = str(Path(root.name) / path.relative_to(root))
    try:
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            form, ours, peer = opened(path)
    except FormatError as error:
        reason = error.message.removeprefix(f"{path}: ").replace(f"{path}", path.name)
        return f"| {name} | | | | | not read: {_cell(reason.replace(f'{root}/', ''))} |"
    parts = ours.definition
    normalizer = ", ".join(step[0] for step in parts.normalizer) or "none"
    pattern = pattern_name(parts.pattern) or "its own"
    if parts.splits:
        pattern = f"{len(parts.splits) + 1} splits"
    try:
        equal = compare(ours, peer())
    except Exception as error:  # whatever the other library raises
        equal = f"{type(error).__name__} of the other library: {_cell(str(error))}"
    return f"| {name} | {form} | {ours.n_vocab:,} | {normalizer} | {pattern} | {equal} |"


def _cell(text: str) -> str:
    line = text.partition("\n")[0].replace("|", "\\|")
    return line if len(line) < 200 else line[:197] + "..."


_SETTINGS = {"tokenizer_config.json", "special_tokens_map.json", "config.json"}
"""Files that lie beside a tokenizer."""


def found(root: Path) -> Iterator[Path]:
    """Yield the tokenizers below *root*: folders of transformers, and files of the known names."""
    for folder, _, files in sorted(os.walk(root, followlinks=True)):
        path, names = Path(folder), set(files)
        is_model = "tokenizer_config.json" in names and names & {
            "tokenizer.json",
            "vocab.json",
            "tiktoken.model",
            "tokenizer.model",
        }
        if (
            is_model
            or {"vocab.json", "merges.txt"} <= names
            or {"encoder.json", "vocab.bpe"} <= names
        ):
            yield path
        else:
            for name in sorted(names - _SETTINGS):
                suffixes = Path(name).suffixes
                if "vocab" in name or {".json", ".tiktoken", ".model", ".pkl"} & set(suffixes):
                    yield path / name


def main(roots: Sequence[str]) -> None:
    """Print the table of the tokenizers below *roots*."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.disable(logging.WARNING)
    print("| file | format | ids | normalizer | pattern | equal to its library |")
    print("|---|---|---:|---|---|---|")
    for root in map(Path, roots):
        for path in found(root):
            print(row(root, path), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
