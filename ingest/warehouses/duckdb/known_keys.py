"""Which keys a large table certainly does not hold, so that a small batch need not search all of it.

Looking for a changeset's keys among those of 20 million rows takes longer than everything else about it. Most of its
rows are new, and those that are not are recent: a Bloom filter tells the new ones for certain, and the others are
looked for first among the rows born in their own time. Only what is not found there is searched for everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Hashes: TypeAlias = npt.NDArray[np.uint64]

_BITS_PER_KEY = 24
_LARGEST = 2**23
"""Words: 64 MB. Beyond 20 million keys there are more false alarms, each of which costs one search of the table."""


class BloomFilter:
    """A set of hashes that may say yes wrongly, and never no.

    Each hash sets five bits in each of two 64-bit words: two places in memory to visit instead of ten.
    """

    def __init__(self, expected: int) -> None:
        wanted = max(2**10, int(expected * 1.5) * _BITS_PER_KEY // 64)
        self._words: Hashes = np.zeros(min(_LARGEST, 1 << (wanted - 1).bit_length()), dtype=np.uint64)
        self.room = len(self._words) * 64 // _BITS_PER_KEY

    def add(self, hashes: Hashes) -> None:
        """Put hashes in."""
        for position, mask in self._places(hashes):
            np.bitwise_or.at(self._words, position, mask)
        self.room -= len(hashes)

    def may_hold(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Tell for each hash whether it may have been put in; False is certain."""
        found = np.ones(len(hashes), dtype=np.bool_)
        for position, mask in self._places(hashes):
            found &= (self._words[position] & mask) == mask
        return found

    def _places(self, hashes: Hashes) -> Iterator[tuple[npt.NDArray[np.int64], Hashes]]:
        """Yield the words a hash goes to, with the bits it has there."""
        mixed = hashes
        for _ in range(2):
            mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)  # splitmix's multiplier
            position = (mixed >> np.uint64(34)).astype(np.int64) & (len(self._words) - 1)
            mask = np.zeros(len(hashes), dtype=np.uint64)
            for shift in (0, 6, 12, 18, 24):
                mask |= np.uint64(1) << ((mixed >> np.uint64(shift)) & np.uint64(63))
            yield position, mask


@dataclass(frozen=True, slots=True)
class Known:
    """A filter that holds every key of a table as of a number of its files loaded.

    Every load writes its checkpoint rows in the same commit, whoever does it: while their number stays, so do the keys.
    """

    keys: BloomFilter
    loaded: int


class KnownKeys:
    """The filters of one database file, by table."""

    def __init__(self) -> None:
        self._filters: dict[str, Known] = {}
        self._missed: set[str] = set()

    def of(self, table: str, loaded: int) -> Known | None:
        """Return the table's filter if it is up to date and has room."""
        known = self._filters.get(table)
        return known if known is not None and known.loaded == loaded and known.keys.room > 0 else None

    def worth_building(self, table: str) -> bool:
        """Tell whether a filter was missed before: one for a single batch costs more than it saves."""
        missed = table in self._missed
        self._missed.add(table)
        return missed

    def keep(self, table: str, known: Known) -> None:
        """Remember a filter."""
        self._filters[table] = known
