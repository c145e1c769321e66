"""Token shards out and in: a corpus is tokenized once, into a folder that others read as well.

A shard folder holds, for each split, the ids as ``.bin`` files and where each document ends
(``train_000000.bin``, ``train_documents.npy``); the tokenizer; and ``shards.json``, the manifest,
which says which tokenizer wrote it and how many bytes of text the tokens stand for.

Reading maps the files and loads no tokenizer. What a batch is, the trainer decides.
"""

import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeAlias

from pytok import corpus
from pytok.atomic import replace_file
from pytok.corpus import Part
from pytok.definition import END_OF_TEXT
from pytok.engine import check_threads
from pytok.errors import ShardError
from pytok.patterns import can_cut
from pytok.shardfile import Ids, Split, SplitWriter, manifest_field, open_split, read_shard
from pytok.tokenizer import Tokenizer

__all__ = [
    "SHARD_TOKENS",
    "FolderWriter",
    "Shards",
    "Split",
    "open_shards",
    "read_shard",
    "write",
    "writing",
]

SHARD_TOKENS = 100_000_000
"""Tokens a file: what llm.c and modded-nanogpt use, 200 MB as uint16."""

Progress: TypeAlias = Callable[[int, int], object]
"""Called with the bytes read from disk so far, and the bytes to read in all."""

_VERSION = 1
_MANIFEST = "shards.json"
_OWN_FILES = re.compile(
    r"shards\.json|tokenizer\.json|(train|val)_(\d{6,}\.bin|documents\.npy)"
    r"|chat\.json|(train|val)\.jsonl"  # of a chat
)


@dataclass(frozen=True, slots=True, eq=False)
class Shards:
    """A shard folder, open."""

    folder: Path
    fingerprint: str
    """Of the tokenizer that wrote it."""
    vocab_size: int
    eot: int | None
    """The id of `END_OF_TEXT`, if the tokenizer has it."""
    origin: str | None
    """What whoever had them written says of where they come from."""
    splits: dict[str, Split]
    """"train" and, unless nothing was held out, "val"."""

    def check(self, fingerprint: str) -> None:
        """Raise ShardError unless the tokenizer with *fingerprint* wrote these shards."""
        if fingerprint != self.fingerprint:
            raise ShardError(
                f"{self.folder} was written with the tokenizer {self.fingerprint[:12]}, not "
                f"{fingerprint[:12]}; use its tokenizer.json, or shard the corpus again"
            )


def open_shards(folder: str | os.PathLike[str]) -> Shards:
    """Map the shard folder *folder*, once its files agree with its manifest.

    Raises ShardError that names the file and the field that is wrong.
    """
    path = Path(folder, _MANIFEST)
    try:
        record = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise ShardError(f"{path}: not found; `pytok shard` writes shard folders") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ShardError(f"{path}: cannot be read: {error}") from error
    version = manifest_field(path, record, "version", int)
    if version != _VERSION:
        raise ShardError(f"{path}: version is {version}, not {_VERSION}; another pytok wrote it")
    dtype = manifest_field(path, record, "dtype", str)
    splits = manifest_field(path, record, "splits", dict)
    return Shards(
        folder=path.parent,
        fingerprint=manifest_field(path, record, "fingerprint", str),
        vocab_size=manifest_field(path, record, "vocab_size", int),
        eot=manifest_field(path, record, "eot", int, type(None)),
        origin=record.get("origin"),
        splits={name: open_split(path, name, entry, dtype) for name, entry in splits.items()},
    )


