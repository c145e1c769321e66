"""How the shell blocks of each document run in a test: small files, few steps, what cannot run."""

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pyarrow
import pyarrow.parquet

import pytok
from pytok.chat.example import example_chat, example_export
from tests.docs.documents import ROOT, blocks
from tests.docs.shell import Setting

NUMBERS = {r"\[[\d,\s]+\]": "N", r"\d[\d,.:]*( \d[\d,.:]*)*": "N"}
"""Numbers of another text, another machine or another model; a list of ids is one."""
BARS = {r"^[\d:]+ left$": ""}
"""A line of the progress, which a terminal replaces by the next one."""
TIMES = {r"\b[\d.,]+ (second|minute)s?\b": "TIME"}
"""How long a training may take, or took."""
SPLIT = {r"^T\|?o\|.*$": "SPLIT"}
"""A text as the tokens of another vocabulary."""
SIZES = {r"[\d.]+[KM]? parameters": "N parameters"}
MERGES = {r"^(first merges|last merges|longest token|special tokens|fingerprint) .*": r"\1"}
"""What the tokenizer of another text has."""

INSTALLS = {r"^(pip|uvx?|pipx) ": "installs from the network"}
TORCHRUN = {r"^torchrun ": "needs GPUs or machines; tests/gpt/parallel starts processes"}
TALKS = {r"^gpt chat \S+$": "waits for somebody who writes; tests/docs/test_shell.py writes"}
PHONE = {
    r"^(pytok chat import|gpt clone) ": "needs the files of a phone, which tests/pytok/chat has"
}

TINY = "--steps 6 --layers 1 --width 32 --heads 1 --context 32 --batch-size 4 --eval-every 6"
"""A model that is trained in less than a second."""
TRAININGS = {r"^gpt train(?= --data)": f"gpt train {TINY}"}
SMALL_MODELS = TRAININGS | {r"^gpt tune(?= )": "gpt tune --steps 4"}
SMALL_CLONES = {r"^gpt clone (?=.*--(me|out) )": "gpt clone --seconds 0.5 "}
"""Other sizes than planned or given: time is not measured, or hardly used."""
SMALL_VOCABULARIES = {r"--vocab \d{4,5}\b": "--vocab 400"}


def text(path: Path, size: int = 40_000) -> None:
    """Write English text: chapters of Python's documentation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(topics.values())[:size], encoding="utf-8")


def texts(*names: str) -> Callable[[Path], None]:
    """Return a function that writes such texts into a folder."""

    def write(folder: Path) -> None:
        for name in names:
            text(folder / name)

    return write


def chat(path: Path, me: str = "Mara", messages: int = 300) -> None:
    """Write the export of a chat of *me* with Jonas, also as a zip."""
    export = example_export(example_chat(messages)).replace("Mara", me)
    if path.suffix != ".zip":
        path.write_text(export, encoding="utf-8", newline="")
        return
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("_chat.txt", export)


def characters(folder: Path) -> None:
    """Write the files that nanoGPT's data/shakespeare_char/prepare.py writes."""
    folder.mkdir(parents=True)
    written = "".join(topics.values())[:20_000].encode("ascii", "ignore").decode()
    letters = sorted(set(written))
    stoi = {letter: id for id, letter in enumerate(letters)}
    meta = {"vocab_size": len(letters), "itos": dict(enumerate(letters)), "stoi": stoi}
    (folder / "meta.pkl").write_bytes(pickle.dumps(meta))
    ids = np.array([stoi[letter] for letter in written], np.uint16)
    ids[:-2_000].tofile(folder / "train.bin")
    ids[-2_000:].tofile(folder / "val.bin")


def training(folder: Path) -> None:
    """Write what docs/training.md assumes."""
    text(folder / "corpus.txt")
    text(folder / "other.txt", 5_000)
    chat(folder / "chat.txt")
    (recipe,) = blocks(ROOT / "docs/training.md", "toml")
    (folder / "recipe.toml").write_text(recipe.text)
    characters(folder / "nanoGPT/data/shakespeare_char")
    question = {"question": "A string is", "choices": [" immutable", " a list"], "answer": 0}
    (folder / "hellaswag.jsonl").write_text(json.dumps(question) + "\n")


def preferences(folder: Path) -> None:
    """Write pairs, and labeled completions."""
    prompts = [f"{number} + {number} =" for number in range(20)]
    pair = {"chosen": " a number", "rejected": " a list"}
    labeled = {"completion": " a number", "label": True}
    for name, fields in (("pairs", pair), ("labeled", labeled)):
        lines = [json.dumps({"prompt": prompt, **fields}) + "\n" for prompt in prompts]
        (folder / f"{name}.jsonl").write_text("".join(lines))


def tuning(folder: Path) -> None:
    """Write what docs/tuning.md assumes: texts, conversations, and preferences."""
    text(folder / "corpus.txt")
    text(folder / "domain.txt", 5_000)
    text(folder / "other.txt", 5_000)
    (shown,) = (
        block for block in blocks(ROOT / "docs/tuning.md", "json") if "messages" in block.text
    )
    (folder / "talks.jsonl").write_text(shown.text * 4)
    text(folder / "other.txt", 5_000)
    preferences(folder)


def corpora(folder: Path) -> None:
    """Write the sources of docs/corpora.md."""
    texts("notes/a.txt", "notes/b.txt", "pages.html", "tokens.txt")(folder)
    pytok.train(folder / "tokens.txt", vocab_size=300).save(folder / "tokenizer.json")
    (folder / "wiki").mkdir()
    line = json.dumps({"text": (folder / "pages.html").read_text()}) + "\n"
    compressed = pyarrow.compress(line.encode(), codec="zstd", asbytes=True)
    (folder / "wiki/a.jsonl.zst").write_bytes(compressed)
    rows = [[{"content": "What is a list?"}, {"content": "A sequence."}], None]
    pyarrow.parquet.write_table(pyarrow.table({"messages": rows}), folder / "chats.parquet")


