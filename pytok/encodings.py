"""The named encodings: their patterns, their special tokens and the download of their ranks.

Patterns, special tokens, model names and hashes are those of tiktoken's ``openai_public`` and
``model``. Rank files are read from tiktoken's cache (``TIKTOKEN_CACHE_DIR``, or else
``DATA_GYM_CACHE_DIR``, or else ``data-gym-cache`` in the temporary folder), downloaded if they are
missing, and used only if their SHA-256 is the published one.

Everybody can write to the temporary folder. What is downloaded is therefore saved in a folder of
the user's own, unless one of the variables names another.
"""

import functools
import hashlib
import os
import stat
import threading
from collections.abc import Mapping
from typing import NamedTuple

from pytok import engine as engines
from pytok.definition import AddedToken, Definition
from pytok.engine import EngineName
from pytok.errors import FormatError
from pytok.patterns import CL100K, GPT2, O200K
from pytok.tokenizer import Tokenizer


class RankFile(NamedTuple):
    """A published rank file."""

    url: str
    sha256: str

    @property
    def cache_name(self) -> str:
        """Name of the file in tiktoken's cache."""
        return hashlib.sha1(self.url.encode()).hexdigest()


class NamedEncoding(NamedTuple):
    """The parts of a named encoding, except the ranks themselves."""

    ranks: RankFile
    pattern: str
    special_tokens: Mapping[str, int]


_PUBLIC = "https://openaipublic.blob.core.windows.net/encodings/"
_R50K = RankFile(
    _PUBLIC + "r50k_base.tiktoken",
    "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
)
_P50K = RankFile(
    _PUBLIC + "p50k_base.tiktoken",
    "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
)
_CL100K = RankFile(
    _PUBLIC + "cl100k_base.tiktoken",
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
)
_O200K = RankFile(
    _PUBLIC + "o200k_base.tiktoken",
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
)

_O200K_SPECIALS = {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}
_HARMONY_SPECIALS = (
    _O200K_SPECIALS
    | {
        "<|startoftext|>": 199998,
        "<|reserved_200000|>": 200000,
        "<|reserved_200001|>": 200001,
        "<|return|>": 200002,
        "<|constrain|>": 200003,
        "<|reserved_200004|>": 200004,
        "<|channel|>": 200005,
        "<|start|>": 200006,
        "<|end|>": 200007,
        "<|message|>": 200008,
        "<|reserved_200009|>": 200009,
        "<|reserved_200010|>": 200010,
        "<|reserved_200011|>": 200011,
        "<|call|>": 200012,
    }
    | {f"<|reserved_{id}|>": id for id in range(200013, 201088)}
)