def write(
    source: corpus.Source,
    tokenizer: Tokenizer,
    folder: str | os.PathLike[str],
    *,
    val: float = 0.1,
    split: str = "share",
    field: str = "text",
    errors: str = "strict",
    separator: str | None = None,
    shard_tokens: int = SHARD_TOKENS,
    num_threads: int | None = None,
    overwrite: bool = False,
    origin: str | None = None,
    progress: Progress | None = None,
) -> Shards:
    """Tokenize *source* into the new shard folder *folder*, the share *val* held out; open it.

    ``split="share"`` holds out the last of the text, from byte ``floor(total * (1 - val))``,
    moved down to a character's first byte, wherever that falls: a document cut there is one
    document on each side. Files that are not one text, as they lie on disk, are read twice for
    it. ``split="documents"`` holds out whole documents, evenly spread: document i, from 0, if
    ``floor((i + 1) * val) > floor(i * val)``.

    *field*, *errors* and *separator* are `corpus.read_parts`'s. A special token in the text is
    text. Memory does not grow with the corpus, but by 8 bytes a document. The folder appears
    whole or not at all; *overwrite* replaces a shard folder, and nothing else.

    Raises CorpusError for what cannot be read; ShardError for a bad argument, a folder that may
    not or cannot be written, and a split that would be empty.
    """
    check_threads(num_threads)
    if not 0 <= val < 1:
        raise ShardError(f"val={val} is no share to hold out; pass 0 (none) or more, below 1")
    if split not in _SPLITS:
        raise ShardError(f"split={split!r} is not known; pass one of {', '.join(_SPLITS)}")
    paths = corpus.resolve(source)
    read = partial(
        corpus.read_utf8,
        field=field,
        errors=errors,
        separator=separator,
        cut=can_cut(tokenizer.pattern),
    )
    by_share = split == "share" and val > 0
    as_it_lies = errors == "strict" and separator is None
    # Those whose size does not say how much text they have.
    to_measure = [
        path for path in paths if by_share and not (as_it_lies and corpus.is_one_text(path))
    ]
    on_disk, twice = corpus.size(paths), corpus.size(to_measure)
    meter = _Meter(on_disk + twice, progress)

    names = ("train", "val") if val else ("train",)
    with writing(folder, tokenizer, names, shard_tokens, overwrite, origin) as writer:
        if by_share:
            measured = _measure(read(to_measure), meter) if to_measure else 0
            assigned = _by_share(read(paths), val, total=on_disk - twice + measured)
        else:
            assigned = _by_document(read(paths), val)
        for batch in corpus.batches(assigned, lambda each: len(each[1].text)):
            texts = [part.text for _, part in batch]
            try:
                ids, offsets = tokenizer.encode_utf8(texts, num_threads=num_threads)
            except UnicodeDecodeError:
                _refuse_bytes(paths, field)
            for (name, part), start, stop in zip(batch, offsets, offsets[1:], strict=False):
                writer.append(name, ids[start:stop], len(part.text), part.ends_document)
            writer.flush()
            meter.advance(part for _, part in batch)
    return open_shards(folder)


class FolderWriter:
    """A shard folder on its way to disk; what else belongs to it may be written into *folder*."""

    def __init__(
        self,
        folder: Path,
        tokenizer: Tokenizer,
        splits: Iterable[str],
        shard_tokens: int,
        origin: str | None,
    ) -> None:
        self.folder = folder
        self._tokenizer, self._origin = tokenizer, origin
        self._eot = tokenizer.special_tokens.get(END_OF_TEXT)
        self._dtype = "uint16" if tokenizer.n_vocab <= 1 << 16 else "uint32"
        self._writers = {
            name: SplitWriter(folder, name, self._dtype, shard_tokens) for name in splits
        }
        self._text_bytes = dict.fromkeys(self._writers, 0)

    def append(
        self, split: str, ids: Sequence[int] | Ids, text_bytes: int, ends_document: bool
    ) -> None:
        """Add *ids*, which stand for *text_bytes* of UTF-8, to the document that is being written.

        A document begins with the id of `END_OF_TEXT` if the tokenizer has it, which is added here.
        """
        writer = self._writers[split]
        if writer.ended and self._eot is not None:
            writer.append([self._eot])
        writer.append(ids)
        self._text_bytes[split] += text_bytes
        if ends_document:
            writer.end_document()

    def flush(self) -> None:
        """Move what was appended to disk."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Finish all files, the manifest last; ShardError for a split without a token."""
        splits = {}
        for name, writer in self._writers.items():
            if not writer.tokens:
                raise ShardError(
                    f"the {name} split would be empty; give more text, another val, or "
                    "split='share', which can cut a document"
                )
            if not writer.ended:  # the other split has the rest of the document
                writer.end_document()
            splits[name] = {"bytes": self._text_bytes[name], **writer.close()}
        write_manifest(self.folder, self._tokenizer, self._dtype, splits, self._origin)


@contextmanager
def writing(
    folder: str | os.PathLike[str],
    tokenizer: Tokenizer,
    splits: Iterable[str],
    shard_tokens: int = SHARD_TOKENS,
    overwrite: bool = False,
    origin: str | None = None,
) -> Iterator[FolderWriter]:
    """Lend the writer of the new shard folder *folder*, which appears at the end, or not at all.

    *overwrite* replaces a shard folder, and nothing else. Raises ShardError for a folder that may
    not or cannot be written, and for a split that would be empty.
    """
    with new_folder(Path(folder).resolve(), overwrite) as side:
        writer = FolderWriter(side, tokenizer, splits, shard_tokens, origin)
        yield writer
        writer.close()


