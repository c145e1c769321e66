"""What splitting a text before merging costs and gives, and what GPT-4's tokenizer owes to it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytok
from gpt.lab.apparatus.texts import english, python_code
from gpt.lab.checks import Above, Equal, Factor, Greater
from gpt.lab.experiment import Bars, Experiment, Figures, Lines, Part, Setting, Source

PATTERNS = {
    "whole text": r"(?s).+",
    "categories": r"\p{L}+|\p{N}+|[^\s\p{L}\p{N}]+|\s+",
    "GPT-2": "gpt2",
    "GPT-4": "cl100k",
}
"""Of a piece. GPT-2's has categories of characters, and a space before each."""
CODE: dict[str, tuple[str, Callable[[], str], int]] = {
    "GPT-2": ("gpt2", english, 1),
    "GPT-2, code": ("gpt2", python_code, 1),
    "GPT-4, code": ("cl100k", python_code, 1),
    "GPT-4, code, twice": ("cl100k", python_code, 2),
}
"""Pattern, training text, and vocabularies of the size."""


def split(text: str, seed: int) -> tuple[str, str]:
    """Return *text* without one tenth, which differs by seed, and the tenth."""
    tenth = len(text) // 10
    start = seed % 10 * tenth
    return text[:start] + text[start + tenth :], text[start : start + tenth]


def categories(token: bytes) -> set[str]:
    """Return the categories of a token's characters, without a space before them.

    A contraction, such as 's, is of one category; so is what is not yet a whole character.
    """
    text = token.decode(errors="ignore").removeprefix(" ")
    tests = {"letter": str.isalpha, "number": str.isnumeric, "space": str.isspace}
    word = text[1:] if re.fullmatch(r"'[a-z]+", text) else text
    found = [[name for name, test in tests.items() if test(each)] or ["other"] for each in word]
    return {name for (name, *_) in found}


def patterns(setting: Setting) -> Figures:
    """Train on English, split by the pattern of an arm; compress a held-out tenth."""
    train, held_out = split(english(), setting.seed)
    sizes = setting.size["vocab"]
    ours = pytok.train([train], sizes[-1], pattern=PATTERNS[setting.arm], special_tokens=())
    found = [len(held_out.encode()) / ours.truncated(size).count(held_out) for size in sizes]
    mixed = [len(categories(token)) > 1 for token in ours.vocab]
    return {
        "vocab": [float(size) for size in sizes],
        "bytes": found,
        "at the largest": found[-1],
        "mixed": 100 * sum(mixed) / len(mixed),
    }


def code(setting: Setting) -> Figures:
    """Return the tokens of a held-out tenth of Python code, per thousand bytes."""
    pattern, training, times = CODE[setting.arm]
    train, _ = split(training(), setting.seed)
    _, held_out = split(python_code(), setting.seed)
    ours = pytok.train([train], times * setting.size["vocab"], pattern=pattern, special_tokens=())
    return {"tokens": 1000 * ours.count(held_out) / len(held_out.encode())}


EXPERIMENT = Experiment(
    id="presplit",
    question="Why is text split before bytes are merged, and what does a space before a word give?",
    source=Source(
        paper="Radford 2019, Language Models are Unsupervised Multitask Learners (GPT-2); "
        "Karpathy 2024, Let's build the GPT Tokenizer",
        link="https://github.com/openai/gpt-2",
        where="section 2.2; Karpathy's video: 300 tokens of GPT-2 are 185 of GPT-4",
    ),
    claim="Text is split by categories of characters, so that dog. and dog! are no tokens. A space "
    "before a word may join it, which improves compression significantly. The tokenizer of GPT-4 "
    "needs 0.62 of GPT-2's tokens for one page, of Python code among others.",
    parts=[
        Part(
            name="patterns",
            kind="QUALITY",
            arms=list(PATTERNS),
            measure=patterns,
            sizes={
                "smoke": {"vocab": (300, 512)},
                "cpu": {"vocab": (300, 512, 1024, 2048, 4096)},
                "gpu": {"vocab": (300, 512, 1024, 2048, 4096)},
            },
            checks=[
                Equal(
                    claim="no token of GPT-2's pattern crosses a category, contractions excepted",
                    arm="GPT-2",
                    figure="mixed",
                    value=0,
                ),
                Above(
                    claim="of the whole text, more than 10% of the tokens do",
                    arm="whole text",
                    figure="mixed",
                    bound=10,
                ),
                Greater(
                    claim="the space that may join a word improves compression",
                    arm="GPT-2",
                    than="categories",
                    figure="at the largest",
                ),
            ],
        ),
        Part(
            name="code",
            kind="QUALITY",
            arms=list(CODE),
            measure=code,
            sizes={"smoke": {"vocab": 512}, "cpu": {"vocab": 4096}, "gpu": {"vocab": 4096}},
            checks=[
                Factor(
                    claim="GPT-4's pattern, training and size: 0.62 of the tokens, within a tenth",
                    arm="GPT-4, code, twice",
                    to="GPT-2",
                    figure="tokens",
                    between=(0.55, 0.68),
                ),
                Factor(
                    claim="its pattern alone needs fewer tokens of Python code",
                    arm="GPT-4, code",
                    to="GPT-2, code",
                    figure="tokens",
                ),
                Factor(
                    claim="training on code alone needs fewer",
                    arm="GPT-2, code",
                    to="GPT-2",
                    figure="tokens",
                ),
            ],
        ),
    ],
    panels=[
        Lines(
            part="patterns",
            x="vocab",
            y="bytes",
            x_label="vocabulary",
            y_label="bytes per token, held out",
            log=("x",),
        ),
        Bars(part="code", figure="tokens", label="tokens per 1,000 bytes of code"),
    ],
    bounds="Tokenizers are trained on the help texts and on modules of Python, with up to 8,192 "
    "tokens; those of GPT-2 and GPT-4 have 50,257 and 100,277, of texts of the web. The 300 and "
    "185 tokens are of one page of English, Korean and Python. The whole text compresses best: "
    "the paper's reason to split is what a vocabulary is spent on, not compression.",
    expects="No token crosses a category. The space gives a third more bytes per token. Of the "
    "0.62 most is due to training on code, a tenth to the size, and little to the pattern.",
)
