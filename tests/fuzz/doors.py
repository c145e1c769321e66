"""The doors: all commands and functions that read files which others can have written.

Each has small valid files, of which one is mutated, and a command that reads them in their folder.
"""

import base64
import bz2
import gzip
import hashlib
import io
import json
import lzma
import pickle
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pyarrow as arrow
import pyarrow.parquet
import zstandard

import pytok
from gpt.data.sources import prepare
from gpt.interop.gguf import export_file
from gpt.interop.huggingface import export_folder
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import Checkpoint, read_checkpoint
from pytok import shards
from pytok.chat.building import build as build_chat
from pytok.chat.example import example_chat, example_export
from pytok.chat.record import write_history
from pytok.chat.template import Template
from tests.fuzz.running import Call
from tests.gpt.interop.exportable import SHAPES, make_run, make_tokenizer
from tests.gpt.talks import two_steps
from tests.pytok.archives import tar_of, zip_of
from tests.pytok.chat import (
    phones,
    test_discord,
    test_imessage,
    test_kakaotalk,
    test_line,
    test_messenger,
    test_qq,
    test_signal,
    test_telegram_html,
    test_wechat,
)

TEXT = "She sells sea shells by the sea shore. Der Fluß, 你好!\n" * 4
ROWS = "".join(json.dumps({"text": line, "meta": {"n": 1}}) + "\n" for line in TEXT.splitlines())
SECRET = bytes(range(32))


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


# Seeds. Models take a while, and are made once.


@cache
def tokenizer() -> pytok.Tokenizer:
    return make_tokenizer()


@cache
def run_folder() -> Path:
    """A run of a small Llama."""
    folder = Path(mkdtemp(prefix="pytok-fuzz-"), "run")
    make_run(folder, SHAPES["llama"] | {"width": 16, "layers": 1, "context": 32}, tokenizer())
    return folder


@cache
def chat_folder() -> Path:
    """The data of a chat, and a run of two steps on it."""
    folder = Path(mkdtemp(prefix="pytok-fuzz-"))
    build_chat(list(example_chat(60)), folder / "data", me="Mara", vocab=280)
    two_steps(folder, context=32)
    return folder


def copied(of: Callable[[], Path], name: str) -> Callable[[Path], object]:
    return lambda folder: shutil.copytree(of() / name if name else of(), folder, dirs_exist_ok=True)


def written(name: str, data: bytes | str) -> Callable[[Path], object]:
    encoded = data.encode() if isinstance(data, str) else data
    return lambda folder: (folder / name).write_bytes(encoded)


def both(*seeds: Callable[[Path], object]) -> Callable[[Path], object]:
    def seed(folder: Path) -> None:
        for each in seeds:
            each(folder)

    return seed


def save(name: str) -> Callable[[Path], object]:
    return lambda folder: tokenizer().save(folder / name)


def ranks() -> bytes:
    lines = [b"%s %d\n" % (base64.b64encode(token), id) for token, id in tokenizer().vocab.items()]
    return b"".join(lines)


def tekken() -> str:
    vocab = [
        {"rank": id, "token_bytes": base64.b64encode(token).decode(), "token_str": None}
        for token, id in tokenizer().vocab.items()
    ]
    config = {
        "pattern": tokenizer().pattern,
        "num_vocab_tokens": len(vocab),
        "default_vocab_size": len(vocab) + 1,
        "default_num_special_tokens": 1,
        "version": "v3",
    }
    special = [{"rank": 0, "token_str": "<s>", "is_control": True}]
    return json.dumps({"config": config, "vocab": vocab, "special_tokens": special})


def parquet(columns: dict[str, list[object]]) -> bytes:
    buffer = io.BytesIO()
    arrow.parquet.write_table(arrow.table(columns), buffer)
    return buffer.getvalue()


def count(folder: Path) -> None:
    pytok.count_pieces([TEXT]).save(folder / "counts.parquet")


def shard(folder: Path) -> None:
    (folder / "corpus").write_text(TEXT * 3)
    shards.write(folder / "corpus", tokenizer(), folder / "data", val=0.2)
    (folder / "corpus").unlink()


def token_files(folder: Path) -> None:
    """Of nanoGPT, llm.c, build-nanogpt, each for both splits."""
    ids = np.array(tokenizer().encode_ordinary(TEXT), dtype=np.uint16)
    header = np.zeros(256, dtype=np.int32)
    header[:3] = (20240520, 1, len(ids))
    for split in ("train", "val"):
        ids.tofile(folder / f"{split}.bin")
        (folder / f"{split}_llm.bin").write_bytes(header.tobytes() + ids.tobytes())
        np.save(folder / f"{split}_npy.npy", ids)


def meta(folder: Path) -> None:
    characters = sorted(set("she sells sea shells"))
    stoi = {character: id for id, character in enumerate(characters)}
    itos = dict(enumerate(characters))
    data = pickle.dumps({"vocab_size": len(stoi), "itos": itos, "stoi": stoi})
    (folder / "meta.pkl").write_bytes(data)
    ids = np.array([stoi[character] for character in "she sells sea shells" * 9], dtype=np.uint16)
    for split in ("train", "val"):
        ids.tofile(folder / f"{split}.bin")


def adopt(tokenizer: str | None) -> Call:
    return lambda: prepare(Path(), Path("out"), tokenizer=tokenizer)


