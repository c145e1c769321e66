"""A vocabulary of words against byte pair encoding, for a model that is trained on a chat."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from gpt.lab.apparatus.chats import android_export, imported, text_chat
from gpt.lab.apparatus.training import BITS, Run, Training, training_part
from gpt.lab.apparatus.words import CODINGS, UNKNOWN, Words, data_of, group_chat
from gpt.lab.checks import Above, Equal, Less
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Part, Setting, Source
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from pytok.chat.example import example_export
from pytok.tokenizer import Tokenizer

LINE = re.compile(r"\[(.*?)\] (.*?): (.*)")
"""Of a message, as lad-gpt has it."""


def unknown(setting: Setting) -> Figures:
    """Encode the last tenth of a chat, with a vocabulary of the rest, and with one of all."""
    train, val = ([text for _, text in part] for part in group_chat(setting.size["characters"]))
    code = CODINGS[setting.arm](train)
    ids = [code.encode(text) for text in val]
    return {
        "unknown": percent_unknown(code, val),
        "unknown, of all": percent_unknown(CODINGS[setting.arm](train + val), val),
        "lost": 100 * sum(code.decode(a) != b for a, b in zip(ids, val, strict=True)) / len(val),
    }


def percent_unknown(code: Words | Tokenizer, texts: Sequence[str]) -> float:
    """Return the percentage of tokens that are the unknown one."""
    mark = (code.tokenizer if isinstance(code, Words) else code).special_tokens[UNKNOWN]
    ids = [id for text in texts for id in code.encode(text)]
    return 100 * ids.count(mark) / len(ids)


def reading(setting: Setting) -> Figures:
    """Read an export of which each tenth message has two lines, by one pattern and by ours."""
    chat = text_chat(setting.size["messages"], setting.seed)
    chat = [replace(m, text="one\ntwo") if n % 10 == 0 else m for n, m in enumerate(chat)]
    export = {"Android": android_export, "iPhone": example_export}[setting.arm](chat)
    said = [(str(message.sender), message.text) for message in chat]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "chat.txt"
        path.write_text(export, encoding="utf-8", newline="")
        ours = [(str(message.sender), message.text) for message in imported(path)]
    theirs = [(name, text.rstrip()) for _, name, text in LINE.findall(export)]
    return {
        "pattern": 100 * (Counter(theirs) & Counter(said)).total() / len(said),
        "import": 100 * sum(a == b for a, b in zip_longest(ours, said)) / len(said),
    }


def model(setting: Setting) -> Architecture:
    """Return the model: lad-gpt's 32 tokens of context, and small."""
    layers, width = setting.size["layers"], setting.size["width"]
    heads = GroupedQuery(heads=4, kv_heads=4)
    return Architecture(context=32, layers=layers, width=width, attention=heads)


def how(setting: Setting) -> Run:
    """Return how an arm is trained."""
    size = setting.size
    data, vocab = data_of(setting.arm, size["characters"])
    return Run(steps=size["steps"], rows=32, vocab=vocab, data=data, device=setting.device)


SMALL = {"messages": 500, "characters": 40_000}
LARGE = {"messages": 5000, "characters": 230_000}

EXPERIMENT = Experiment(
    id="ladgpt",
    question="What does a chat model of words miss that one of byte pairs has?",
    source=Source(
        paper="Pfann 2023, lad-gpt: Train a language model on your WhatsApp chats",
        link="https://github.com/bernhard-pfann/lad-gpt",
        where="src/preprocess.py: the patterns of lines and words, <UNK> for what occurs once",
    ),
    claim="A chat is read by one pattern of lines, its words that occur twice are the vocabulary, "
    "and the model learns its patterns and words.",
    parts=[
        Part(
            name="reading",
            kind="EXACT",
            arms=["iPhone", "Android"],
            measure=reading,
            sizes={
                "smoke": {"messages": 500},
                "cpu": {"messages": 5000},
                "gpu": {"messages": 5000},
            },
            checks=[
                Equal(claim=f"{claim}, percent", arm=arm, figure=figure, value=value)
                for arm, figure, value, claim in (
                    ("iPhone", "import", 100, "the import reads all messages of an iPhone"),
                    ("Android", "import", 100, "and of Android"),
                    ("iPhone", "pattern", 90, "the pattern loses those with a second line"),
                    ("Android", "pattern", 0, "it finds none of Android"),
                )
            ],
        ),
        Part(
            name="unknown",
            kind="EXACT",
            arms=list(CODINGS),
            measure=unknown,
            sizes={"smoke": SMALL, "cpu": LARGE, "gpu": LARGE},
            checks=[
                Equal(claim="BPE has no unknown tokens", arm="BPE", figure="unknown", value=0),
                *(
                    Equal(claim=f"{arm}: every text is given back", arm=arm, figure="lost", value=0)
                    for arm in ("words, spaces", "BPE")
                ),
                Above(
                    claim="of later words more than 3% are unknown, in percent",
                    arm="words",
                    figure="unknown",
                    bound=3,
                ),
            ],
        ),
        training_part(
            arms=list(CODINGS),
            training=Training(model=model, how=how),
            sizes={
                "smoke": {**SMALL, "layers": 1, "width": 32, "steps": 3},
                "cpu": {**LARGE, "layers": 2, "width": 64, "steps": 200},
                "gpu": {**LARGE, "layers": 6, "width": 256, "steps": 5000},
            },
            rates=(3e-3, 1e-2, 3e-2),
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                Less(claim=f"BPE needs fewer bits than {claim}", arm="BPE", than=arm, figure=BITS)
                for arm, claim in (
                    ("words, spaces", "words with their spaces, unknown ones spelled"),
                    ("words, spelled", "words without spaces, unknown ones spelled"),
                    ("words", "words without spaces, unknown ones by their mark alone"),
                )
            ],
        ),
    ],
    panels=[
        Bars(part="unknown", figure="unknown", label="unknown tokens, percent"),
        Bars(part="loss", figure=BITS, label="bits per byte of later messages"),
    ],
    bounds="The chat is of sentences of Python's help, in small letters as lad-gpt has them, with "
    "six speakers. Words of lad-gpt do not predict spaces, which BPE must: so there are words "
    "with spaces, too. All arms have as many tokens in the vocabulary, in a row and in a step, so "
    "a step of words has a fifth more text, and BPE is behind by 0.02 bits, by more where spaces "
    "are free. lad-gpt counts the words of the validation text, too, by which fewer are unknown. "
    "What the model says in a chat is not judged.",
    expects="No unknown tokens of BPE, 7% of words. BPE needs fewer bits than spelled words, but "
    "more than words whose unknown ones are free.",
)
