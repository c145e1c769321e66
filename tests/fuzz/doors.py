"""The doors: all commands and functions that read files which others can have written.

Each has small valid files, of which one is mutated, and a command that reads them in their folder.
"""

import bz2
import gzip
import hashlib
import json
import lzma
import shutil
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import zstandard

from gpt.data.sources import prepare
from gpt.interop.gguf import export_file
from gpt.interop.huggingface import export_folder
from gpt.runs.metrics import read_metrics
from pytok.chat.template import Template
from tests.fuzz.running import Call
from tests.fuzz.seeds import (
    OPENAI,
    QUESTIONS,
    RECIPE,
    ROWS,
    SHAREGPT,
    TELEGRAM,
    TEXT,
    WHATSAPP,
    adopt,
    android,
    android_backup,
    both,
    chat_folder,
    clip,
    cloned,
    copied,
    count,
    encrypted,
    history,
    imessage,
    iphone,
    megatron_files,
    meta,
    other_apps,
    parquet,
    pickled,
    prompted,
    ranks,
    read_run,
    run_folder,
    save,
    shard,
    tekken,
    token_files,
    whatsapp,
    written,
    written_late,
)
from tests.pytok.archives import tar_of, zip_of


@dataclass(frozen=True)
class Door:
    """A command that reads *files* of its folder, which `seed` writes."""

    name: str
    command: str | Call
    """Run in the folder. Its outputs have names that start with ``out``."""
    files: str
    """A pattern of the files that are mutated."""
    seed: Callable[[Path], object]
    finish: Callable[[Path], object] = lambda folder: None
    """Called with the folder after a mutation: for checksums, and archives of the file."""
    names: tuple[str, ...] = ()
    """Further names that an error can have instead of that of the file."""
    stdin: bytes = b""
    weight: int = 10
    """Inputs of this door for each ten of the fastest ones."""


# After a mutation.


def seal(folder: Path) -> None:
    """Write the checksums of a checkpoint again, or no file but them would be read."""
    for sums in folder.rglob("SHA256SUMS"):
        files = sorted(path for path in sums.parent.iterdir() if path != sums)
        lines = [
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files
        ]
        sums.write_text("".join(lines))


def packed(name: str, archive: str, pack: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """Write *archive* with the file *name* in it."""
    return lambda folder: (folder / archive).write_bytes(pack((folder / name).read_bytes()))


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
    "zip": lambda data: zip_of({"a.jsonl": data, "b.txt": data}),
    "tar": lambda data: tar_of({"a.jsonl": data, "b.txt": data}),
    "tgz": lambda data: gzip.compress(tar_of({"a.jsonl": data})),
}

show = "pytok show {} --text abc"
OF_TEXT = ("not in the vocabulary", "the pattern matches the empty", "the pattern takes too long")
"""What an error says that is about the text to encode, for which any tokenizer is accepted."""
imported = "pytok chat import {} -o out.jsonl --date-order dmy"
evaluated = "gpt eval run --device cpu --dtype float32"


def _tokenizers() -> Iterable[Door]:
    yield Door("tokenizer.json", show.format("t.json"), "t.json", save("t.json"), names=OF_TEXT)
    yield Door(
        "ranks",
        show.format("r.tiktoken --pattern gpt2"),
        "*",
        written_late("r.tiktoken", ranks),
        names=("r.tiktoken", *OF_TEXT),
    )
    yield Door("vocab.json", show.format("t"), "t/*", save("t"), names=("t:", "t/", *OF_TEXT))
    yield Door(
        "tekken.json",
        show.format("t.json"),
        "*",
        written_late("t.json", lambda: tekken().encode()),
        names=("t.json", *OF_TEXT),
    )
    yield Door(
        "encode",
        "pytok encode -t t.json text",
        "t.json",
        both(save("t.json"), written("text", TEXT)),
        names=("text", *OF_TEXT),
    )
    yield Door(
        "encode text",
        "pytok encode -t t.json text",
        "text",
        both(save("t.json"), written("text", TEXT)),
    )
    yield Door(
        "decode",
        "pytok decode -t t.json ids",
        "ids",
        both(save("t.json"), written("ids", "[1, 2, 3, 77]")),
    )
    yield Door("convert", "pytok convert t.json out.json", "t.json", save("t.json"))
    yield Door("pickle", show.format("t.pkl"), "*", written_late("t.pkl", pickled), names=OF_TEXT)
    yield Door("clip", show.format("bpe.txt"), "*", written_late("bpe.txt", clip), names=OF_TEXT)