def write_manifest(
    folder: Path, tokenizer: Tokenizer, dtype: str, splits: Mapping[str, object], origin: str | None
) -> None:
    """Make *folder*, which has the files of *splits*, a shard folder: what says what they are."""
    tokenizer.save(folder / "tokenizer.json")
    manifest = {
        "version": _VERSION,
        "fingerprint": tokenizer.fingerprint,
        "vocab_size": tokenizer.n_vocab,
        "eot": tokenizer.special_tokens.get(END_OF_TEXT),
        "dtype": dtype,
        **({} if origin is None else {"origin": origin}),
        "splits": splits,
    }
    replace_file(folder / _MANIFEST, json.dumps(manifest, indent=2).encode() + b"\n")


def training_text(source: corpus.Source, *, val: float, pattern: str) -> Iterator[str]:
    """Yield what `write` does not hold out of *source* by its share *val*, in parts.

    No piece of *pattern* crosses two of them. For a tokenizer that is to know nothing of the rest.
    """
    paths = corpus.resolve(source)
    read = partial(corpus.read_utf8, cut=can_cut(pattern))
    silent = _Meter(0, None)
    total = sum(
        path.stat().st_size if corpus.is_one_text(path) else _measure(read([path]), silent)
        for path in paths
    )
    for name, part in _by_share(read(paths), val, total):
        if name == "val":
            return
        try:
            yield part.text.decode()
        except UnicodeDecodeError:
            _refuse_bytes(paths, "text")


# Which split a part goes to.

_SPLITS = ("share", "documents")
_Assigned: TypeAlias = tuple[str, Part[bytes]]


class _Meter:
    """Progress over all readings of the corpus; it never goes back, nor past the total."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress
        self.advance([])

    def advance(self, parts: Iterable[Part[bytes]]) -> None:
        self._done = min(self._done + sum(part.read for part in parts), self._total)
        if self._progress:
            self._progress(self._done, self._total)


def _measure(parts: Iterator[Part[bytes]], meter: _Meter) -> int:
    """How many bytes of text there are in all."""
    total = 0
    for batch in corpus.batches(parts, lambda part: len(part.text)):
        total += sum(len(part.text) for part in batch)
        meter.advance(batch)
    return total


def _by_share(parts: Iterator[Part[bytes]], val: float, total: int) -> Iterator[_Assigned]:
    boundary = math.floor(total * (1 - val))
    position = 0
    for part in parts:
        before = boundary - position
        position += len(part.text)
        if before <= 0 or position <= boundary:
            yield ("val" if before <= 0 else "train"), part
            continue
        while before and part.text[before] & 0xC0 == 0x80:  # within a character
            before -= 1
        if before:
            yield "train", Part(part.text[:before], ends_document=False, read=0)
        yield "val", Part(part.text[before:], part.ends_document, part.read)
    if position != total:
        raise ShardError(_CHANGED)


def _by_document(parts: Iterator[Part[bytes]], val: float) -> Iterator[_Assigned]:
    document = 0
    for part in parts:
        held_out = math.floor((document + 1) * val) > math.floor(document * val)
        yield ("val" if held_out else "train"), part
        document += part.ends_document


# Refusals.

_CHANGED = "the corpus changed while it was read; shard it again"


def _refuse_bytes(paths: list[Path], field: str) -> NoReturn:
    """Raise CorpusError that names the file, and the byte in it, that is not UTF-8."""
    for _ in corpus.read_parts(paths, field=field):
        pass
    raise ShardError(_CHANGED)


# A folder that appears whole or not at all.


@contextmanager
def new_folder(target: Path, overwrite: bool = False) -> Iterator[Path]:
    """Lend a hidden folder near *target* that becomes it at the end, or vanishes on an error."""
    beside = next(parent for parent in (*target.parents, target) if parent.exists())
    new, old = (beside / f".{target.name}.{secrets.token_hex(4)}.{age}" for age in ("new", "old"))
    try:
        _check_target(target, overwrite)
        new.mkdir()
        yield new
        _check_target(target, overwrite)  # much may have happened since
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(old)
        new.rename(target)
    except BaseException as error:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(new, ignore_errors=True)
        if isinstance(error, OSError):
            raise ShardError(f"{target}: cannot be written: {error}") from error
        raise
    shutil.rmtree(old, ignore_errors=True)


def _check_target(target: Path, overwrite: bool) -> None:
    names = sorted(path.name for path in target.iterdir()) if target.exists() else []
    strangers = [name for name in names if not _OWN_FILES.fullmatch(name)]
    if strangers or (names and _MANIFEST not in names):
        raise ShardError(
            f"{target} holds {(strangers or names)[0]!r} and is no shard folder; choose another"
        )
    if names and not overwrite:
        raise ShardError(
            f"{target} holds shards; choose another folder, or pass overwrite=True (--overwrite)"
        )
