"""Seeds: small valid files of all kinds, of which the doors mutate one.

Each function writes its files to a folder, or returns the content of one. Models take a while, and
are made once.
"""

import base64
import io
import json
import pickle
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pyarrow as arrow
import pyarrow.parquet
import tiktoken

import pytok
from gpt.clone.history import import_history
from gpt.clone.options import CloneOptions
from gpt.clone.record import BASE, DATA, RUN, write_record
from gpt.clone.stages import training_fields
from gpt.data.sources import prepare
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.training.tuning.run import TUNING_FILE
from pytok import shards
from pytok.chat.building import build as build_chat
from pytok.chat.example import example_chat, example_export
from pytok.chat.record import write_history
from tests.fuzz.running import Call
from tests.gpt.interop.exportable import SHAPES, make_run, make_tokenizer
from tests.gpt.talks import two_steps
from tests.pytok.archives import tar_of
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
from tests.pytok.test_end_of_word import pairs_of_corpus
from tests.pytok.test_streams import megatron

TEXT = "She sells sea shells by the sea shore. Der Fluß, 你好!\n" * 4
ROWS = "".join(json.dumps({"text": line, "meta": {"n": 1}}) + "\n" for line in TEXT.splitlines())
SECRET = bytes(range(32))


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


def pickled() -> bytes:
    """An encoding of tiktoken, as nanochat saves one."""
    encoding = tiktoken.Encoding(
        "fuzz",
        pat_str=tokenizer().pattern,
        mergeable_ranks={token: id for token, id in tokenizer().vocab.items() if id < 300},
        special_tokens={"<|bos|>": 300},
    )
    return pickle.dumps(encoding)


def clip() -> bytes:
    """Merges of CLIP, in OpenAI's file for them."""
    lines = ['"bpe_simple_vocab_16e6.txt#version: 0.2', *map(" ".join, pairs_of_corpus())]
    return "\n".join(lines).encode()


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


def megatron_files(folder: Path) -> None:
    """Of Megatron-LM, for both splits."""
    (folder / "tokens").mkdir()
    ids = tokenizer().encode_ordinary(TEXT)
    for split in ("train", "val"):
        megatron(folder / f"tokens/{split}.bin", [ids, ids[:7], ids])


def cloned(folder: Path) -> None:
    """A clone whose stages are complete."""
    (folder / "c.txt").write_bytes(whatsapp())
    options = CloneOptions(exports=(folder / "c.txt",), me="Mara", out=folder / "clone")
    import_history(options, lambda line: None)
    shutil.copytree(chat_folder() / "data", options.out / DATA)
    write_record(options.out, DATA, {"me": "Mara", "gap": None})
    for name in (BASE, RUN):
        shutil.copytree(chat_folder() / "run", options.out / name)
        write_record(options.out, name, training_fields(options))
    (options.out / RUN / TUNING_FILE).write_text("{}")


def prompted() -> tuple[str, ...]:
    """A command with the text in the file ``prompt``, decoded as arguments are."""
    text = Path("prompt").read_bytes().replace(b"\0", b"").decode("utf-8", "surrogateescape")
    options = f"--tokens 2 --device cpu --dtype float32 --stop {TEXT[:3]}"
    return ("gpt", "sample", "run", f"--prompt={text}", *options.split())


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


def imessage(folder: Path) -> None:
    rows = [
        test_imessage.message(row, "hi", attributedBody=test_imessage.typedstream("hi"))
        for row in (1, 2, 3)
    ]
    test_imessage.write(folder, *rows)


WHATSAPP = "apps/com.whatsapp/db/msgstore.db"
"""The name of the messages in an Android backup."""


def android_backup(head: bytes, pack: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """Write a backup with the lines *head* before the files, which *pack* may compress."""

    def seed(folder: Path) -> None:
        android(folder)
        files = tar_of({WHATSAPP: (folder / "msgstore.db").read_bytes()})
        (folder / "msgstore.db").unlink()
        (folder / "a.ab").write_bytes(b"ANDROID BACKUP\n" + head + pack(files))

    return seed


def encrypted(folder: Path) -> None:
    android(folder)
    plain = (folder / "msgstore.db").read_bytes()
    (folder / "msgstore.db").unlink()
    (folder / "msgstore.db.crypt15").write_bytes(phones.encrypt(plain, 15, SECRET))
    phones.root_key_file(folder / "encrypted_backup.key", SECRET)


def written_late(name: str, data: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(data())


@cache
def read_run() -> Checkpoint:
    return read_checkpoint(run_folder())


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