ENCODINGS: dict[str, NamedEncoding] = {
    # tiktoken reads gpt2 from vocab.bpe and encoder.json, whose ranks are those of r50k_base.
    "gpt2": NamedEncoding(_R50K, GPT2, {"<|endoftext|>": 50256}),
    "r50k_base": NamedEncoding(_R50K, GPT2, {"<|endoftext|>": 50256}),
    "p50k_base": NamedEncoding(_P50K, GPT2, {"<|endoftext|>": 50256}),
    "p50k_edit": NamedEncoding(
        _P50K,
        GPT2,
        {
            "<|endoftext|>": 50256,
            "<|fim_prefix|>": 50281,
            "<|fim_middle|>": 50282,
            "<|fim_suffix|>": 50283,
        },
    ),
    "cl100k_base": NamedEncoding(
        _CL100K,
        CL100K,
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    "o200k_base": NamedEncoding(_O200K, O200K, _O200K_SPECIALS),
    "o200k_harmony": NamedEncoding(_O200K, O200K, _HARMONY_SPECIALS),
}
"""The named encodings, in tiktoken's order."""

_ENCODING_OF_MODEL = {
    "o1": "o200k_base",
    "o3": "o200k_base",
    "o4-mini": "o200k_base",
    "gpt-5": "o200k_base",
    "gpt-4.1": "o200k_base",
    "gpt-4o": "o200k_base",
    "gpt-4": "cl100k_base",
    "gpt-3.5-turbo": "cl100k_base",
    "gpt-3.5": "cl100k_base",
    "gpt-35-turbo": "cl100k_base",
    "davinci-002": "cl100k_base",
    "babbage-002": "cl100k_base",
    "text-embedding-ada-002": "cl100k_base",
    "text-embedding-3-small": "cl100k_base",
    "text-embedding-3-large": "cl100k_base",
    "text-davinci-003": "p50k_base",
    "text-davinci-002": "p50k_base",
    "text-davinci-001": "r50k_base",
    "text-curie-001": "r50k_base",
    "text-babbage-001": "r50k_base",
    "text-ada-001": "r50k_base",
    "davinci": "r50k_base",
    "curie": "r50k_base",
    "babbage": "r50k_base",
    "ada": "r50k_base",
    "code-davinci-002": "p50k_base",
    "code-davinci-001": "p50k_base",
    "code-cushman-002": "p50k_base",
    "code-cushman-001": "p50k_base",
    "davinci-codex": "p50k_base",
    "cushman-codex": "p50k_base",
    "text-davinci-edit-001": "p50k_edit",
    "code-davinci-edit-001": "p50k_edit",
    "text-similarity-davinci-001": "r50k_base",
    "text-similarity-curie-001": "r50k_base",
    "text-similarity-babbage-001": "r50k_base",
    "text-similarity-ada-001": "r50k_base",
    "text-search-davinci-doc-001": "r50k_base",
    "text-search-curie-doc-001": "r50k_base",
    "text-search-babbage-doc-001": "r50k_base",
    "text-search-ada-doc-001": "r50k_base",
    "code-search-babbage-code-001": "r50k_base",
    "code-search-ada-code-001": "r50k_base",
    "gpt2": "gpt2",
    "gpt-2": "gpt2",
}
_ENCODING_OF_PREFIX = {
    "o1-": "o200k_base",
    "o3-": "o200k_base",
    "o4-mini-": "o200k_base",
    "gpt-5": "o200k_base",
    "gpt-4.5-": "o200k_base",
    "gpt-4.1-": "o200k_base",
    "chatgpt-4o-": "o200k_base",
    "gpt-4o-": "o200k_base",
    "gpt-4-": "cl100k_base",
    "gpt-3.5-turbo-": "cl100k_base",
    "gpt-35-turbo-": "cl100k_base",
    "gpt-oss-": "o200k_harmony",
    "ft:gpt-4o": "o200k_base",
    "ft:gpt-4": "cl100k_base",
    "ft:gpt-3.5-turbo": "cl100k_base",
    "ft:davinci-002": "cl100k_base",
    "ft:babbage-002": "cl100k_base",
}


def list_encoding_names() -> list[str]:
    """Return the names that `get_encoding` accepts."""
    return list(ENCODINGS)


MAX_BYTES = 1 << 24
"""Bytes of a rank file that are read at most; the largest published one has 3.6 MB."""

_build_lock = threading.Lock()


def get_encoding(encoding_name: str, engine: EngineName = "native") -> Tokenizer:
    """Return the named encoding; the same object each time.

    Raises ValueError for an unknown name, FormatError if the rank file is neither in the cache nor
    can be downloaded, or is not the published one.
    """
    if not isinstance(encoding_name, str):
        raise ValueError(f"Expected a string in get_encoding, got {type(encoding_name)}")
    if encoding_name not in ENCODINGS:
        raise ValueError(
            f"Unknown encoding {encoding_name}.\nKnown encodings: {', '.join(ENCODINGS)}"
        )
    with _build_lock:
        return _build(encoding_name, engine)


@functools.cache
def _build(name: str, engine: EngineName) -> Tokenizer:
    encoding = ENCODINGS[name]
    data = read_ranks(encoding.ranks)
    ranks = engines.load(engine).parse_ranks(data)
    if ranks is None:
        from pytok.formats import tiktoken  # here: it is needed for the reference engine only

        ranks = tiktoken.read(data, encoding.ranks.url)
    added_tokens = tuple(AddedToken(text, id) for text, id in encoding.special_tokens.items())
    definition = Definition(name, *ranks, encoding.pattern, added_tokens)
    tokenizer = Tokenizer.from_definition(definition, engine)
    tokenizer.pickle_as(get_encoding, name, engine)
    return tokenizer


def encoding_name_for_model(model_name: str) -> str:
    """Return the name of the encoding of a model. Raises KeyError for an unknown model."""
    if model_name in _ENCODING_OF_MODEL:
        return _ENCODING_OF_MODEL[model_name]
    for prefix, name in _ENCODING_OF_PREFIX.items():
        if model_name.startswith(prefix):
            return name
    raise KeyError(
        f"Could not automatically map {model_name} to a tokenizer. "
        "Please use `pytok.get_encoding` to explicitly get the tokenizer you expect."
    )


def encoding_for_model(model_name: str) -> Tokenizer:
    """Return the encoding of a model. Raises KeyError for an unknown model."""
    return get_encoding(encoding_name_for_model(model_name))


def open_tokenizer(name_or_path: str, engine: EngineName = "native") -> Tokenizer:
    """Open a tokenizer by the path of its file or folder, or by the name of an encoding."""
    from pathlib import Path  # here: `get_encoding` needs none

    if not Path(name_or_path).exists():
        if name_or_path in ENCODINGS:
            return get_encoding(name_or_path, engine)
        raise FormatError(
            f"{name_or_path}: no such file or encoding; the encodings are {', '.join(ENCODINGS)}"
        )
    return Tokenizer.load(name_or_path, engine=engine)


def read_ranks(file: RankFile) -> bytes:
    """Return the content of a rank file, from the cache or downloaded; its SHA-256 is checked."""
    named = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if named == "":  # no cache, as in tiktoken
        return _download(file, "")
    own = named or _own_cache()
    data = _cached(own, file)
    if data is None and not named:
        data = _cached(_shared_cache(), file)
    if data is not None:
        return data
    data = _download(file, f" and save it as {own}/{file.cache_name}")
    try:
        _save(f"{own}/{file.cache_name}", data)
    except OSError:
        if named:  # it is an error only for a cache that the user chose
            raise
    return data


def _own_cache() -> str:
    """Return the folder for caches of this user and program."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or "~/.cache"
    return os.path.expanduser(f"{base}/pytok")  # noqa: PTH111 (pathlib is slower than reading)


def _cached(folder: str, file: RankFile) -> bytes | None:
    """Return the published content of *file* if *folder* has it."""
    not_waiting = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(f"{folder}/{file.cache_name}", os.O_RDONLY | not_waiting)
        with os.fdopen(descriptor, "rb") as opened:
            # Others can have put a pipe there, which never ends.
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            data = opened.read(MAX_BYTES)
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == file.sha256 else None


# What these functions import is rarely needed, and slower to import than all else here.


def _shared_cache() -> str:
    import tempfile

    return f"{tempfile.gettempdir()}/data-gym-cache"


def _save(path: str, data: bytes) -> None:
    from pathlib import Path

    from pytok.atomic import replace_file

    target = Path(path)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if target.is_symlink() or not target.is_file():  # a cache has no links and pipes of its own
        target.unlink(missing_ok=True)
    replace_file(target, data)


def _download(file: RankFile, where_to_save: str) -> bytes:
    import http.client
    import urllib.request

    try:
        with urllib.request.urlopen(file.url, timeout=60) as response:
            data: bytes = response.read(MAX_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise FormatError(
            f"cannot download {file.url} ({error}): download it on a machine with network access"
            f"{where_to_save}"
        ) from None
    if len(data) > MAX_BYTES:
        raise FormatError(f"{file.url}: the download has more than {MAX_BYTES:,} bytes: try again")
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise FormatError(
            f"{file.url}: the SHA-256 of the download is {found}, not {file.sha256}: try again"
        )
    return data
