"""The order of a stream's files, and which of them make the next batch: pure rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from ingest.arrivals import Arrival
from ingest.naming import ExportName

T = TypeVar("T")

OrderKey = tuple[int, int, int, str]
"""version, sequence, second sequence (-1 where absent: before all that have one), blob name.

The blob name breaks the last tie the same way for every worker, and puts `people_v4_chngs_...` after `people_v4_...`.
"""


def order_key(name: ExportName) -> OrderKey:
    """Return the key by which files of one stream are loaded, ascending."""
    end = -1 if name.sequence_end is None else name.sequence_end
    return (name.version, name.sequence, end, name.format())


def is_late(name: ExportName, high_water: OrderKey | None) -> bool:
    """Tell whether a file with a higher sequence was loaded before this one arrived."""
    return high_water is not None and order_key(name)[:3] < high_water[:3]


def next_batch(pending: Iterable[Arrival], *, max_files: int, max_bytes: int) -> tuple[Arrival, ...]:
    """Take the longest prefix of `pending` (ascending) within both bounds; a file over `max_bytes` goes alone."""
    return tuple(_within(pending, max_files, max_bytes))


def _within(pending: Iterable[Arrival], max_files: int, max_bytes: int) -> Iterator[Arrival]:
    total = 0
    for count, arrival in enumerate(pending):
        total += arrival.blob.size
        if count and (count >= max_files or total > max_bytes):
            return
        yield arrival


def halves(batch: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """Split a batch of two or more so that the first half still comes before the second."""
    middle = len(batch) // 2
    return batch[:middle], batch[middle:]