def _corpora() -> Iterable[Door]:
    counted = "pytok count-pieces c.{} -o out.parquet"
    for suffix, data in ("txt", TEXT.encode()), ("jsonl", ROWS.encode()):
        yield Door(f"corpus {suffix}", counted.format(suffix), "*", written(f"c.{suffix}", data))
    table = parquet({"text": list(TEXT.splitlines())})
    yield Door("corpus parquet", counted.format("parquet"), "*", written("c.parquet", table))
    for suffix, pack in COMPRESSIONS.items():
        name = f"c.jsonl.{suffix}" if suffix in ("gz", "bz2", "xz", "zst") else f"c.{suffix}"
        command = f"pytok count-pieces {name} -o out.parquet"
        yield Door(f"corpus {suffix}", command, name, written(name, pack(ROWS.encode())))
    for suffix in ("zip", "tar"):
        yield Door(
            f"corpus in {suffix}",
            f"pytok count-pieces c.{suffix} -o out.parquet",
            "rows",
            written("rows", ROWS),
            packed("rows", f"c.{suffix}", COMPRESSIONS[suffix]),
            names=(f"c.{suffix}",),
        )
    trained = "pytok train --counts counts.parquet --vocab 300 -o out.json"
    yield Door("counts", trained, "*", count, names=("counts.parquet", "out.json"))


def _chats() -> Iterable[Door]:
    yield Door("whatsapp", imported.format("c.txt"), "*", written_late("c.txt", whatsapp))
    yield Door(
        "whatsapp zip",
        imported.format("c.zip"),
        "*",
        written_late("c.zip", lambda: zip_of({"_chat.txt": whatsapp()})),
    )
    yield Door(
        "whatsapp in zip",
        imported.format("c.zip"),
        "c.txt",
        written_late("c.txt", whatsapp),
        packed("c.txt", "c.zip", lambda data: zip_of({"_chat.txt": data})),
        names=("c.zip",),
    )
    yield Door(
        "telegram",
        imported.format("result.json"),
        "*",
        written("result.json", json.dumps(TELEGRAM)),
    )
    yield Door("sharegpt", imported.format("c.json"), "*", written("c.json", json.dumps(SHAREGPT)))
    yield Door("openai", imported.format("c.jsonl"), "*", written("c.jsonl", OPENAI))
    yield Door("history", imported.format("chat.jsonl"), "*", history)
    yield Door(
        "chat build",
        "pytok chat build chat.jsonl -o out --me Mara --vocab 270",
        "*",
        history,
        names=("chat.jsonl", "conversation", "senders", "this chat"),
        weight=3,
    )
    shown = "pytok chat show chat.jsonl --statistics"
    yield Door("chat show", shown, "*", history, names=("chat.jsonl", "no message of a person"))
    yield Door("android", imported.format("msgstore.db"), "*", android)
    yield Door("iphone", imported.format("ChatStorage.sqlite"), "*", iphone)
    yield Door("imessage", imported.format("chat.db"), "*", imessage)
    yield Door("ab", imported.format("a.ab"), "*", android_backup(b"1\n0\nnone\n", bytes))
    yield Door(
        "ab compressed",
        imported.format("a.ab"),
        "*",
        android_backup(b"5\n1\nnone\n", zlib.compress),
    )
    yield Door(
        "in ab",
        imported.format("a.ab"),
        "*.db",
        android,
        packed(
            "msgstore.db",
            "a.ab",
            lambda data: b"ANDROID BACKUP\n5\n0\nnone\n" + tar_of({WHATSAPP: data}),
        ),
        names=("a.ab",),
    )
    yield Door(
        "crypt15",
        imported.format("msgstore.db.crypt15 --key encrypted_backup.key"),
        "*",
        encrypted,
        names=("msgstore.db.crypt15", "encrypted_backup.key"),
    )
    yield Door(
        "chat.json", lambda: Template.load("chat.json"), "chat.json", copied(chat_folder, "data")
    )


