"""Write the test vectors that the Python and Rust tests read, from third-party libraries.

python tests/vectors/make.py

`pieces.json`: texts split by Python's `regex` with tiktoken's patterns. `merges.json`: tokens
trained by Hugging Face's `BpeTrainer`. `ids.json`: texts encoded by tiktoken with these tokens.
"""

import json
from pathlib import Path

import regex
import tiktoken
import tiktoken_ext.openai_public as published
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

FOLDER = Path(__file__).parent

# tiktoken's own spellings; `$` is the end of the text in Rust, `\Z` in Python.
LETTERS = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]%s[\p{Ll}\p{Lm}\p{Lo}\p{M}]%s"
O200K = "|".join(
    [
        LETTERS % ("*", "+") + r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        LETTERS % ("+", "*") + r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)
CL100K = "|".join(
    [
        r"'(?i:[sdmt]|ll|ve|re)",
        r"[^\r\n\p{L}\p{N}]?+\p{L}++",
        r"\p{N}{1,3}+",
        r" ?[^\s\p{L}\p{N}]++[\r\n]*+",
        r"\s++$",
        r"\s*[\r\n]",
        r"\s+(?!\S)",
        r"\s",
    ]
)
PATTERNS = {"gpt2": published.r50k_pat_str, "cl100k": CL100K, "o200k": O200K}

TEXTS = [
    "",
    "Hello, world! It's 2026; they'LL say we'Re DON'T'ſ done.",
    "a  b   c\n\n\n d\t\te \n \n  \r\n f \n",
    "trailing newline then spaces\n   ",
    "  leading   12345678 3.14159 ٣٤٥ Ⅷ½ x²",
    "http://example.org//path\n/next !!!\n\n/??? $_ __init__(self)",
    "naïve café e\u0301\u0301 ẞTRAßE ǅungla ʰh",
    "漢字かな交じり文。Привет, мир! שלום مرحبا नमस्ते 👋🏽👨‍👩‍👧",
    "\u00a0nbsp\u3000wide\u2028line\u0085next\u200bzero\x1cfs\x00nul",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" * 3,
    "CamelCaseHTTPServer'S snake_case 'quoted' 'd'm",
]
CORPUS = TEXTS + ["the theme of the thesis, then and there"] * 3


def pieces(pattern: str, text: str) -> list[str]:
    """Split *text* with Python's `regex`."""
    return regex.findall(PATTERNS[pattern].replace("$", r"\Z"), text)


def merges(pattern: str, size: int) -> list[bytes]:
    """Return the tokens that Hugging Face's trainer produces, as bytes, the single bytes first."""
    trained = tokenizers.Tokenizer(models.BPE())
    split = tokenizers.Regex(PATTERNS[pattern].replace("$", r"\z").replace("{1,3}+", "{1,3}"))
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(split, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trained.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=size,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    by_id = sorted(trained.get_vocab().items(), key=lambda item: item[1])
    return [bytes(letter_bytes()[letter] for letter in letters) for letters, _ in by_id]


def letter_bytes() -> dict[str, int]:
    """Return the byte for each letter of GPT-2's alphabet, as tiktoken's loader derives it."""
    printable = [byte for byte in range(256) if chr(byte).isprintable() and chr(byte) != " "]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + index): byte for index, byte in enumerate(others)
    }


def main() -> None:
    """Write the three files."""
    trained_tokens = {name: merges(name, 340) for name in PATTERNS}
    encodings = {
        name: tiktoken.Encoding(
            name,
            pat_str=PATTERNS[name],
            mergeable_ranks={token: rank for rank, token in enumerate(tokens)},
            special_tokens={"<|endoftext|>": len(tokens)},
        )
        for name, tokens in trained_tokens.items()
    }
    vectors = {
        "pieces": [
            {"pattern": name, "text": text, "pieces": pieces(name, text)}
            for name in PATTERNS
            for text in TEXTS
        ],
        "merges": [
            {"pattern": name, "texts": CORPUS, "tokens": [token.hex() for token in tokens]}
            for name, tokens in trained_tokens.items()
        ],
        "ids": [
            {
                "pattern": name,
                "text": text,
                "ids": encodings[name].encode(text, allowed_special="all"),
            }
            for name in PATTERNS
            for text in [*TEXTS, "a<|endoftext|>b <|endoftext|", "<|endoftext|><|endoftext|>"]
        ],
    }
    for name, rows in vectors.items():
        text = json.dumps(rows, ensure_ascii=True, indent=0)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