def imported(folder: Path) -> None:
    """Write my/, some texts, and gpt2/, a small model with the names of GPT-2."""
    import transformers

    texts("my/a.txt", "my/b.txt")(folder)
    tokenizer = pytok.train(folder / "my/a.txt", vocab_size=400, pattern="gpt2")
    tokenizer.save(folder / "gpt2")
    config = transformers.GPT2Config(
        vocab_size=400,
        n_positions=32,
        n_embd=16,
        n_layer=1,
        n_head=2,
        bos_token_id=399,
        eos_token_id=399,
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder / "gpt2")


def own_chat(folder: Path) -> None:
    """Write the exports of docs/your-own-chat.md, and a base to tune."""
    imported(folder)
    chat(folder / "WhatsApp Chat with Ada.txt", "Ada")
    for name in ("old.txt", "new.txt"):
        chat(folder / name, "Ada")


def two_exports(folder: Path) -> None:
    """Write the exports of docs/anonymizing.md, in which the names occur."""
    chat(folder / "WhatsApp Chat with Ada.txt", "Ada")
    for name in ("old.zip", "new.zip"):
        chat(folder / name, "Carol Wolf and Bobby")


def pairs(folder: Path) -> None:
    """Write a text and pairs of digits and their names, many times."""
    text(folder / "corpus.txt")
    names = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    lines = [json.dumps({"source": f"{n} {n}", "target": name}) for n, name in enumerate(names)]
    (folder / "pairs.jsonl").write_text("\n".join(lines * 12) + "\n")


def csv_of_the_page(folder: Path) -> None:
    """Write the CSV that docs/your-own-format.md shows."""
    (block,) = blocks(ROOT / "docs/your-own-format.md", "csv")
    (folder / "messages.csv").write_text(block.text)


SETTINGS = {
    "README.md": Setting(
        files=texts("shakespeare.txt"),
        edits=SMALL_VOCABULARIES
        | SMALL_MODELS
        | SMALL_CLONES
        | {"--messages 5000": "--messages 300"},
        omit=INSTALLS | TORCHRUN | TALKS | {"^curl ": "downloads the text"},
        varies=MERGES | SPLIT | SIZES | TIMES | NUMBERS,
        writes={"gpt sample": "ROMEO:"},
    ),
    "docs/anonymizing.md": Setting(files=two_exports),
    "docs/benchmarks.md": Setting(
        omit={"^(python -m|make) bench": "takes minutes; tests/test_benches.py runs small ones"}
    ),
    "docs/chat-formats.md": Setting(omit=PHONE),
    "docs/corpora.md": Setting(files=corpora, edits=SMALL_VOCABULARIES),
    "docs/families.md": Setting(omit={"^python -m benches": "needs published tokenizers"}),
    "docs/index.md": Setting(
        files=texts("corpus.txt"), edits=SMALL_VOCABULARIES | TRAININGS, omit=INSTALLS
    ),
    "docs/install.md": Setting(omit=INSTALLS | {"^make |^git clone": "installs; CI does so"}),
    "docs/lab/README.md": Setting(),
    "docs/many-machines.md": Setting(
        files=texts("corpus/a1.txt", "corpus/a2.txt", "corpus/b.txt"),
        edits=SMALL_VOCABULARIES,
        omit=INSTALLS | {"^python examples/": "tests/pytok/test_many_machines.py runs it"},
    ),
    "docs/many-processes.md": Setting(omit=TORCHRUN),
    "docs/report.md": Setting(files=texts("corpus.txt"), edits=SMALL_VOCABULARIES),
    "docs/smaller-vocabulary.md": Setting(
        files=imported, edits={r"--vocab \d+": "--vocab 300"}, slow=True
    ),
    "docs/tokenizer.md": Setting(
        files=texts("corpus.txt", "notes/a.txt"), edits={r"--vocab (4096|8192)": "--vocab 400"}
    ),
    "docs/training.md": Setting(
        files=training,
        edits=SMALL_MODELS,
        omit=TALKS,
        varies=SIZES | TIMES | NUMBERS,
        slow=True,
    ),
    "docs/tuning.md": Setting(
        files=tuning,
        edits={
            **SMALL_MODELS,
            r"--texts \d+": "--texts 300",
            r"^(gpt classify example -o spam.tsv)": r"\1 --texts 200",
            r"^(gpt classify train)": r"\1 --epochs 1",
        },
        omit=TALKS,
        slow=True,
    ),
    "docs/translating.md": Setting(
        files=pairs,
        edits={
            r"^(gpt train .*(transformer|luong))": r"\1 --steps 6 --depth 1 --width 16",
            r"^(gpt train .*bert)": rf"\1 {TINY}",
        },
        slow=True,
    ),
    "docs/your-own-chat.md": Setting(
        files=own_chat,
        edits=SMALL_CLONES,
        omit=INSTALLS | {"activate|venv": "changes the environment"},
        fails={r"^gpt clone (?!.*--(me|help))": "it lists the people, since one must be chosen"},
        varies=BARS | TIMES | {"^ *warning: .*$": "", r"predicts Mara .+ before": "RESULT"},
        slow=True,
    ),
    "docs/your-own-format.md": Setting(files=csv_of_the_page),
}
"""By document. A document with shell blocks has an entry, even if all runs as it is printed."""
