"""Merging in Python, for the few tokens whose merge no engine reports.

An engine merges tokens of lower rank only (`pytok.engine.Core.merges`). A token that precedes its
parts in a vocabulary needs all the others.
"""

from collections.abc import Mapping
from heapq import heapify, heappop, heappush


def parts_of(token: bytes, ranks: Mapping[bytes, int]) -> list[int]:
    """Return the ranks into which *token* is encoded by all the other tokens of *ranks*.

    The lowest rank merges first, and of equals the leftmost. A token with a byte that *ranks* lacks
    has no parts.

    >>> ranks = {bytes([byte]): byte for byte in range(256)}
    >>> ranks |= {b"abc": 256, b"ab": 257}
    >>> parts_of(b"abc", ranks) == [ranks[b"ab"], ranks[b"c"]]
    True
    """
    if any(token[start : start + 1] not in ranks for start in range(len(token))):
        return []
    # A part is identified by its start. `end[start]` is its end, or 0 after the part to its left
    # has absorbed it; `before[start]` is the start of its left neighbor.
    length = len(token)
    end = list(range(1, length + 1))
    before = list(range(-1, length - 1))

    def candidates(start: int, stop: int) -> list[tuple[int, int, int]]:
        rank = ranks.get(token[start:stop])
        return [] if rank is None or stop - start == length else [(rank, start, stop)]

    heap = [found for start in range(length - 1) for found in candidates(start, start + 2)]
    heapify(heap)
    while heap:
        _, start, stop = heappop(heap)
        middle = end[start]
        # The entry is stale if this part or its right neighbor has changed since it was queued.
        if middle == 0 or middle >= length or end[middle] != stop:
            continue
        end[start], end[middle] = stop, 0
        pairs = []
        if stop < length:
            before[stop] = start
            pairs.append((start, end[stop]))
        if start > 0:
            pairs.append((before[start], stop))
        for pair in pairs:
            for found in candidates(*pair):
                heappush(heap, found)
    return [ranks[token[start:stop]] for start, stop in enumerate(end) if stop]