TELEGRAM = {
    "name": "Us",
    "type": "personal_chat",
    "id": 5,
    "messages": [
        {
            "id": number,
            "type": "message",
            "date": "2024-01-05T13:00:00",
            "date_unixtime": str(1704456000 + 60 * number),
            "from": "Ann" if number % 2 else "Bo",
            "from_id": f"user{number % 2}",
            "text": ["see ", {"type": "link", "text": "example.org"}, "!"],
            "edited": "2024-01-05T13:05:00",
            "reply_to_message_id": 1,
            "reactions": [{"type": "emoji", "count": 2, "emoji": "❤"}],
        }
        for number in range(1, 5)
    ]
    + [
        {
            "id": 9,
            "type": "service",
            "date": "2024-01-05T14:00:00",
            "date_unixtime": "1704460000",
            "actor": "Bo",
            "actor_id": "user0",
            "action": "phone_call",
        }
    ],
}
SHAREGPT = [
    {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]}
] * 3
OPENAI = "".join(
    json.dumps({"messages": [{"role": role, "content": "hi"} for role in ("user", "assistant")]})
    + "\n"
    for _ in range(3)
)
QUESTIONS = "".join(
    json.dumps(fields) + "\n"
    for fields in (
        {"ctx": "She sells", "endings": [" sea shells", " sand"], "label": 0},
        {"question": "She sells", "choices": [" sea shells", " sand"], "answer": 1},
    )
)
RECIPE = """
steps = 100
seed = 1
dtype = "float32"

[model]
layers = 2
norm = { kind = "RMSNorm", eps = 1e-5 }
attention.heads = 2

[optimizer]
lr = 1e-3
"""


def whatsapp() -> bytes:
    return example_export(example_chat(30)).encode()


def history(folder: Path) -> None:
    write_history(folder / "chat.jsonl", list(example_chat(30)))


def android(folder: Path) -> None:
    rows = {**phones.PEOPLE, "message": [phones.message(row, f"hello {row}") for row in (1, 2, 3)]}
    phones.database(folder / "msgstore.db", phones.CURRENT, rows)


def iphone(folder: Path) -> None:
    texts = [
        {"Z_PK": row, "ZISFROMME": row % 2, "ZCHATSESSION": 1, "ZMESSAGEDATE": 7e8, "ZTEXT": "hi"}
        for row in (1, 2, 3)
    ]
    sessions = [{"Z_PK": 1, "ZCONTACTJID": "431@s.whatsapp.net", "ZPARTNERNAME": "Ann"}]
    rows = {"ZWAMESSAGE": texts, "ZWACHATSESSION": sessions}
    phones.database(folder / "ChatStorage.sqlite", phones.IPHONE, rows)


def encrypted(folder: Path) -> None:
    android(folder)
    plain = (folder / "msgstore.db").read_bytes()
    (folder / "msgstore.db").unlink()
    (folder / "msgstore.db.crypt15").write_bytes(phones.encrypt(plain, 15, SECRET))
    phones.root_key_file(folder / "encrypted_backup.key", SECRET)


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
imported = "pytok chat import {} -o out.jsonl --date-order dmy"
evaluated = "gpt eval run --device cpu --dtype float32"


def _tokenizers() -> Iterable[Door]:
    yield Door("tokenizer.json", show.format("t.json"), "t.json", save("t.json"))
    yield Door(
        "ranks",
        show.format("r.tiktoken --pattern gpt2"),
        "*",
        written_late("r.tiktoken", ranks),
        names=("r.tiktoken", "which is not in the vocabulary"),
    )
    yield Door("vocab.json", show.format("t"), "t/*", save("t"), names=("t:", "t/"))
    yield Door(
        "tekken.json", show.format("t.json"), "*", written_late("t.json", lambda: tekken().encode())
    )
    yield Door(
        "encode",
        "pytok encode -t t.json text",
        "t.json",
        both(save("t.json"), written("text", TEXT)),
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


def written_late(name: str, data: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(data())


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


def other_apps() -> dict[str, str | bytes]:
    """The exports of other apps, as their tests have them, by the names of their files."""
    pages = [test_telegram_html.message(number, test_telegram_html.text("hi")) for number in (1, 2)]
    discord = [test_discord.message(1), test_discord.message(2)]
    messenger = [test_messenger.message(1), test_messenger.message(2, "Bo Lang")]
    signal = [test_signal.exported(1), test_signal.exported(2)]
    received = [test_signal.received(1), test_signal.received(2)]
    return {
        "messages.html": test_telegram_html.page(*pages),
        "discord.json": json.dumps(test_discord.channel(*discord)),
        "message_1.json": json.dumps(test_messenger.thread(*messenger)),
        "data.json": "\n".join(map(json.dumps, signal)),
        "signal.jsonl": "\n".join(map(json.dumps, received)),
        "chat.md": test_signal.MARKDOWN,
        "KakaoTalk.txt": test_kakaotalk.KOREAN_ANDROID,
        "Kakao.csv": test_kakaotalk.KOREAN_MACOS,
        "line.txt": test_line.JAPANESE,
        "qq.txt": test_qq.MANAGER,
        "qq-exporter.txt": test_qq.EXPORTER,
        "wechat.csv": test_wechat.MEMOTRACE_CHAT,
        "weflow.json": json.dumps(test_wechat.WEFLOW),
        "chatlog.csv": test_wechat.CHATLOG,
        "imessage.txt": test_imessage.TEXT,
        "own.csv": "time,sender,text\n2024-01-05 13:00,Ann,hi\n2024-01-05 13:01,Bo,hello\n",
    }


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


@cache
def read_run() -> Checkpoint:
    return read_checkpoint(run_folder())


DOORS = {
    door.name: door
    for group in (_tokenizers, _corpora, _chats, _other_apps, _runs, _models)
    for door in group()
}
