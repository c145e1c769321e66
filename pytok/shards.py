"""Write and open folders of token shards: a corpus that is tokenized once, for many trainings.

A shard folder holds, for each split, the ids as ``.bin`` files and the ends of the documents
(``train_000000.bin``, ``train_documents.npy``); the tokenizer; and the manifest ``shards.json``,
which records the tokenizer's fingerprint and the number of bytes of text.

Opening reads no ids and loads no tokenizer. Batches are up to the trainer.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from pytok import corpus
from pytok.atomic import atomic_folder, followed, replace_file
from pytok.counting import Progress
from pytok.definition import END_OF_TEXT
from pytok.engine import check_threads
from pytok.errors import ShardError
from pytok.patterns import can_cut
from pytok.shardfile import Ids, Split, SplitWriter, manifest_field, open_split, read_shard
from pytok.splits import (
    CHANGED,
    SPLITS,
    Meter,
    split_documents,
    split_tail,
    spooled,
    text_size,
)
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
"""Tokens per file, as in llm.c and modded-nanogpt: 200 MB as uint16."""

_VERSION = 1
_MANIFEST = "shards.json"
_SHARD_FILES = re.compile(
    r"shards\.json|tokenizer\.json|(train|val)_(\d{6,}\.bin|documents\.npy)"
    r"|chat\.json|(train|val)\.jsonl"  # of `pytok chat build`
)
"""Files that overwriting a shard folder deletes; a folder with any other file is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Shards:
    """An open shard folder."""

    folder: Path
    fingerprint: str
    """Fingerprint of the tokenizer that wrote the shards."""
    vocab_size: int
    eot: int | None
    """Id of `END_OF_TEXT`, if the tokenizer has that token."""
    origin: str | None
    """Description of the source of the text, as passed to `write`."""
    splits: dict[str, Split]
    """The splits by name: "train" and, if text was held out, "val"."""

    def check(self, fingerprint: str) -> None:
        """Raise ShardError unless the tokenizer with *fingerprint* wrote these shards."""
        if fingerprint != self.fingerprint:
            raise ShardError(
                f"{self.folder} was written with the tokenizer {self.fingerprint[:12]}, not "
                f"{fingerprint[:12]}; use its tokenizer.json, or shard the corpus again"
            )


def open_shards(folder: str | os.PathLike[str]) -> Shards:
    """Open the shard folder *folder*: check its files against the manifest.

    Raises ShardError with the file and the field that is wrong.
    """
    path = Path(folder, _MANIFEST)
    try:
        record = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise ShardError(f"{path}: not found; write shards with `pytok shard`") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ShardError(f"{path}: cannot be read: {error}") from error
    version = manifest_field(path, record, "version", int)
    if version != _VERSION:
        raise ShardError(f"{path}: version is {version}; this pytok reads version {_VERSION}")
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
    split: str = "tail",
    field: str = "text",
    errors: str = "strict",
    separator: str | None = None,
    missing: corpus.Missing = "error",
    format: corpus.Format | None = None,
    shard_tokens: int = SHARD_TOKENS,
    num_threads: int | None = None,
    overwrite: bool = False,
    origin: str | None = None,
    progress: Progress | None = None,
) -> Shards:
    """Tokenize *source* into a new shard folder, hold out the fraction *val*, and open the folder.

    ``split="tail"`` holds out the end of the text, from byte ``floor(total * (1 - val))``, moved
    back to the first byte of a character. A document that spans this boundary becomes one document
    in each split. Files whose size on disk is not the size of their text are read twice, and the
    text of pipes is copied to a temporary file (in ``TMPDIR``).
    ``split="documents"`` holds out complete documents, evenly spaced: document i, counted from 0,
    if ``floor((i + 1) * val) > floor(i * val)``.

    *field*, *errors*, *separator*, *missing* and *format* are those of `corpus.read_parts`. Special
    tokens in the text are encoded as ordinary text. Memory use grows by 8 bytes per document only.
    The folder appears complete or not at all; *overwrite* replaces a shard folder, and nothing
    else.

    Raises CorpusError for text that cannot be read; ShardError for an invalid argument, a folder
    that cannot be written or must not be replaced, and a split that would be empty.
    """
    check_threads(num_threads)
    if not 0 <= val < 1:
        raise ShardError(f"val is {val}: pass 0 (hold out nothing) or more, and less than 1")
    if split not in SPLITS:
        raise ShardError(f"split is {split!r}: pass one of {', '.join(SPLITS)}")
    paths = corpus.resolve(source)
    read = partial(
        corpus.read_utf8,
        field=field,
        errors=errors,
        separator=separator,
        missing=missing,
        format=format,
        cut=tokenizer.can_cut,
    )
    is_plain = partial(corpus.is_one_text, errors=errors, separator=separator, format=format)
    by_tail = split == "tail" and val > 0
    has_pipes = any(map(corpus.is_pipe, paths))
    # The boundary needs the size of all text: of these files, the size on disk is another.
    others = [path for path in paths if not is_plain(path)]
    to_measure = others if by_tail and not has_pipes else []
    on_disk, read_twice = corpus.size(paths), corpus.size(to_measure)
    meter = Meter(on_disk + read_twice, progress)

    names = ("train", "val") if val else ("train",)
    with (
        writing(folder, tokenizer, names, shard_tokens, overwrite, origin) as writer,
        ExitStack() as open_files,
    ):
        if not by_tail:
            assigned = split_documents(read(paths), val)
        elif has_pipes:
            parts, total = open_files.enter_context(spooled(read(paths), meter))
            assigned = split_tail(parts, val, total)
        else:
            measured = text_size(read(to_measure), meter) if to_measure else 0
            assigned = split_tail(read(paths), val, total=on_disk - read_twice + measured)
        for batch in corpus.batches(assigned, lambda each: len(each[1].text)):
            texts = [part.text for _, part in batch]
            try:
                ids, offsets = tokenizer.encode_utf8(texts, num_threads=num_threads)
            except UnicodeDecodeError:
                _raise_not_utf8(paths, field=field, missing=missing, format=format)
            for (name, part), start, stop in zip(batch, offsets, offsets[1:], strict=False):
                writer.append(name, ids[start:stop], len(part.text), part.ends_document)
            writer.flush()
            meter.advance(part for _, part in batch)
    return open_shards(folder)


