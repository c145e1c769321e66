"""Make a shard folder that refers to the token files of other software; the ids are not copied.

All ids are read once, for what such files do not record: the number of bytes of text, the ends of
the documents, and that the tokenizer has every id.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pytok.counting import Progress
from pytok.definition import END_OF_TEXT
from pytok.errors import ShardError
from pytok.shardfile import Ids, write_document_ends
from pytok.shards import Shards, new_folder, open_shards, write_manifest
from pytok.streams.layouts import SUFFIXES, Stream, open_stream
from pytok.tokenizer import Tokenizer

_CHUNK = 1 << 22
"""Number of ids processed at a time: their lengths take 32 MB."""

_VAL = re.compile(r"(?<![a-z])(val|valid|validation)(?![a-z])")
_EXCLUDED = re.compile(r"(?<![a-z])test(?![a-z])|_documents\.npy$")
"""Names of files that are in no split: test sets, and the document ends of pytok's shards."""


def find_token_files(source: str | os.PathLike[str]) -> dict[str, list[Path]]:
    """Return the token files of *source*, a file or a folder, by split, sorted by name.

    In a folder, files with the word ``val``, ``valid`` or ``validation`` in their names are the
    validation split, those with ``test`` are excluded, and all others are ``train``. A single file
    is ``train``. Either of the two files of a Megatron data set can be given, or their common
    prefix. The dict is empty if there are no token files.
    """
    path = Path(source)
    if path.suffix == ".idx":
        path = path.with_suffix(".bin")
    elif not path.exists():
        path = Path(f"{path}.bin")
    if path.is_file():
        return {"train": [path]} if path.suffix in SUFFIXES else {}
    found = sorted(path.iterdir()) if path.is_dir() else []
    splits: dict[str, list[Path]] = {}
    for file in found:
        if file.suffix in SUFFIXES and not _EXCLUDED.search(file.name.lower()):
            name = "val" if _VAL.search(file.stem.lower()) else "train"
            splits.setdefault(name, []).append(file)
    return splits


def adopt(
    source: str | os.PathLike[str],
    tokenizer: Tokenizer,
    folder: str | os.PathLike[str],
    *,
    val: str | os.PathLike[str] | None = None,
    origin: str | None = None,
    progress: Progress | None = None,
) -> Shards:
    """Write the new shard folder *folder* for the token files of *source*, and open it.

    The files are not moved or copied; *tokenizer* must be the one that wrote them. The validation
    split is that of `find_token_files`, or all files of *val*. Documents end where the format
    records it, otherwise at `END_OF_TEXT`. The folder appears complete or not at all. Raises
    ShardError with the file, and the position of an id that the tokenizer does not have.
    """
    splits = find_token_files(source)
    if val is not None:
        splits["val"] = [file for files in find_token_files(val).values() for file in files]
    for name in ("train", *splits):
        if not splits.get(name):
            where = source if name == "train" else val
            suffixes = ", ".join(SUFFIXES)
            raise ShardError(f"{where}: no token file for the {name} split; {suffixes} are read")
    streams = {
        name: [open_stream(path.resolve(), tokenizer.n_vocab) for path in splits[name]]
        for name in sorted(splits)
    }
    scan = _Scan(tokenizer, [each for files in streams.values() for each in files], progress)
    with new_folder(folder) as hidden:
        entries = {name: scan.split(hidden, name, files) for name, files in streams.items()}
        write_manifest(hidden, tokenizer, streams["train"][0].file.dtype, entries, origin)
    return open_shards(folder)


class _Scan:
    """One read of all ids of all files."""

    def __init__(
        self, tokenizer: Tokenizer, streams: Sequence[Stream], progress: Progress | None
    ) -> None:
        self._lengths = _token_lengths(tokenizer)
        self._eot = tokenizer.special_tokens.get(END_OF_TEXT)
        self._done, self._total = 0, sum(stream.file.open().nbytes for stream in streams)
        self._progress = progress

    def split(self, folder: Path, name: str, streams: Sequence[Stream]) -> dict[str, object]:
        """Read a split, write the ends of its documents, return its entry in the manifest."""
        text_bytes = tokens = 0
        ends: list[NDArray[np.int64]] = []
        for stream in streams:
            for first, ids, lengths in self._chunks(stream):
                text_bytes += int(lengths.sum())
                if stream.ends is None and self._eot is not None:
                    # A document ends before an end-of-text token that starts the next, else after.
                    found = np.flatnonzero(ids == self._eot) + (not stream.starts_with_eot)
                    ends.append(tokens + first + found)
            if stream.ends is not None:
                ends.append(tokens + stream.ends)
            tokens += stream.file.tokens
        if not tokens:
            raise ShardError(f"{streams[0].file.path}: the {name} split would be empty")
        # The last document ends with the split, even without an end-of-text token.
        all_ends = np.unique(np.concatenate([*ends, [tokens]]).astype(np.int64))
        all_ends = all_ends[all_ends > 0]
        return {
            "bytes": text_bytes,
            "files": {
                str(stream.file.path): {
                    "dtype": stream.file.dtype,
                    "offset": stream.file.offset,
                    "tokens": stream.file.tokens,
                }
                for stream in streams
            },
            "tokens": tokens,
            "documents": len(all_ends),
            "document_ends": write_document_ends(folder, name, all_ends),
        }

    def _chunks(self, stream: Stream) -> Iterator[tuple[int, Ids, NDArray[np.int64]]]:
        """Yield chunks of ids: the position of the first, the ids, and the length of each."""
        stored = stream.file.open()
        for first in range(0, len(stored), _CHUNK):
            ids = stored[first : first + _CHUNK]
            known = ids < len(self._lengths)
            if known.all():
                lengths = self._lengths[ids]
                known = lengths >= 0
            if not known.all():
                index = int(np.argmin(known))
                raise ShardError(
                    f"{stream.file.path}: token {first + index:,} (from 0) is id {ids[index]}, "
                    f"which is not among the {len(self._lengths):,} ids of the tokenizer; pass the "
                    "tokenizer that wrote the file"
                )
            yield first, ids, lengths
            self._done += ids.nbytes
            if self._progress is not None:
                self._progress(self._done, self._total)


def _token_lengths(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Return the bytes of text per id: 0 for special tokens, -1 for ids without a token."""
    lengths = np.full(tokenizer.n_vocab, -1, np.int64)
    for id, token in tokenizer.definition.decode_only.items():
        lengths[id] = len(token)
    for added in tokenizer.added_tokens:
        lengths[added.id] = len(added.text.encode())
    for token, id in tokenizer.vocab.items():
        lengths[id] = len(token)
    lengths[list(tokenizer.special_tokens.values())] = 0
    return lengths
