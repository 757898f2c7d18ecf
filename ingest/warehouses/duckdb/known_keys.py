"""Which keys a large table certainly does not hold, so that a small batch need not search all of it.

Looking for a changeset's keys among those of 20 million rows takes longer than everything else about it. Most of its
rows are new, and those that are not are recent: a Bloom filter tells the new ones for certain, and the others are
looked for first among the rows born in their own time. Only what is not found there is searched for everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Hashes: TypeAlias = npt.NDArray[np.uint64]

_PROBES = 8
_BITS_PER_KEY = 24
_LARGEST = 2**29
"""Bits: 64 MB. Beyond 20 million keys there are more false alarms, each of which costs one search of the table."""


class BloomFilter:
    """A set of hashes that may say yes wrongly, and never no."""

    def __init__(self, expected: int) -> None:
        wanted = max(2**16, int(expected * 1.5) * _BITS_PER_KEY)
        self._bits = min(_LARGEST, 1 << (wanted - 1).bit_length())
        self._bytes = np.zeros(self._bits // 8, dtype=np.uint8)
        self.room = self._bits // _BITS_PER_KEY

    def add(self, hashes: Hashes) -> None:
        """Put hashes in."""
        for position in self._positions(hashes):
            np.bitwise_or.at(self._bytes, position >> np.uint64(3), self._mask(position))
        self.room -= len(hashes)

    def may_hold(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Tell for each hash whether it may have been put in; False is certain."""
        found = np.ones(len(hashes), dtype=np.bool_)
        for position in self._positions(hashes):
            found &= (self._bytes[position >> np.uint64(3)] & self._mask(position)) != 0
        return found

    def _positions(self, hashes: Hashes) -> Iterable[Hashes]:
        step = (hashes >> np.uint64(32)) | np.uint64(1)
        for probe in range(_PROBES):
            yield (hashes + np.uint64(probe) * step) & np.uint64(self._bits - 1)

    def _mask(self, position: Hashes) -> npt.NDArray[np.uint8]:
        return np.left_shift(np.uint8(1), (position & np.uint64(7)).astype(np.uint8))


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
