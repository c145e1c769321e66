"""Token files that other software wrote, taken in where they lie: `adopt` makes them shards.

`layouts` knows how each format lays its ids out, `adopting` reads them once and writes what they
do not say about themselves, `characters` makes a tokenizer of nanoGPT's character vocabulary.
"""

from pytok.streams.adopting import adopt, find_token_files
from pytok.streams.characters import character_tokenizer

__all__ = ["adopt", "character_tokenizer", "find_token_files"]
