"""The pure-Python twin of the crate `bpe-rs/`, file for file.

It takes the plain way to the same answers, and is the oracle of the fast one. Read `bpe` first: it
is the algorithm on one page. Then read the twins: `vocab`, `pretokenize`, `search`, `count`,
`train`, `encode`, `decode`, `core`.
"""

from pytok.reference.core import Core
from pytok.reference.count import PieceCounts
from pytok.reference.train import train

__all__ = ["Core", "PieceCounts", "train"]
