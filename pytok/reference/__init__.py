"""The pure-Python twin of the crate `bpe-rs/`, file for file.

Its code is simple and gives the same answers; tests compare the two. Read `bpe` first, which is the
algorithm on one page. Then read the twins: `vocab`, `pretokenize`, `search`, `count`, `train`,
`encode`, `decode`, `core`.
"""

from pytok.reference.core import Core
from pytok.reference.count import PieceCounts
from pytok.reference.files import parse_ranks, parse_tokenizer_json
from pytok.reference.train import train

__all__ = ["Core", "PieceCounts", "parse_ranks", "parse_tokenizer_json", "train"]