def _other_apps() -> Iterable[Door]:
    for name, content in other_apps().items():
        command = f"pytok chat import {name} -o out.jsonl --timezone Europe/Vienna"
        yield Door(f"app {name}", command, name, written(name, content))
    for name, encoding in ("utf-16.txt", "utf-16"), ("ansi.txt", "cp1252"):
        content = whatsapp().decode().encode(encoding, "replace")
        command = imported.format(f"{name} --encoding {encoding}")
        yield Door(f"chat {name}", command, name, written(name, content))


def _runs() -> Iterable[Door]:
    run = copied(lambda: run_folder().parent, "")
    sample = "gpt sample run --prompt a --tokens 2 --device cpu --dtype float32"
    inside = "run/checkpoints/*/*"
    yield Door(
        "checkpoint",
        sample,
        inside,
        run,
        seal,
        names=("run/checkpoints", "its weights are damaged"),
        weight=2,
    )
    yield Door("checkpoint sums", sample, inside, run, names=("run",), weight=2)
    yield Door(
        "metrics",
        lambda: read_metrics(Path("metrics.jsonl")),
        "metrics.jsonl",
        copied(chat_folder, "run"),
    )
    yield Door(
        "shards", f"{evaluated} --data data", "data/*", both(run, shard), names=("data",), weight=2
    )
    yield Door(
        "choices",
        f"{evaluated} --choices q.jsonl",
        "q.jsonl",
        both(run, written("q.jsonl", QUESTIONS)),
        weight=2,
    )
    yield Door(
        "toml",
        "gpt train --data none --config r.toml --out out",
        "*",
        written("r.toml", RECIPE),
        names=("r.toml", "none", "must be"),
    )
    yield Door(
        "token files",
        adopt("t.json"),
        "*.[bn]*",
        both(save("t.json"), token_files),
        names=(".bin", ".npy"),
        weight=5,
    )
    yield Door(
        "megatron",
        lambda: prepare(Path("tokens"), Path("out"), tokenizer="t.json"),
        "tokens/*",
        both(save("t.json"), megatron_files),
        names=(".bin", ".idx"),
        weight=5,
    )
    yield Door("prompt", prompted, "prompt", both(run, written("prompt", TEXT)), weight=2)
    yield Door(
        "clone",
        "gpt clone c.txt --out clone --me Mara",
        "clone/*.json*",
        cloned,
        names=("clone",),
        weight=2,
    )
    yield Door("meta.pkl", adopt(None), "meta.pkl", meta, names=("meta.pkl", ".bin"), weight=5)
    yield Door(
        "gpt chat /load",
        "gpt chat run --as Jonas --tokens 1 --device cpu",
        "t.jsonl",
        both(
            copied(chat_folder, ""),
            lambda folder: shutil.copy(folder / "data/val.jsonl", folder / "t.jsonl"),
        ),
        stdin=b"/load t.jsonl\n",
        weight=2,
    )


def _models() -> Iterable[Door]:
    def folder(target: Path) -> None:
        export_folder(read_run(), target / "hf")

    def file(target: Path) -> None:
        export_file(read_run(), target / "m.gguf")

    yield Door("gpt import hf", "gpt import hf --out out", "hf/*", folder, names=("hf",), weight=2)
    yield Door("gpt import gguf", "gpt import m.gguf --out out", "m.gguf", file, weight=2)


DOORS = {
    door.name: door
    for group in (_tokenizers, _corpora, _chats, _other_apps, _runs, _models)
    for door in group()
}