class FolderWriter:
    """Writes a shard folder; the caller can put further files of the data set into *folder*."""

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
        """Add *ids*, which encode *text_bytes* bytes of UTF-8, to the current document of *split*.

        At the start of a document the id of `END_OF_TEXT` is added, if the tokenizer has it.
        """
        writer = self._writers[split]
        if writer.ended and self._eot is not None:
            writer.append([self._eot])
        writer.append(ids)
        self._text_bytes[split] += text_bytes
        if ends_document:
            writer.end_document()

    def flush(self) -> None:
        """Write the appended ids to disk."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Finish all files, the manifest last. Raises ShardError for a split without tokens."""
        splits = {}
        for name, writer in self._writers.items():
            if not writer.tokens:
                raise ShardError(
                    f"the {name} split would be empty; pass more text, another val, or "
                    "split='tail', which can cut a document"
                )
            if not writer.ended:  # the rest of the document is in the other split
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
    private: bool = False,
) -> Iterator[FolderWriter]:
    """Return a context with a writer of the new shard folder *folder*.

    The folder appears when the context ends without an error. *overwrite* replaces a shard folder,
    and nothing else. A *private* folder that is new can be read by its owner only. Raises
    ShardError for a folder that cannot be written or must not be replaced, and for a split that
    would be empty.
    """
    with new_folder(folder, overwrite, private) as hidden:
        writer = FolderWriter(hidden, tokenizer, splits, shard_tokens, origin)
        yield writer
        writer.close()


def write_manifest(
    folder: Path, tokenizer: Tokenizer, dtype: str, splits: Mapping[str, object], origin: str | None
) -> None:
    """Write the tokenizer and the manifest of *folder*, which holds the files of *splits*."""
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
    """Yield the training split of *source*, as `write` splits it with ``split="tail"``, in parts.

    No piece of *pattern* spans two parts. A tokenizer trained on them has seen no held-out text.
    """
    paths = corpus.resolve(source)
    corpus.refuse_pipes(paths, "its text is read twice here; write it to a file first")
    read = partial(corpus.read_utf8, cut=can_cut(pattern))
    silent = Meter(0, None)
    total = sum(
        path.stat().st_size if corpus.is_one_text(path) else text_size(read([path]), silent)
        for path in paths
    )
    for name, part in split_tail(read(paths), val, total):
        if name == "val":
            return
        try:
            yield part.text.decode()
        except UnicodeDecodeError:
            _raise_not_utf8(paths)


def _raise_not_utf8(paths: list[Path], **reading: Any) -> NoReturn:
    """Raise CorpusError with the file, and the byte in it, that is not UTF-8.

    It is in no pipe: these are checked as they are read.
    """
    files = [path for path in paths if not corpus.is_pipe(path)]
    for _ in corpus.read_parts(files, **reading):  # raises it
        pass
    raise ShardError(CHANGED)


# A folder that appears complete or not at all.


@contextmanager
def new_folder(
    folder: str | os.PathLike[str], overwrite: bool = False, private: bool = False
) -> Iterator[Path]:
    """Return a context with a hidden folder: renamed to *folder* at the end, removed on errors."""
    if not os.fspath(folder):
        raise ShardError("the path is empty: name a folder")
    target = followed(Path(folder))
    try:
        with atomic_folder(target, private=private) as hidden:
            _check_target(target, overwrite)
            yield hidden
            _check_target(target, overwrite)  # it can have changed in the meantime
    except OSError as error:
        raise ShardError(f"{target}: cannot be written: {error}") from error


def _check_target(target: Path, overwrite: bool) -> None:
    names = sorted(path.name for path in target.iterdir()) if target.exists() else []
    others = [name for name in names if not _SHARD_FILES.fullmatch(name)]
    if others or (names and _MANIFEST not in names):
        raise ShardError(
            f"{target} contains {(others or names)[0]!r} and is not a shard folder; choose another"
        )
    if names and not overwrite:
        raise ShardError(
            f"{target} contains shards; choose another folder or pass overwrite=True (--overwrite)"
        )
