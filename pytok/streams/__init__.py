"""Token files written by other software: `adopt` makes a shard folder of them without a copy.

`layouts` reads the headers and indexes of each format, `adopting` checks the ids and finds what the
files do not record, `characters` reads nanoGPT's character vocabulary.
"""

from pytok.streams.adopting import adopt, find_token_files
from pytok.streams.characters import character_tokenizer

__all__ = ["adopt", "character_tokenizer", "find_token_files"]
