"""Token files of others to a shard folder that names them: their ids are read once, not copied.

What the files do not say is found and written down: how many bytes of text the ids spell, where
documents end, and that each id is one of the tokenizer's.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pytok.definition import END_OF_TEXT
from pytok.errors import ShardError
from pytok.shardfile import Ids, write_ends
from pytok.shards import Progress, Shards, new_folder, open_shards, write_manifest
from pytok.streams.layouts import SUFFIXES, Stream, stream
from pytok.tokenizer import Tokenizer

_CHUNK = 1 << 22
"""Ids looked at at a time: 32 MB."""

_VAL = re.compile(r"(?<![a-z])(val|valid|validation)(?![a-z])")
_LEFT_OUT = re.compile(r"(?<![a-z])test(?![a-z])|_documents\.npy$")
"""What is neither to be learnt nor measured: a test set, and where the documents of ours end."""


def find_token_files(source: str | os.PathLike[str]) -> dict[str, list[Path]]:
    """List the token files of *source*, a file or a folder, by split; empty where it has none.

    By their names, in the order of these: ``val`` (or ``valid``, ``validation``) as a word of its
    own makes a file of a folder part of the validation split, ``test`` leaves it out, all others
    are ``train``; and so is a file that is named by itself. Megatron's two files are named by
    either, or without their endings.
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
        if file.suffix in SUFFIXES and not _LEFT_OUT.search(file.name.lower()):
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
    """Write the new shard folder *folder* for the token files of *source*; open it.

    They stay where they are, and *tokenizer* is the one that wrote them. The validation split is
    what `find_token_files` takes for it, or all of *val*. Documents end where the format says, else
    by `END_OF_TEXT`. The folder appears whole or not at all. Raises ShardError that names the file,
    and the position of an id that the tokenizer does not have.
    """
    splits = find_token_files(source)
    if val is not None:
        splits["val"] = [file for files in find_token_files(val).values() for file in files]
    for name in ("train", *splits):
        if not splits.get(name):
            where = source if name == "train" else val
            raise ShardError(f"{where}: no token file for the {name} split; {'/'.join(SUFFIXES)}")
    streams = {
        name: [stream(path.resolve(), tokenizer.n_vocab) for path in splits[name]]
        for name in sorted(splits)
    }
    scan = _Scan(tokenizer, [each for files in streams.values() for each in files], progress)
    with new_folder(Path(folder).resolve()) as side:
        entries = {name: scan.split(side, name, files) for name, files in streams.items()}
        write_manifest(side, tokenizer, streams["train"][0].file.dtype, entries, origin)
    return open_shards(folder)


class _Scan:
    """All ids of all files, once."""

    def __init__(
        self, tokenizer: Tokenizer, streams: Sequence[Stream], progress: Progress | None
    ) -> None:
        self._lengths = _token_lengths(tokenizer)
        self._eot = tokenizer.special_tokens.get(END_OF_TEXT)
        self._done, self._total = 0, sum(each.file.map().nbytes for each in streams)
        self._progress = progress

    def split(self, folder: Path, name: str, streams: Sequence[Stream]) -> dict[str, object]:
        """Read a split; write where its documents end; return its part of the manifest."""
        text_bytes = tokens = 0
        ends: list[NDArray[np.int64]] = []
        for each in streams:
            for first, ids, spelled in self._chunks(each):
                text_bytes += int(spelled.sum())
                if each.ends is None and self._eot is not None:
                    places = np.flatnonzero(ids == self._eot) + (not each.begins_with_eot)
                    ends.append(tokens + first + places)
            if each.ends is not None:
                ends.append(tokens + each.ends)
            tokens += each.file.tokens
        if not tokens:
            raise ShardError(f"{streams[0].file.path}: the {name} split would be empty")
        every = np.unique(np.concatenate([*ends, [tokens]]).astype(np.int64))
        every = every[every > 0]
        return {
            "bytes": text_bytes,
            "files": {
                str(each.file.path): {
                    "dtype": each.file.dtype,
                    "offset": each.file.offset,
                    "tokens": each.file.tokens,
                }
                for each in streams
            },
            "tokens": tokens,
            "documents": len(every),
            "document_ends": write_ends(folder, name, every),
        }

    def _chunks(self, each: Stream) -> Iterator[tuple[int, Ids, NDArray[np.int64]]]:
        """Yield the position of the first of some ids, these, and the bytes that each spells."""
        mapped = each.file.map()
        for first in range(0, len(mapped), _CHUNK):
            ids = mapped[first : first + _CHUNK]
            known = ids < len(self._lengths)
            if known.all():
                spelled = self._lengths[ids]
                known = spelled >= 0
            if not known.all():
                place = int(np.argmin(known))
                raise ShardError(
                    f"{each.file.path}: token {first + place:,} (from 0) is id {ids[place]}, which "
                    f"the tokenizer with its {len(self._lengths):,} ids does not have; give the "
                    "tokenizer that wrote the file"
                )
            yield first, ids, spelled
            self._done += ids.nbytes
            if self._progress is not None:
                self._progress(self._done, self._total)


def _token_lengths(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """How many bytes of text each id spells: none of special tokens, -1 where there is no token."""
    lengths = np.full(tokenizer.n_vocab, -1, np.int64)
    for token, id in tokenizer.vocab.items():
        lengths[id] = len(token)
    lengths[list(tokenizer.special_tokens.values())] = 0
    return lengths
